"""Rules that a replay can follow: a stop policy over any forecaster, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.decide._advice import Advice, Progress
from metalcx.decide._outcome import orders_of
from metalcx.decide._policy import StopPolicy
from metalcx.decide._prefixes import PrefixForecasts, Recording
from metalcx.decide._replay import Replay, simulate
from metalcx.protocol import FloatArray

#: Support beyond which forecasts gain little and cost much: the time that they take grows with its square.
MOST_SUPPORT = 40

#: The same where a decision is waited for: adapting to another finished run stays within a fifth of a second.
MOST_SUPPORT_LIVE = 20


@dataclass(frozen=True)
class NoStopping:
    """Every run comes to its end."""

    most_stopped: float = 1.0

    def advise(self, progress: Progress) -> None:
        """Stop nobody."""
        return


@dataclass(frozen=True)
class PolicyRule:
    """A `StopPolicy` over recorded runs: the decisions that it would have taken live, from forecasts made at once.

    Args:
        policy: What to follow; its own model is not asked.
        forecasts: Of its model, adapted anew after each of `stages`, with its horizon and patience.
        stages: Numbers of finished runs after which the model is adapted to them; empty for a model taken as it is.
    """

    policy: StopPolicy
    forecasts: PrefixForecasts
    stages: tuple[int, ...]
    _known: dict[object, Advice] = field(default_factory=dict, repr=False, compare=False)

    @property
    def most_stopped(self) -> float:
        """The policy's."""
        return self.policy.most_stopped

    def advise(self, progress: Progress) -> Advice | None:
        """Whether P(beats the incumbent) is low, after each point of each run."""
        policy, recording = self.policy, self.forecasts.recording
        values = np.concatenate([recording.final[progress.finished], self._last(progress)])
        # Diverged runs are nothing to beat.
        values = np.sort(values[np.isfinite(values)])[::-1]
        reached = [stage for stage in self.stages if stage <= len(progress.finished)]
        if len(values) < max(policy.startup, policy.nth) or (self.stages and not reached):
            return None
        incumbent = float(values[policy.nth - 1]) - policy.margin
        support = tuple(progress.finished[: reached[-1]]) if reached else ()
        key = (support, incumbent)
        if key not in self._known:
            self._known[key] = self._advice(self.forecasts.beats(support, incumbent, policy.width), incumbent)
        return self._known[key]

    def _last(self, progress: Progress) -> FloatArray:
        """Values at which runs were stopped."""
        return self.forecasts.recording.padded.y[progress.stopped, np.array(progress.points, dtype=np.int64) - 1]

    def _advice(self, beats: FloatArray, incumbent: float) -> Advice:
        recording = self.forecasts.recording
        # Nothing asked is NaN, which is below nothing.
        low = (beats[:, :, : self.policy.patience] < self.policy.threshold).all(-1)
        may = (recording.t >= self.policy.grace) & (recording.points >= self.policy.patience)
        return Advice(low & may, beats[:, :, 0], incumbent)


def doublings(startup: int, runs: int, most: int = MOST_SUPPORT) -> tuple[int, ...]:
    """`startup`, and its doubles as long as they are neither above the number of `runs` nor above `most`."""
    steps = int(np.floor(np.log2(max(min(runs, most) / startup, 1.0))))
    return tuple(startup * 2**i for i in range(steps + 1))


def replay(
    curves: Curves,
    policy: StopPolicy,
    *,
    orders: int | Sequence[npt.ArrayLike] = 30,
    workers: int = 1,
    asks: int | None = 32,
    readapt: bool = True,
    seed: int = 0,
) -> list[Replay]:
    """What a stop policy would have done on past runs, in many orders.

    The policy's model is adapted to the runs that finish: to the first `StopPolicy.startup` of them, and again each
    time that their number has doubled, up to `MOST_SUPPORT`. Forecasts of all prefixes are made at once, and the replay
    walks through them; it decides as `StopPolicy.decide` does when it is asked after the same points with the same
    model, and with the horizon of that moment (the median last time of the completed among the runs that the model
    knows).

    Args:
        curves: Finished runs of one task; running ones are left out.
        policy: What to follow.
        orders: How many random orders, or the orders themselves: positions among the finished runs.
        workers: Runs that go on side by side, one point at a time.
        asks: How often a run is asked about at most, closer at its beginning; None for each point.
        readapt: Adapt the model to the finished runs; else it is used as given.
        seed: Of orders and of adaptation.

    Returns:
        One replay an order.

    Raises:
        DataError: If fewer than two runs are finished, or an order is none.
    """
    recording = Recording.of(curves, asks)
    n = len(recording)
    forecasts = PrefixForecasts(policy.model, recording, policy.horizon, policy.patience, seed)
    rule = PolicyRule(policy, forecasts, doublings(policy.startup, n) if readapt else ())
    chosen = orders_of(n, int(orders), seed) if isinstance(orders, int | np.integer) else orders
    return [simulate(recording, rule, order, workers) for order in chosen]
