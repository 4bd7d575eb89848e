"""Runs as their loggers wrote them, and how they become finished curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._gather import Part, gather, refuse_outside
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]

_SINGLE = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Series:
    """What was measured under one name, in the order of writing; nothing that was not measured.

    Attributes:
        t: Times, shape (n,).
        y: Values, shape (n,); NaN and inf are measurements.
        seconds: Seconds since the run's start, shape (n,), or None.
    """

    t: FloatArray
    y: FloatArray
    seconds: FloatArray | None = None


@dataclass(frozen=True)
class LoggedRun:
    """One run.

    Attributes:
        name: What it is called.
        series: Name -> measurements, for the names that were asked for and are there.
        tags: Every name that was logged.
        config: Hyperparameters.
        running: Whether the source says that it is still running.
        task: Its task, for sources of several.
    """

    name: str
    series: Mapping[str, Series]
    tags: Iterable[str] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    running: bool = False
    task: str | None = None


@dataclass(frozen=True)
class _Trace:
    """The points of one run, over the times of all its metrics."""

    run: LoggedRun
    points: pd.DataFrame
    diverged: bool

    @property
    def t(self) -> FloatArray:
        return self.points.index.to_numpy(dtype=np.float64)


def from_runs(
    src: Path, runs: Iterable[LoggedRun], options: ImportOptions, tally: Tally, format: str, time_unit: str
) -> Imported:
    """Curves of logged runs.

    Of a time that was logged twice, as after a restart, the last value counts. A run is diverged at its first value of
    the primary metric that is not finite (or leaves single precision), completed where it reaches the horizon, left out
    where it does not and the source says that it is running, and censored otherwise.

    Raises:
        DataError: If no run holds a declared metric (names those there are), or values leave their bounds.
    """
    metrics = declared(options, format)
    tags: dict[str, None] = {}
    traces: list[_Trace] = []
    for run in runs:
        tags |= dict.fromkeys(run.tags)
        trace = _trace(run, metrics, tally)
        if trace is not None:
            traces.append(trace)
    _refuse_absent(src, metrics, tags, traces)
    tasks: dict[str | None, list[_Trace]] = {}
    for trace in traces:
        tasks.setdefault(trace.run.task, []).append(trace)
    parts = [Part(task, _curves(mine, metrics, options, tally, time_unit)) for task, mine in tasks.items()]
    for part in parts:
        refuse_outside(part.curves, str(src))
    return gather(src, parts, metrics, options, time_unit)


def declared(options: ImportOptions, format: str) -> tuple[Metric, ...]:
    """The primary metric and the further ones, each once."""
    metric = options.required_metric(format)
    return metric, *(m for m in options.metrics if m.name != metric.name)


def chosen_time(options: ImportOptions, known: Sequence[str], where: object) -> str:
    """What t is: `options.time`, or the first of `known`.

    Raises:
        DataError: If it is not among `known`, or there is none.
    """
    if not known or options.time not in (None, *known):
        there = name_some(known, 10) if known else "none"
        raise DataError(f"{where}: no time {options.time or 'step'!r}; there is {there}. Choose one with --time")
    return options.time or known[0]


def _trace(run: LoggedRun, metrics: tuple[Metric, ...], tally: Tally) -> _Trace | None:
    """The points of a run, or None with a note in the tally."""
    import pandas as pd

    primary = metrics[0].name
    clean = {name: _settled(run, name, s, tally) for name, s in run.series.items()}
    if primary not in clean or clean[primary].empty:
        tally.skip(run.name, f"no value of {primary!r}")
        return None
    points = pd.concat({name: column["y"] for name, column in clean.items()}, axis=1).sort_index()
    timed = [column["seconds"] for column in clean.values() if "seconds" in column]
    if timed:
        points["seconds"] = pd.concat(timed).groupby(level=0).first()
    return _cut(run, points, primary, clean[primary]["y"], tally)


def _settled(run: LoggedRun, name: str, series: Series, tally: Tally) -> pd.DataFrame:
    """Columns y and perhaps seconds over ascending times, each once."""
    import pandas as pd

    columns = {"y": series.y} | ({} if series.seconds is None else {"seconds": series.seconds})
    frame = pd.DataFrame(columns, index=series.t, dtype=np.float64)
    timed = np.isfinite(series.t)
    again = frame.index.duplicated(keep="last") & timed
    for bad, why in ((~timed, "points without a time"), (again, "points at a time that was logged again later")):
        if bad.any():
            tally.skip(f"{run.name}: {int(bad.sum())} of {name!r}", why)
    if "seconds" in frame:
        frame["seconds"] = frame["seconds"].where(frame["seconds"] >= 0)
    return frame[timed & ~again].sort_index()


def _cut(run: LoggedRun, points: pd.DataFrame, primary: str, y: pd.Series[float], tally: Tally) -> _Trace:
    """End the run in one inf where `y`, the measurements of its primary metric, is first not finite."""
    broken = y[~(y.abs() <= _SINGLE)]
    if len(broken):
        points = points[points.index <= broken.index[0]].copy()
        points.loc[broken.index[0], primary] = -np.inf if broken.iloc[0] < 0 else np.inf
    others = [c for c in points.columns if c != primary]
    infinite = ~(points[others].abs() <= _SINGLE) & points[others].notna()
    for name, count in infinite[~points.index.isin(broken.index)].sum().items():
        if count:
            tally.skip(f"{run.name}: {count} of {name!r}", "infinite values of a further metric")
    points[others] = points[others].mask(infinite)
    measured = points.drop(columns="seconds", errors="ignore").notna().any(axis=1)
    return _Trace(run, points[measured], bool(len(broken)))


def _refuse_absent(src: Path, metrics: tuple[Metric, ...], tags: Mapping[str, None], traces: list[_Trace]) -> None:
    for k, metric in enumerate(metrics):
        there = traces if k == 0 else [t for t in traces if metric.name in t.points]
        if not there and tags:
            raise DataError(
                f"{src}: nothing was logged as {metric.name!r}; there is {name_some(sorted(tags), 10)}. "
                "Declare the metric under the name it has in the log"
            )


def _curves(
    traces: list[_Trace], metrics: tuple[Metric, ...], options: ImportOptions, tally: Tally, time_unit: str
) -> Curves:
    import pandas as pd

    ended = [t.t[-1] for t in traces if not t.run.running]
    horizon = options.horizon if options.horizon is not None else max(ended, default=np.inf)
    kept: list[tuple[_Trace, str]] = []
    for trace in traces:
        reached = trace.t[-1] >= horizon
        if trace.run.running and not reached and not trace.diverged:
            tally.skip(trace.run.name, "still running, says the source; --horizon says when a run is complete")
        else:
            kept.append((trace, "diverged" if trace.diverged else "completed" if reached else "censored"))
    names = [m.name for m in metrics] + ["seconds"] * any("seconds" in t.points for t, _ in kept)
    points = pd.concat([t.points.reindex(columns=names) for t, _ in kept]) if kept else pd.DataFrame(columns=names)
    return Curves(
        metric=metrics[0],
        metrics=metrics,
        ids=np.array([t.run.name for t, _ in kept], dtype=object),
        offsets=np.cumsum([0, *(len(t.points) for t, _ in kept)]),
        t=points.index.to_numpy(dtype=np.float64),
        values={name: points[name].to_numpy(dtype=np.float64) for name in names},
        status=np.array([status for _, status in kept], dtype=object),
        config=pd.DataFrame([dict(t.run.config) for t, _ in kept], dtype=object, index=range(len(kept))),
        time_unit=time_unit,
    )
