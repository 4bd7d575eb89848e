"""What a rule of stopping is asked in a replay, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from metalcx.decide._prefixes import BoolArray
from metalcx.protocol import FloatArray


@dataclass(frozen=True)
class Advice:
    """What a rule says of every run after every point that it is asked about, as long as nothing else happens.

    Attributes:
        low: Whether the run is to be stopped there, shape (n, m).
        score: Who is stopped first where not all may be: the lowest; NaN where nothing was asked; shape (n, m).
        incumbent: The oriented value that a run has to beat; NaN if there is none.
    """

    low: BoolArray
    score: FloatArray
    incumbent: float = float("nan")


@dataclass
class Progress:
    """What has happened so far.

    Attributes:
        finished: Runs that came to their end, in that order.
        stopped: Runs that were stopped.
        points: After how many points each of those was.
    """

    finished: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)


class StopRule(Protocol):
    """Decides which runs are stopped when; knows of the recording what has happened so far."""

    @property
    def most_stopped(self) -> float:
        """The largest share of the runs started that may be stopped."""
        ...

    def advise(self, progress: Progress) -> Advice | None:
        """What holds until another run ends; None to stop nobody."""
        ...
