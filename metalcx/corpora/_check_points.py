"""The rules of `curves.parquet`, checked a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.corpora._format import CURVES, MANIFEST, RUNS, SECONDS
from metalcx.corpora._points import IntArray, Points
from metalcx.corpora._report import Findings
from metalcx.curves import Metric

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What `runs.parquet` says about each run: all that checking its points needs, a few bytes a run.

    Attributes:
        n_points: Points it should have, shape (runs,).
        diverged: Whether it diverged, shape (runs,).
        metric: Position of its task's primary metric among the declared ones, -1 where unknown, shape (runs,).
    """

    n_points: IntArray
    diverged: BoolArray
    metric: npt.NDArray[np.int16]


@dataclass(slots=True)
class PointChecker:
    """Feed it the points in order, then call `finish`. Memory: eight bytes a run, and one batch.

    Only the last row of the batch before is kept: each rule compares a row with the one before it.
    """

    metrics: tuple[Metric, ...]
    facts: RunFacts
    findings: Findings
    row: int = 0
    counts: IntArray = field(init=False)
    _run: int = -1
    _t: float = -np.inf
    _any_inf: bool = False
    _ends_inf: bool = False
    _finite: bool = False

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.facts.n_points), dtype=np.int64)

    def feed(self, points: Points) -> None:
        """Check the next rows of the file."""
        if not len(points):
            return
        n = len(self.counts)
        run = points.run.astype(np.int64)
        known = (run >= 0) & (run < n)
        self._note(~known, "run", f"is no run number from 0 to {n - 1}; {RUNS} has {n} rows")
        owner = np.where(known, run, 0)
        self._count(run[known])
        before = np.concatenate([[self._run], run[:-1]])
        same = run == before
        self._note(run < before, "run", "goes back; sort the file by (run, t)")
        self._times(points.t, same)
        any_inf, ends_inf, finite = self._values(points, owner)
        self._divergence(before, same, known & self.facts.diverged[owner] if n else known, any_inf, ends_inf, finite)
        self._run, self._t = int(run[-1]), float(points.t[-1])
        self._any_inf, self._ends_inf, self._finite = bool(any_inf[-1]), bool(ends_inf[-1]), bool(finite[-1])
        self.row += len(points)

    def _count(self, run: IntArray) -> None:
        """Points of each run in a batch; of a sorted file it holds a few runs of many."""
        if len(run):
            first, last = int(run.min()), int(run.max())
            self.counts[first : last + 1] += np.bincount(run - first, minlength=last - first + 1)

    def finish(self) -> None:
        """Check what only the end of the file shows."""
        if 0 <= self._run < len(self.counts) and self.facts.diverged[self._run] and not self._ends_inf:
            self.findings.add(CURVES, self._no_end(), self.row - 1, "run")
        bad = self.counts != self.facts.n_points
        if bad.any():
            i = int(np.argmax(bad))
            found, said = self.counts[i], self.facts.n_points[i]
            message = f"run {i} has {found} points in {CURVES}, and this says {said}; correct the count"
            self.findings.add(RUNS, message, i, "n_points", count=int(bad.sum()))

    def _times(self, t: npt.NDArray[np.float64], same: BoolArray) -> None:
        self._note(~np.isfinite(t), "t", "is not finite; every point needs a time")
        with np.errstate(invalid="ignore"):
            step = t - np.concatenate([[self._t], t[:-1]])
        self._note(same & (step < 0), "t", "goes back within a run; sort the file by (run, t)")
        self._note(same & (step == 0), "t", "repeats within a run; keep one row for each (run, t)")

    def _values(self, points: Points, owner: IntArray) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Bounds; and for each row whether any metric is inf, the primary one is, and any is finite."""
        any_inf, ends_inf, finite = (np.zeros(len(points), dtype=bool) for _ in range(3))
        primary = self.facts.metric[owner] if len(self.counts) else np.full(len(points), -1)
        for k, metric in enumerate(self.metrics):
            value = points.values[metric.name]
            infinite, known = np.isinf(value), np.isfinite(value)
            any_inf |= infinite
            ends_inf |= infinite & (primary == k)
            finite |= known
            bounds = f"[{metric.lower}, {metric.upper}] that {MANIFEST} declares"
            message = f"leaves the bounds {bounds}; correct the values or the bounds"
            self._note(metric.outside(value), metric.name, message)
        if SECONDS in points.values:
            seconds = points.values[SECONDS]
            self._note(np.isinf(seconds) | (seconds < 0), SECONDS, "is no time since the start of the run")
        return any_inf, ends_inf, finite

    def _divergence(
        self,
        before: IntArray,
        same: BoolArray,
        diverged: BoolArray,
        any_inf: BoolArray,
        ends_inf: BoolArray,
        finite: BoolArray,
    ) -> None:
        """One inf, in the primary metric, in the last row of each diverged run and nowhere else."""
        n = len(self.counts)
        inf_before, end_before, finite_before = (
            np.concatenate([[first], flags[:-1]])
            for first, flags in ((self._any_inf, any_inf), (self._ends_inf, ends_inf), (self._finite, finite))
        )
        self._note(any_inf & ~diverged, "run", "holds inf, and the run's status is not 'diverged'")
        self._note(same & inf_before, "run", "goes on after an inf; a diverged run ends in one inf")
        self._note(
            any_inf & same & ~finite_before & ~inf_before, "run", "holds an inf that does not follow a finite point"
        )
        closed = ~same & (before >= 0) & (before < n)
        # The row complained about is the last one of the run before: one back.
        broken = closed & ~end_before & self.facts.diverged[np.where(closed, before, 0)] if n else closed
        self.findings.add_rows(CURVES, broken, self.row - 1, "run", self._no_end())

    @staticmethod
    def _no_end() -> str:
        return "is the last of a diverged run and holds no inf in the task's metric; a diverged run ends in one inf"

    def _note(self, bad: BoolArray, column: str, message: str) -> None:
        self.findings.add_rows(CURVES, bad, self.row, column, message)
