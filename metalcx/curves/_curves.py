"""Curves: many ragged runs of one or more metrics, with what is known about each run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray, IntArray, PaddedCurves, pad
from metalcx.curves._metric import Metric
from metalcx.curves._objects import objects
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("completed", "running", "diverged", "censored")
#: Columns of a table of runs that are no hyperparameter.
RESERVED = ("run", "task", "arch", "status", "group")


@dataclass(frozen=True, eq=False)
class Curves:
    """Measured curves of many runs of one task.

    Runs are ragged and their times irregular. Values that are not finite are data: NaN is "not
    measured", and a run whose status is ``diverged`` ends in an infinity right after its last
    finite value. Objects are immutable; every method returns a new one.

    Attributes:
        metric: The primary metric, the one that is forecast.
        ids: Run ids as the person gave them, shape (n,).
        offsets: Points of run i are ``offsets[i]:offsets[i + 1]``, shape (n + 1,), starting at 0.
        t: Times of all points, float64, shape (points,), ascending within a run.
        values: One float64 array of shape (points,) a metric name, the primary one among them; may hold
            measurements that are no metric, such as ``seconds``.
        status: ``completed``, ``running``, ``diverged`` or ``censored``, shape (n,).
        metrics: All declared metrics, the primary one among them; it alone by default.
        config: Hyperparameters, one row a run in the order of `ids`, or None.
        arch: Architecture id or string of each run (None where unknown), shape (n,), or None.
        group: Runs with equal group must stay on one side of a split, shape (n,), or None.
        time_unit: What t counts, such as ``epoch``.

    Raises:
        DataError: If lengths disagree, a declared metric has no values, or times are not finite and
            ascending within a run.
    """

    metric: Metric
    ids: npt.NDArray[np.object_]
    offsets: IntArray
    t: FloatArray
    values: Mapping[str, FloatArray]
    status: npt.NDArray[np.object_]
    metrics: tuple[Metric, ...] = ()
    config: pd.DataFrame | None = field(default=None, repr=False)
    arch: npt.NDArray[np.object_] | None = field(default=None, repr=False)
    group: npt.NDArray[np.object_] | None = field(default=None, repr=False)
    time_unit: str | None = None

    def __post_init__(self) -> None:
        self._coerce()
        n = len(self.ids)
        ends = (self.offsets[0], self.offsets[-1]) if len(self.offsets) == n + 1 else None
        if ends != (0, len(self.t)) or (np.diff(self.offsets) < 0).any():
            raise DataError(
                f"offsets do not fit: {n} runs, {len(self.t)} points, offsets {self.offsets!s:.80}; give 0 and then "
                "the end of each run"
            )
        if self.metric not in self.metrics:
            raise DataError(
                f"the primary metric {self.metric.name!r} is not among the declared metrics {self.metrics}; add it"
            )
        for name in (m.name for m in self.metrics):
            if name not in self.values:
                raise DataError(f"no values for metric {name!r}; values holds {sorted(self.values)}; add them")
        for name, column in (*self.values.items(), ("t", self.t)):
            if len(column) != len(self.t):
                raise DataError(f"{name!r} has {len(column)} values for {len(self.t)} points; give one a point")
        for name in ("status", "config", "arch", "group"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"{name} has {len(column)} rows for {n} runs; give one a run")
        unknown = set(self.status) - set(STATUSES)
        if unknown:
            raise DataError(f"unknown status {sorted(map(str, unknown))}; use one of {', '.join(STATUSES)}")
        within = np.diff(self.owner) == 0
        bad = ~np.isfinite(self.t)
        with np.errstate(invalid="ignore"):
            bad[1:] |= within & (np.diff(self.t) <= 0)
        if bad.any():
            runs = name_some(self.ids[np.unique(self.owner[bad])])
            raise DataError(f"times must be finite and strictly ascending within a run; mend runs {runs}")

    def _coerce(self) -> None:
        """Lists become arrays of the documented types; arrays that have them are not copied."""
        named = {name: getattr(self, name) for name in ("ids", "status", "arch", "group")}
        columns: dict[str, npt.NDArray[Any]] = {k: objects(v) for k, v in named.items() if v is not None}
        columns["offsets"] = np.asarray(self.offsets, dtype=np.int64)
        columns["t"] = np.asarray(self.t, dtype=np.float64)
        for name, column in columns.items():
            object.__setattr__(self, name, column)
        values = {name: np.asarray(column, dtype=np.float64) for name, column in self.values.items()}
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "metrics", tuple(self.metrics) or (self.metric,))

    def _with(self, **changes: Any) -> Curves:
        """These with other columns, made of checked ones so that they need no check: it costs more than they do."""
        made = object.__new__(type(self))
        made.__dict__.update({name: self.__dict__[name] for name in self.__dataclass_fields__} | changes)
        return made

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.ids)

    def __iter__(self) -> Iterator[Curves]:
        """One `Curves` of a single run at a time."""
        return (self.take([i]) for i in range(len(self)))

    @cached_property
    def owner(self) -> IntArray:
        """Position of the run to which each point belongs, shape (points,)."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.offsets)).astype(np.int64)

    @property
    def y(self) -> FloatArray:
        """Values of the primary metric, shape (points,)."""
        return self.values[self.metric.name]

    @cached_property
    def length(self) -> IntArray:
        """Points of each run, shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def t_last(self) -> FloatArray:
        """Time of each run's last point, shape (n,); NaN for a run without points."""
        return np.where(self.length > 0, np.append(self.t, np.nan)[self.offsets[1:] - 1], np.nan)

    @cached_property
    def final(self) -> FloatArray:
        """Last measured value of each run, shape (n,); `Metric.worst` for a diverged run, NaN where there is none."""
        place = np.maximum.accumulate(np.where(np.isfinite(self.y), np.arange(len(self.y)), -1))
        last = np.append(place, -1)[self.offsets[1:] - 1]
        # A place before the run's own start belongs to another run: this one has no measured value.
        own = np.where((self.length > 0) & (last >= self.offsets[:-1]), np.append(self.y, np.nan)[last], np.nan)
        return np.where(self.status == "diverged", self.metric.worst, own)

    def padded(self, metric: str | None = None) -> PaddedCurves:
        """Finite points of one metric (the primary by default) as padded arrays."""
        return pad(self.t, self.values[metric or self.metric.name], self.offsets, self.status == "diverged")

    def take(self, index: npt.ArrayLike) -> Curves:
        """The runs at `index` (positions or a boolean mask), in that order."""
        given = np.asarray(index)
        # Indexing the positions resolves masks and negative ones, and refuses what is out of range.
        rows = np.arange(len(self))[given if given.size else np.empty(0, dtype=np.int64)]
        length = self.length[rows]
        offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        points = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], length)
        return self._with(
            ids=self.ids[rows],
            offsets=offsets,
            t=self.t[points],
            values={name: column[points] for name, column in self.values.items()},
            status=self.status[rows],
            config=None if self.config is None else self.config.iloc[rows].reset_index(drop=True),
            arch=None if self.arch is None else self.arch[rows],
            group=None if self.group is None else self.group[rows],
        )

    def completed(self) -> Curves:
        """Runs whose status is ``completed``."""
        return self.take(self.status == "completed")

    def running(self) -> Curves:
        """Runs whose status is ``running``."""
        return self.take(self.status == "running")

    def finished(self) -> Curves:
        """Runs that will not go on: completed, diverged and censored, all of which `adapt` takes."""
        return self.take(self.status != "running")

    def best(self) -> float:
        """The best last value among the finished runs that did not diverge.

        Raises:
            DataError: If there is no such run with a measured value.
        """
        finals = self.final[(self.status == "completed") | (self.status == "censored")]
        finals = finals[~np.isnan(finals)]
        if not len(finals):
            raise DataError("no completed run to take the best of; give at least one completed curve")
        return float(self.metric.sign * (self.metric.sign * finals).max())

    def truncate(self, t_max: npt.ArrayLike) -> Curves:
        """What was known at time `t_max` (a number, or one a run): later points are gone.

        A run that loses points, or that had already lost them, is ``running``; its first point is
        always kept.
        """
        limit = np.broadcast_to(np.asarray(t_max, dtype=np.float64), (len(self),))
        keep = self.t <= limit[self.owner]
        keep[self.offsets[:-1][self.length > 0]] = True
        length = np.bincount(self.owner[keep], minlength=len(self)).astype(np.int64)
        return self._with(
            offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
            t=self.t[keep],
            values={name: column[keep] for name, column in self.values.items()},
            status=np.where(length < self.length, "running", self.status).astype(object),
        )

    def mirrored(self) -> Curves:
        """The same curves of the negated metrics; measurements that are no metric stay as they are."""
        declared = {m.name for m in self.metrics}
        return self._with(
            metric=self.metric.mirrored(),
            metrics=tuple(m.mirrored() for m in self.metrics),
            values={name: -column if name in declared else column for name, column in self.values.items()},
        )

    @classmethod
    def concat(cls, parts: Iterable[Curves]) -> Curves:
        """The runs of several `Curves` of the same metrics and time unit, one after another.

        What only some parts know (architecture, group, a hyperparameter) is unknown for the runs of the others.

        Raises:
            DataError: If there is no part, or metrics or time units differ.
        """
        from metalcx.curves._concat import concat

        return concat(list(parts))

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        metric: Metric,
        runs: pd.DataFrame | None = None,
        horizon: float | None = None,
        metrics: Iterable[Metric] = (),
        source: str = "curves",
        time_unit: str | None = None,
    ) -> Curves:
        """Read a long table ``run, t, value``.

        Args:
            df: One row a point, in any order. The primary metric's column is the metric's name or ``value``; pd.NA in a
                column of objects, as of a blank cell in a file, was not measured.
            metric: The primary metric, as declared by the person.
            runs: Optionally one row a run: ``run``, and optionally ``arch``, ``status``, ``group``;
                every other column is a hyperparameter. Where there is no status, a run whose values turn
                NaN or infinite is diverged at that point, a run that reaches the horizon is completed,
                any other is running.
            horizon: The t at which a run is complete; by default the largest t in the table.
            metrics: Further metrics whose columns, named alike, are kept.
            source: What the table is called in error messages, such as a file's name.
            time_unit: What t counts, such as ``epoch``.

        Raises:
            DataError: Names the source, the column, up to five offending runs, and the mend.
        """
        from metalcx.curves._frames import curves_from_frame

        curves = curves_from_frame(df, metric, runs, horizon, tuple(metrics), source)
        return replace(curves, time_unit=time_unit)

    @classmethod
    def from_wide(
        cls,
        df: pd.DataFrame,
        metric: Metric,
        runs: pd.DataFrame | None = None,
        horizon: float | None = None,
        source: str = "curves",
        time_unit: str | None = None,
    ) -> Curves:
        """Read a wide table: one row a run (its index is the run id), one column a time.

        A blank or NaN cell was not measured; a diverged step is an infinity.

        Raises:
            DataError: As `from_frame`; also if a column is no time, a run id repeats, or a row is all blank.
        """
        from metalcx.curves._frames import melt

        return cls.from_frame(melt(df, source), metric, runs, horizon, source=source, time_unit=time_unit)

    def to_frame(self) -> pd.DataFrame:
        """Long table ``run, t`` and one column a metric, one row a point."""
        import pandas as pd

        return pd.DataFrame({"run": self.ids[self.owner], "t": self.t, **self.values}).infer_objects()

    def to_wide(self) -> pd.DataFrame:
        """Primary metric, one row a run, one column a time; NaN where not measured."""
        import pandas as pd

        times, column = np.unique(self.t, return_inverse=True)
        table = np.full((len(self), len(times)), np.nan)
        table[self.owner, column] = self.y
        index = pd.Index(self.ids, name="run").infer_objects()
        return pd.DataFrame(table, index=index, columns=pd.Index(times, name="t"))

    def runs_frame(self) -> pd.DataFrame:
        """One row a run: ``run``, ``status``, ``arch`` and ``group`` where known, hyperparameters."""
        import pandas as pd

        known = {"run": self.ids, "status": self.status, "arch": self.arch, "group": self.group}
        frame = pd.DataFrame({name: column for name, column in known.items() if column is not None}).infer_objects()
        return frame if self.config is None else pd.concat([frame, self.config], axis=1)
