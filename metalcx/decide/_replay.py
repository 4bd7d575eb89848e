"""Past runs replayed as if they were live: what a rule would have stopped, saved and lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.decide._advice import Advice, Progress, StopRule
from metalcx.decide._decision import plain
from metalcx.decide._outcome import Outcome, outcome
from metalcx.decide._prefixes import IntArray, Recording
from metalcx.errors import DataError

#: Later than any point.
NEVER = np.iinfo(np.int64).max // 2


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        clock: When: in points, the workers' runs taking one each at a time.
        run: Position of the run.
        what: ``started``, ``stopped`` or ``finished``.
        points: Points of the run so far.
        score: By which it was stopped; NaN otherwise.
        incumbent: Oriented value that it had to beat; NaN if there was none.
    """

    clock: int
    run: int
    what: str
    points: int
    score: float = float("nan")
    incumbent: float = float("nan")


@dataclass(frozen=True)
class Replay:
    """What came of one order.

    Attributes:
        recording: The runs.
        order: In which they were started.
        workers: Side by side.
        events: All that happened, in order.
    """

    recording: Recording = field(repr=False)
    order: IntArray = field(repr=False)
    workers: int
    events: tuple[Event, ...] = field(repr=False)

    @property
    def kept(self) -> IntArray:
        """Runs that came to their end, in that order."""
        return np.array([e.run for e in self.events if e.what == "finished"], dtype=np.int64)

    @property
    def stopped(self) -> IntArray:
        """Runs that were stopped, in that order."""
        return np.array([e.run for e in self.events if e.what == "stopped"], dtype=np.int64)

    @property
    def spent(self) -> int:
        """Points of all runs together."""
        return sum(e.points for e in self.events if e.what != "started")

    @property
    def clock(self) -> int:
        """When the last run ended."""
        return max(e.clock for e in self.events)

    @property
    def outcome(self) -> Outcome:
        """What it saved and lost."""
        return outcome(self.recording, self.kept, self.spent)

    def time(self, event: Event) -> float:
        """Time of the run's point at which something happened; NaN before the first."""
        return float(self.recording.padded.t[event.run, event.points - 1]) if event.points else float("nan")

    def timeline(self) -> list[dict[str, Any]]:
        """All events as JSON values: ``clock, run, what, points, t, score, incumbent``; what is not known is None."""
        curves = self.recording.curves
        return [
            {
                "clock": e.clock,
                "run": plain(curves.ids[e.run]),
                "what": e.what,
                "points": e.points,
                "t": plain(self.time(e)),
                "score": plain(e.score),
                "incumbent": plain(curves.metric.sign * e.incumbent),
            }
            for e in self.events
        ]


def simulate(recording: Recording, rule: StopRule, order: npt.ArrayLike | None = None, workers: int = 1) -> Replay:
    """Replay the runs in one order.

    All workers take one point at a time. After each, runs at their end are finished, then the rule is asked about the
    others, and a freed worker starts the next run, which takes its first point along with the others' next one.

    Args:
        recording: The runs.
        rule: Decides what is stopped.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        workers: Runs that go on side by side.

    Raises:
        DataError: If the order is not one of all runs.
        ValueError: If there is no worker.
    """
    n = len(recording)
    given = np.arange(n) if order is None else np.asarray(order, dtype=np.int64)
    if sorted(given.tolist()) != list(range(n)):
        raise DataError(f"an order holds the position of each of the {n} runs once; give a permutation of 0 to {n - 1}")
    if workers < 1:
        raise ValueError(f"workers is at least 1; got {workers}")
    floor = _Floor(recording, rule, given.tolist()[::-1], workers)
    while floor.busy:
        floor.step()
    return Replay(recording, given, workers, tuple(floor.events))


class _Floor:
    """The workers, from one moment at which something happens to the next."""

    def __init__(self, recording: Recording, rule: StopRule, waiting: list[int], workers: int) -> None:
        self.recording, self.rule, self.waiting, self.workers = recording, rule, waiting, workers
        self.clock = 0
        self.progress = Progress()
        self.events: list[Event] = []
        self.busy: dict[int, int] = {}
        self._length = recording.length.tolist()
        self._status = recording.curves.status.tolist()
        points = recording.points.tolist()
        # Number of the question that comes after so many points, and the one asked just there.
        self._after = np.searchsorted(points, np.arange(max(self._length) + 1), side="right").tolist()
        self._at = {p: j for j, p in enumerate(points)}
        self._points = recording.points
        self._hear()
        self._start()

    def _start(self) -> None:
        while self.waiting and len(self.busy) < self.workers:
            run = self.waiting.pop()
            self.busy[run] = self.clock
            self.events.append(Event(self.clock, run, "started", 0))

    def _hear(self) -> None:
        advice = self.rule.advise(self.progress)
        if advice is not None and (self.advice is None or advice.low is not self.advice.low):
            wait = np.where(advice.low, self._points, NEVER)
            later = np.minimum.accumulate(wait[:, ::-1], axis=1)[:, ::-1]
            # Where the next question is that would stop the run, from each question on; the last column is none.
            self._next = np.column_stack([later, np.full(len(later), NEVER)])
        self.advice = advice

    advice: Advice | None = None

    def _moment(self, run: int, start: int) -> int:
        """When something may happen to a run next."""
        end = self._length[run]
        if self.advice is None:
            return start + end
        ahead = int(self._next[run, self._after[self.clock - start]])
        return start + min(end, ahead)

    def step(self) -> None:
        """Go to the next moment, end what ends there, and start others."""
        self.clock = min(self._moment(run, start) for run, start in self.busy.items())
        over = [run for run, start in self.busy.items() if self.clock - start == self._length[run]]
        for run in over:
            del self.busy[run]
            self.progress.finished.append(run)
            self.events.append(Event(self.clock, run, "finished", self._length[run]))
        if over:
            self._hear()
        self._stop()
        self._start()

    def _stop(self) -> None:
        if self.advice is None:
            return
        low, score = self.advice.low, self.advice.score
        asked = [(run, self.clock - start) for run, start in self.busy.items()]
        advised = [(run, p) for run, p in asked if p in self._at and low[run, self._at[p]]]
        advised.sort(key=lambda pair: score[pair[0], self._at[pair[1]]])
        ended = advised[: self._room()]
        others = self._completed() + len(asked) - len(ended)
        # Somebody has to be left, as `StopPolicy` has it.
        for run, p in ended if others else ended[:-1]:
            del self.busy[run]
            self.progress.stopped.append(run)
            self.progress.points.append(p)
            about = float(score[run, self._at[p]]), self.advice.incumbent
            self.events.append(Event(self.clock, run, "stopped", p, *about))
        if ended:
            self._hear()

    def _room(self) -> int:
        """How many more may be stopped."""
        if self.rule.most_stopped >= 1:
            return len(self.busy)
        started = len(self.busy) + len(self.progress.finished) + len(self.progress.stopped)
        cut_short = sum(self._status[run] == "censored" for run in self.progress.finished)
        gone = len(self.progress.stopped) + cut_short
        return max(int(self.rule.most_stopped * started + 1e-9) - gone, 0)

    def _completed(self) -> int:
        return sum(self._status[run] == "completed" for run in self.progress.finished)
