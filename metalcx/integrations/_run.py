"""One training that is reported point by point: what the hosts of a single training share."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from metalcx.decide import Decision, StopPolicy
from metalcx.integrations._board import Board
from metalcx.integrations._policy import judge

_COUNT = itertools.count()


class Run:
    """One training among others.

    Args:
        board: The runs among which it stands.
        policy: Decides whether it goes on.
        name: Its id; by default a new one. A run that the board's folder has is taken up where it was.
        config: Hyperparameters.
        horizon: Time at which this training ends by itself, where the policy names none.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.

    Attributes:
        decision: The last decision, or None.
        stopped: Whether it was stopped.
    """

    def __init__(
        self,
        board: Board,
        policy: StopPolicy,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        horizon: float | None = None,
        check_finite: bool = True,
    ) -> None:
        self.name = name if name is not None else new_name()
        self.policy = replace(policy, horizon=horizon) if policy.horizon is None else policy
        self.check_finite = check_finite
        self.decision: Decision | None = None
        self.stopped = False
        self._board = board
        self._record = self._board.start(self.name, config)

    def report(self, t: float, value: float) -> Decision:
        """Tell the value at time `t`; what was told of later times before a restart is forgotten.

        Raises:
            DataError: If `t` is not finite or `value` leaves the metric's bounds.
        """
        self._board.report(self.name, float(t), float(value), self.check_finite)
        self.decision = judge(self.policy, self._board.curves(self.name))
        self.stopped = self.decision.stop
        return self.decision

    def end(self, stopped: bool = False) -> None:
        """The training ended: completed if it got to its horizon, censored if it was stopped before.

        Args:
            stopped: That it was, where that was decided before a restart.
        """
        horizon = self.policy.horizon
        last = max(self._record.points, default=-float("inf"))
        self.stopped |= stopped
        short = self.stopped or (horizon is not None and last < horizon)
        if self._record.status == "running" and self._record.points:
            self._board.end(self.name, "censored" if short else "completed")

    def points(self) -> list[tuple[float, float]]:
        """What was told so far."""
        return list(self._record.points.items())

    def restore(self, points: list[tuple[float, float]]) -> None:
        """Take up what a checkpoint holds, without a decision."""
        known = self.points()
        agree = len(known) >= len(points) and known[: len(points)] == [tuple(p) for p in points]
        for t, value in () if agree else points:
            self._board.report(self.name, t, value, check_finite=value == value and self.check_finite)


def new_name() -> str:
    """An id that no other run has: when it began, and in which process."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_COUNT)}"
