"""Random search with the stop rule: runs are trained one after another, and hopeless ones are cut short."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.decide._record import Ledger, SearchRecord
from metalcx.decide._score import grown
from metalcx.decide._trials import Trials, as_order
from metalcx.decide._watch import MakeForecaster, Outcome, Watch, as_ended, check_delta, train_watched
from metalcx.protocol import Forecaster


@dataclass(frozen=True)
class EarlyStop:
    """Stop a run once it will hardly beat the best that was trained to its end.

    Source: Baker et al. 2018 (arXiv:1705.10823), section 5: the first `burn_in` runs are trained to the end, and from
    then on a run is stopped where P(its final value is below the best) is at least `delta`.

    Args:
        make: Makes the forecaster.
        R: Units of resource of a whole run, after each of which it is looked at.
        delta: How sure one has to be; above .995 nothing is stopped.
        burn_in: Runs that are trained to the end before one is stopped.
        growth: The forecaster is adapted again once the runs that ended have grown by this share.

    Raises:
        ValueError: If an argument is out of range.
    """

    make: MakeForecaster
    R: int
    delta: float = 0.95
    burn_in: int = 100
    growth: float = 0.2

    def __post_init__(self) -> None:
        check_delta(self.delta)
        if self.R < 1 or self.burn_in < 1 or not self.growth >= 0:
            raise ValueError(
                f"R and burn_in are at least 1, growth at least 0; got {self.R}, {self.burn_in}, {self.growth}"
            )


def random_search(
    trials: Trials,
    *,
    stop: EarlyStop | None = None,
    order: npt.ArrayLike | None = None,
    seed: int | None = None,
) -> SearchRecord:
    """Train runs one after another to their end, or until `stop` gives them up.

    Args:
        trials: What is trained.
        stop: The stop rule; None trains every run to its end.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        seed: Draws an order.

    Raises:
        DataError: If the order is none.
    """
    ledger = Ledger(trials)
    trainer = Trainer(ledger, stop)
    for row in as_order(trials, order, seed):
        trainer.train(int(row))
    return ledger.record()


@dataclass
class Trainer:
    """Trains single runs for a search, with the stop rule if there is one.

    Args:
        ledger: Of the search.
        rule: The stop rule; None trains every run to its end.
    """

    ledger: Ledger
    rule: EarlyStop | None
    _model: Forecaster | None = field(default=None, init=False)
    _learned: int = field(default=0, init=False)

    def train(self, row: int) -> Outcome:
        """Train one run."""
        horizon = self.ledger.trials.horizon
        if self.rule is None:
            return train_watched(self.ledger, row, np.array([horizon]), None)
        times = horizon * np.arange(1, self.rule.R + 1) / self.rule.R
        return train_watched(self.ledger, row, times, self._watch(self.rule))

    def _watch(self, rule: EarlyStop) -> Watch | None:
        best, ended = self.ledger.best, self.ledger.n_finished
        if ended < rule.burn_in or not np.isfinite(best):
            return None
        wanted = grown(ended, rule.burn_in, rule.growth)
        if wanted != self._learned:
            support = self.ledger.finished().take(np.arange(wanted))
            self._model, self._learned = rule.make().adapt(as_ended(support)), wanted
        assert self._model is not None
        return Watch(self._model, self.ledger.trials.horizon, best, rule.delta, "the best so far")
