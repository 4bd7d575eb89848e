"""What importers of published benchmarks share: the runs of a task collected one by one, and files read with care."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.importers._base import ImportedTask, ImportOptions, Tally
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError, name_some

_SINGLE = float(np.finfo(np.float32).max)


@dataclass
class Runs:
    """Runs of one task, single precision until they become `Curves`.

    Args:
        metric: The primary metric.
        metrics: All metrics of the corpus.
        time_unit: What t counts.
        tally: Where runs that cannot be kept are noted.
        seconds: Whether the source times its runs.
        nan_diverges: Whether a primary value that is NaN says that the run diverged; else it was not measured.
    """

    metric: Metric
    metrics: tuple[Metric, ...]
    time_unit: str
    tally: Tally
    seconds: bool = False
    nan_diverges: bool = True
    seeds: list[object] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _t: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _values: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    _known: list[tuple[str, Mapping[str, Any], str | None, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._values = {name: [] for name in (*(m.name for m in self.metrics), *["seconds"] * self.seconds)}

    def __len__(self) -> int:
        return len(self._names)

    def add(
        self,
        name: str,
        t: npt.ArrayLike,
        values: Mapping[str, npt.NDArray[np.float64]],
        *,
        config: Mapping[str, Any] | None = None,
        arch: str | None = None,
        group: str | None = None,
        seed: object = None,
        status: str = "completed",
    ) -> bool:
        """Keep a run, up to the first point where the primary metric is not a number; whether it was kept.

        Args:
            name: Its name.
            t: Times, ascending, shape (n,).
            values: Values of metrics, and ``seconds``, each shape (n,); NaN = not measured.
            config: Hyperparameters.
            arch: Architecture.
            group: Group; by default the run itself.
            seed: Seed.
            status: How it ended unless it diverged.
        """
        times = np.asarray(t, dtype=np.float64)
        problem = self._problem(times, values)
        if problem:
            self.tally.skip(name, problem)
            return False
        end, diverged = _end(values[self.metric.name], self.nan_diverges)
        for column, parts in self._values.items():
            parts.append(_column(values.get(column), end, diverged, column == self.metric.name))
        self._t.append(times[:end])
        self._names.append(name)
        self._known.append(("diverged" if diverged else status, dict(config or {}), arch, group or name))
        self.seeds.append(seed)
        return True

    def _problem(self, t: npt.NDArray[np.float64], values: Mapping[str, npt.NDArray[np.float64]]) -> str | None:
        y = values.get(self.metric.name)
        if not len(t) or y is None or (np.isnan(y).all() and not self.nan_diverges):
            return f"no point of {self.metric.name} was measured"
        lengths = {len(column) for column in values.values()} | {len(t)}
        if len(lengths) > 1:
            return "curves of one run differ in length"
        if not np.isfinite(t).all() or (np.diff(t) <= 0).any():
            return "times do not ascend"
        outside = [m.name for m in self.metrics if m.name in values and m.outside(values[m.name]).any()]
        return f"{outside[0]} leaves its bounds" if outside else None

    def curves(self) -> Curves:
        """All runs that were kept."""
        import pandas as pd

        length = [len(t) for t in self._t]
        status, config, arch, group = zip(*self._known, strict=True) if self._known else ((), (), (), ())
        return Curves(
            metric=self.metric,
            ids=np.array(self._names, dtype=object),
            offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
            t=np.concatenate([np.empty(0), *self._t]),
            values={name: np.concatenate([np.empty(0), *parts]) for name, parts in self._values.items()},
            status=np.array(status, dtype=object),
            metrics=self.metrics,
            config=pd.DataFrame(list(config), dtype=object) if any(config) else None,
            arch=np.array(arch, dtype=object),
            group=np.array(group, dtype=object),
            time_unit=self.time_unit,
        )


def _end(y: npt.NDArray[np.float64], nan_diverges: bool) -> tuple[int, bool]:
    """How many points stay, and whether the last of them is where the run diverged."""
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(y) <= _SINGLE) if nan_diverges else np.abs(y) > _SINGLE
    return (int(bad.argmax()) + 1, True) if bad.any() else (len(y), False)


def _column(values: npt.NDArray[np.float64] | None, end: int, diverged: bool, primary: bool) -> npt.NDArray[np.float32]:
    if values is None:
        return np.full(end, np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        column = values[:end].astype(np.float32)
    column[~np.isfinite(column)] = np.nan
    if diverged:
        column[-1] = np.inf if primary else np.nan
    return column


def numbers(values: object, where: str) -> npt.NDArray[np.float64]:
    """A list of numbers, null as NaN.

    Raises:
        DataError: If it is something else.
    """
    if not isinstance(values, (list, tuple)):
        raise DataError(f"{where}: a list of numbers was expected, not {type(values).__name__}; is it the right file?")
    plain = [math.nan if v is None else v for v in values]
    wrong = [v for v in plain if isinstance(v, bool) or not isinstance(v, (int, float))]
    if wrong:
        raise DataError(f"{where}: {wrong[0]!r:.40} is no number; mend the file or leave it out")
    try:
        return np.array(plain, dtype=np.float64)
    except OverflowError:
        raise DataError(f"{where}: a number is beyond double precision; mend the file or leave it out") from None


def item(table: object, key: str, where: str, kind: type | tuple[type, ...] = object) -> Any:
    """`table[key]`, of a kind.

    Raises:
        DataError: If it is not there, or of another kind.
    """
    if not isinstance(table, dict):
        raise DataError(f"{where}: an object with {key!r} was expected, not {type(table).__name__}; fetch it again")
    if key not in table:
        raise DataError(f"{where}: has no {key!r}; it has {name_some(table)}. Is it the right file?")
    value = table[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not object):
        raise DataError(f"{where}: {key!r} is {type(value).__name__}, which does not belong there; fetch it again")
    return value


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: If it is missing, no JSON, or ends early.
    """
    return parse_json(read_bytes(path), path)


def parse_json(data: bytes, where: object) -> Any:
    """What JSON text holds.

    Raises:
        DataError: If it is no JSON, or ends early.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is no whole JSON ({error!s:.80}); fetch it again") from None


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the published file or folder") from None


def found(paths: Iterable[Path], src: Path, what: str) -> list[Path]:
    """The files in order.

    Raises:
        DataError: If there is none.
    """
    files = sorted(paths)
    if not files:
        raise DataError(f"{src}: holds no {what}; give the published file or folder")
    return files


def only(tasks: Iterable[ImportedTask], options: ImportOptions, tally: Tally) -> Iterator[ImportedTask]:
    """The task that the options name, or all if they name none."""
    for task in tasks:
        if options.task in (None, task.task):
            yield task
        else:
            tally.skip(task.task, f"is not the task {options.task}")


def primary(options: ImportOptions, metrics: Sequence[Metric], format: str) -> tuple[Metric, ...]:
    """The metrics with the primary one first: that of the options if the source has it, by default the first.

    Raises:
        DataError: If the source has no such metric, or the options name a dataset, which the source does itself.
    """
    if options.dataset or options.family:
        raise DataError(f"{format}: names its datasets and families itself; leave --dataset and --family out")
    if options.metric is None:
        return tuple(metrics)
    names = [m.name for m in metrics]
    if options.metric.name not in names or metrics[names.index(options.metric.name)].goal != options.metric.goal:
        known = ", ".join(f"{m.name}:{m.goal}" for m in metrics)
        raise DataError(f"{format}: has no metric {options.metric.name}:{options.metric.goal}; it has {known}")
    first = metrics[names.index(options.metric.name)]
    return (first, *(m for m in metrics if m is not first))
