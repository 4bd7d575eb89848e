"""What a host said of one run, and many of these as `Curves`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora.importers._settings import flat
from metalcx.curves import Curves, Metric
from metalcx.curves._records import records
from metalcx.errors import DataError

#: An architecture as text (the JSON of a graph, or a name), or what makes that of hyperparameters.
Arch = str | Callable[[Mapping[str, Any]], str | None] | None


def arch_of(arch: Arch, config: Mapping[str, Any] | None) -> str | None:
    """The architecture of a run with these hyperparameters."""
    return arch(config or {}) if callable(arch) else arch


@dataclass
class Record:
    """One run as its host reported it.

    Attributes:
        run: Its id.
        config: Hyperparameters by name.
        arch: The architecture as text, or None.
        points: Value by time, ascending; NaN is "not measured".
        status: As in `Curves.status`.
    """

    run: str
    config: dict[str, Any] = field(default_factory=dict)
    points: dict[float, float] = field(default_factory=dict)
    status: str = "running"
    arch: str | None = None

    def add(self, metric: Metric, t: float, value: float, check_finite: bool = True) -> None:
        """A point. Points at later times are from before the host went back to a checkpoint: they are forgotten.

        Args:
            metric: What is measured.
            t: Time.
            value: Its value.
            check_finite: Whether a run diverges with its first value that is not finite; else that is not measured.

        Raises:
            DataError: If `t` is not finite or `value` leaves the metric's bounds.
        """
        if not math.isfinite(t):
            raise DataError(f"run {self.run!r}: t is {t}; report a finite time")
        if metric.outside(value):
            raise DataError(
                f"run {self.run!r}: {value:g} at t = {t:g} leaves the bounds [{metric.lower}, {metric.upper}] declared "
                f"for {metric.name!r}; declare wider ones"
            )
        if self.points and next(reversed(self.points)) >= t:
            self.points = {s: v for s, v in self.points.items() if s < t}
        self.status = "running"
        if not math.isfinite(value):
            self.status = "diverged" if check_finite else "running"
            value = math.inf if check_finite else math.nan
        self.points[t] = value


def to_curves(metric: Metric, records: Sequence[Record]) -> Curves:
    """The runs in their order, with their configurations."""
    import pandas as pd

    counts = [len(record.points) for record in records]
    points = [np.array(list(record.points.items()), dtype=np.float64).reshape(-1, 2) for record in records]
    t, y = np.concatenate([np.empty((0, 2)), *points]).T
    configs = [record.config for record in records]
    ids, status, arch = (np.empty(len(records), dtype=object) for _ in range(3))
    ids[:], status[:], arch[:] = [r.run for r in records], [r.status for r in records], [r.arch for r in records]
    return Curves(
        metric=metric,
        ids=ids,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        t=t,
        values={metric.name: y},
        status=status,
        config=pd.DataFrame(configs) if any(configs) else None,
        arch=None if all(text is None for text in arch) else arch,
    )


Runs = Curves | str | Path | None


def as_json(runs: Runs) -> Any:
    """Earlier runs, or the folder that keeps them, as JSON values, for a host that stores its callbacks' arguments."""
    if not isinstance(runs, Curves):
        return runs if runs is None else str(runs)
    configs = [{}] * len(runs) if runs.config is None else records(runs.config)
    points = [list(map(list, zip(run.t.tolist(), run.y.tolist(), strict=True))) for run in runs]
    archs = [None] * len(runs) if runs.arch is None else runs.arch
    names = ("run", "config", "points", "status", "arch")
    known = zip(map(str, runs.ids), map(flat, configs), points, runs.status, archs, strict=True)
    return [dict(zip(names, run, strict=True)) for run in known]


def from_json(runs: Runs | Sequence[Mapping[str, Any]], metric: Metric) -> Runs:
    """What `as_json` was given."""
    if runs is None or isinstance(runs, Curves | str | Path):
        return runs
    return to_curves(metric, [Record(**{**run, "points": dict(run["points"])}) for run in runs])


def of_metric(curves: Curves, metric: Metric) -> Curves:
    """`curves` with this as their only metric.

    Raises:
        DataError: If they measure no such metric, or declare another goal or other bounds for it.
    """
    alike = [m for m in curves.metrics if replace(m, unit=None) == replace(metric, unit=None)]
    if not alike:
        declared = ", ".join(map(str, curves.metrics))
        raise DataError(f"the earlier runs measure {declared}, this one {metric}; declare the same metric for both")
    return replace(curves, metric=metric, metrics=(metric,), values={metric.name: curves.values[metric.name]})
