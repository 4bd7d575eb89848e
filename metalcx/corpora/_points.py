"""Points of `curves.parquet`: some runs without reading the rest, or all of them in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.corpora._table import BATCH_ROWS, TableFile
from metalcx.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Points:
    """Points of whole runs, sorted by (run, t).

    Attributes:
        run: Run number of each point, int32, shape (points,), ascending.
        t: Times, shape (points,).
        values: One float32 array of shape (points,) a column; NaN where not measured.
    """

    run: npt.NDArray[np.int32]
    t: FloatArray
    values: Mapping[str, Float32Array]

    def __len__(self) -> int:
        """Number of points."""
        return len(self.run)

    @property
    def runs(self) -> npt.NDArray[np.int32]:
        """The run numbers, each once, shape (runs,)."""
        return self.run[self.offsets[:-1]]

    @property
    def offsets(self) -> IntArray:
        """Points of the i-th of `runs` are ``offsets[i]:offsets[i + 1]``, shape (runs + 1,)."""
        if not len(self.run):
            return np.zeros(1, dtype=np.int64)
        return np.concatenate([[0], np.flatnonzero(np.diff(self.run)) + 1, [len(self.run)]]).astype(np.int64)

    def slice(self, start: int, stop: int) -> Points:
        """Points ``start:stop``, copied so that the whole need not be kept."""
        values = {name: column[start:stop].copy() for name, column in self.values.items()}
        return Points(self.run[start:stop].copy(), self.t[start:stop].copy(), values)

    def where(self, keep: npt.NDArray[np.bool_]) -> Points:
        """The points at which `keep` is True."""
        return Points(self.run[keep], self.t[keep], {name: column[keep] for name, column in self.values.items()})

    @classmethod
    def concat(cls, parts: list[Points]) -> Points:
        """Several pieces, one after another."""
        if len(parts) == 1:
            return parts[0]
        values = {name: np.concatenate([p.values[name] for p in parts]) for name in parts[0].values}
        return cls(np.concatenate([p.run for p in parts]), np.concatenate([p.t for p in parts]), values)

    @classmethod
    def of_batch(cls, batch: pa.RecordBatch) -> Points:
        """A batch read from the file; an empty cell of a metric is NaN."""
        columns = {name: batch.column(name) for name in batch.schema.names}
        run, t = (columns.pop(name) for name in ("run", "t"))
        if run.null_count or t.null_count:
            raise CorpusError("an empty cell in column 'run' or 't'")
        values = {name: np.asarray(c.to_numpy(zero_copy_only=False), np.float32) for name, c in columns.items()}
        return cls(np.asarray(run.to_numpy(), np.int32), np.asarray(t.to_numpy(), np.float64), values)


def read_points(table: TableFile, columns: Iterable[str], batch_rows: int = BATCH_ROWS) -> Iterator[Points]:
    """Every point, a batch at a time."""
    for start, batch in table.batches(["run", "t", *columns], rows=batch_rows):
        yield _points(table, start, batch)


def read_runs(table: TableFile, runs: npt.NDArray[np.int32], columns: Iterable[str]) -> Points:
    """Points of `runs` (ascending), reading only the row groups that can hold them."""
    names = list(columns)
    kept = [Points(np.empty(0, np.int32), np.empty(0), {name: np.empty(0, np.float32) for name in names})]
    # A table of booleans answers "is it wanted" in one gather, many times faster than a search.
    wanted = np.zeros(int(runs[-1]) + 1 if len(runs) else 0, dtype=bool)
    wanted[runs] = True
    for start, batch in table.batches(["run", "t", *names], groups=table.groups_with("run", runs)):
        points = _points(table, start, batch)
        inside = (points.run >= 0) & (points.run < len(wanted))
        keep = inside & wanted[np.where(inside, points.run, 0)]
        if keep.any():
            kept.append(points.where(keep))
    return Points.concat(kept)


def whole_runs(parts: Iterable[Points], size: int) -> Iterator[Points]:
    """Regroup sorted pieces into pieces of whole runs, each cut once `size` points are held.

    Memory is bounded by `size`, one piece, and the longest run.
    """
    held: list[Points] = []
    rows = 0
    for part in parts:
        if not len(part):
            continue
        held.append(part)
        rows += len(part)
        # Nothing can be cut while all that is held is one run; joining it again and again would be quadratic.
        if rows < size or held[0].run[0] == part.run[-1]:
            continue
        joined = Points.concat(held)
        cut = int(np.searchsorted(joined.run, joined.run[-1], "left"))
        yield joined.slice(0, cut)
        held = [joined.slice(cut, len(joined))]
        rows = len(held[0])
        del joined, part
    if held:
        yield Points.concat(held)


def _points(table: TableFile, start: int, batch: pa.RecordBatch) -> Points:
    try:
        return Points.of_batch(batch)
    except CorpusError as error:
        raise CorpusError(f"{table.path}: {error}, in the rows from {start}; fill it in") from None
