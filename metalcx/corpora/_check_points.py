"""The rules of `curves.parquet`, checked a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.corpora._format import CURVES, MANIFEST, RUNS, SECONDS
from metalcx.corpora._points import IntArray, Points
from metalcx.corpora._report import Findings
from metalcx.corpora._run_facts import BoolArray, RunWindow
from metalcx.curves import Metric


@dataclass(slots=True)
class PointChecker:
    """Feed it the points in order, then call `finish`. Memory: one batch, and the runs to which its points belong.

    Only the last row of the batch before is kept: each rule compares a row with the one before it.
    """

    metrics: tuple[Metric, ...]
    runs: RunWindow
    findings: Findings
    row: int = 0
    _run: int = -1
    _t: float = -np.inf
    _any_inf: bool = False
    _ends_inf: bool = False
    _finite: bool = False

    def feed(self, points: Points) -> None:
        """Check the next rows of the file.

        Raises:
            OutOfOrderError: If a row belongs to a run that was left behind.
        """
        if not len(points):
            return
        n = self.runs.total
        run = points.run.astype(np.int64)
        known = self._known(run)
        self._note(~known, "run", f"is no run number from 0 to {n - 1}; {RUNS} has {n} rows")
        self.runs.count(run[known])
        before = np.concatenate([[self._run], run[:-1]])
        same = run == before
        self._note(run < before, "run", "goes back; sort the file by (run, t)")
        self._times(points.t, same)
        any_inf, ends_inf, finite = self._values(points, self.runs.metric(run, known))
        self._divergence(before, same, self.runs.diverged(run, known), any_inf, ends_inf, finite)
        self._run, self._t = int(run[-1]), float(points.t[-1])
        self._any_inf, self._ends_inf, self._finite = bool(any_inf[-1]), bool(ends_inf[-1]), bool(finite[-1])
        self.row += len(points)
        if known[-1]:
            self.runs.leave(self._run)

    def finish(self) -> None:
        """Check what only the end of the file shows."""
        last = np.array([self._run])
        if self.runs.diverged(last, self._known(last)).any() and not self._ends_inf:
            self.findings.add(CURVES, self._no_end(), self.row - 1, "run")
        self.runs.finish()

    def _known(self, run: IntArray) -> BoolArray:
        return np.asarray((run >= 0) & (run < self.runs.total))

    def _times(self, t: npt.NDArray[np.float64], same: BoolArray) -> None:
        self._note(~np.isfinite(t), "t", "is not finite; every point needs a time")
        with np.errstate(invalid="ignore"):
            step = t - np.concatenate([[self._t], t[:-1]])
        self._note(same & (step < 0), "t", "goes back within a run; sort the file by (run, t)")
        self._note(same & (step == 0), "t", "repeats within a run; keep one row for each (run, t)")

    def _values(self, points: Points, primary: npt.NDArray[np.int16]) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Bounds; and for each row whether any metric is inf, the primary one is, and any is finite."""
        any_inf, ends_inf, finite = (np.zeros(len(points), dtype=bool) for _ in range(3))
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
            message = "is no time since the start of the run; write seconds from 0, or NaN where there are none"
            self._note(np.isinf(seconds) | (seconds < 0), SECONDS, message)
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
        inf_before, end_before, finite_before = (
            np.concatenate([[first], flags[:-1]])
            for first, flags in ((self._any_inf, any_inf), (self._ends_inf, ends_inf), (self._finite, finite))
        )
        self._note(
            any_inf & ~diverged,
            "run",
            "holds inf, and the run's status is not 'diverged'; correct one of them",
        )
        self._note(same & inf_before, "run", "goes on after an inf; a diverged run ends in one inf")
        self._note(
            any_inf & same & ~finite_before & ~inf_before, "run", "holds an inf that does not follow a finite point"
        )
        closed = ~same & self._known(before)
        # The row complained about is the last one of the run before: one back.
        broken = ~end_before & self.runs.diverged(before, closed)
        self.findings.add_rows(CURVES, broken, self.row - 1, "run", self._no_end())

    @staticmethod
    def _no_end() -> str:
        return "is the last of a diverged run and holds no inf in the task's metric; a diverged run ends in one inf"

    def _note(self, bad: BoolArray, column: str, message: str) -> None:
        self.findings.add_rows(CURVES, bad, self.row, column, message)
