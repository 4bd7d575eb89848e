"""What `runs.parquet` says of runs, held only while the points of these runs are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora._format import CURVES, RUNS
from metalcx.corpora._points import IntArray
from metalcx.corpora._report import Findings

BoolArray = npt.NDArray[np.bool_]


class OutOfOrderError(Exception):
    """A point belongs to a run that was left behind, so that the file is not sorted."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that checking the points of some runs needs, one run after another.

    Attributes:
        n_points: Points it should have, shape (runs,).
        diverged: Whether it diverged, shape (runs,).
        metric: Position of its task's primary metric among the declared ones, -1 where unknown, shape (runs,).
    """

    n_points: IntArray
    diverged: BoolArray
    metric: npt.NDArray[np.int16]

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.n_points)

    def after(self, skipped: int) -> RunFacts:
        """All but the first ones, copied so that these need not be kept."""
        return RunFacts(self.n_points[skipped:].copy(), self.diverged[skipped:].copy(), self.metric[skipped:].copy())

    @classmethod
    def concat(cls, parts: list[RunFacts]) -> RunFacts:
        """Several pieces, one after another."""
        columns = ([getattr(part, name) for part in parts] for name in ("n_points", "diverged", "metric"))
        return cls(*map(np.concatenate, columns))


class RunWindow:
    """The runs to which the next points may belong, and how many points each of them had.

    Both files are sorted by run, so that a run is done with as soon as a later one begins: its points are counted, and
    it is left behind. Memory is that of a batch, however many runs there are.

    Args:
        facts: All runs, piece by piece.
        total: How many they are.
        findings: Is told of counts that are wrong.
        whole: Hold all runs to the end, for points that are in no order.
    """

    def __init__(self, facts: Iterator[RunFacts], total: int, findings: Findings, whole: bool = False) -> None:
        self.total = total
        self._facts, self._findings, self._whole = facts, findings, whole
        self._first = 0
        self._held = RunFacts(np.empty(0, np.int64), np.empty(0, bool), np.empty(0, np.int16))
        self._counts = np.empty(0, dtype=np.int64)

    def count(self, run: IntArray) -> None:
        """Take in the points of a batch, which belong to these runs.

        Raises:
            OutOfOrderError: If one of them was left behind.
        """
        if not len(run):
            return
        first, last = int(run.min()), int(run.max())
        if first < self._first:
            raise OutOfOrderError
        self._reach(last)
        # Of a sorted file, a batch holds a few runs of many.
        place = slice(first - self._first, last - self._first + 1)
        self._counts[place] += np.bincount(run - first, minlength=last - first + 1)

    def _reach(self, last: int) -> None:
        parts = [self._held]
        end = self._first + len(self._held)
        while end <= last:
            parts.append(next(self._facts))
            end += len(parts[-1])
        if len(parts) > 1:
            self._held = RunFacts.concat(parts)
            self._counts = np.concatenate([self._counts, np.zeros(end - self._first - len(self._counts), np.int64)])

    def diverged(self, run: IntArray, known: BoolArray) -> BoolArray:
        """Whether each of these runs diverged; False where it is not known."""
        return self._of(self._held.diverged, run, known, False)

    def metric(self, run: IntArray, known: BoolArray) -> npt.NDArray[np.int16]:
        """Position of the primary metric of each of these runs; -1 where it is not known."""
        return self._of(self._held.metric, run, known, -1)

    def _of(self, column: npt.NDArray[Any], run: IntArray, known: BoolArray, otherwise: Any) -> npt.NDArray[Any]:
        if known.all():
            return column[run - self._first]
        found = np.full(len(run), otherwise, dtype=column.dtype)
        found[known] = column[run[known] - self._first]
        return found

    def leave(self, run: int) -> None:
        """The runs before this one are done with."""
        done = run - self._first
        if done > 0 and not self._whole:
            self._check(done)
            self._held, self._counts = self._held.after(done), self._counts[done:].copy()
            self._first = run

    def finish(self) -> None:
        """No points are left: those that are held are done with, and the runs that come have none."""
        self._check(len(self._held))
        first = self._first + len(self._held)
        for piece in self._facts:
            self._first, self._held, self._counts = first, piece, np.zeros(len(piece), dtype=np.int64)
            self._check(len(piece))
            first += len(piece)

    def _check(self, done: int) -> None:
        bad = self._counts[:done] != self._held.n_points[:done]
        if bad.any():
            i = int(np.argmax(bad))
            run = self._first + i
            message = f"run {run} has {self._counts[i]} points in {CURVES}, and this says {self._held.n_points[i]}"
            self._findings.add(RUNS, f"{message}; correct the count", run, "n_points", "points", int(bad.sum()))
