"""Rules on input that is ordinary although it is small, ragged, flat or broken.

The docstring of a rule is the sentence that an error shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metalcx.curves import Curves, Metric
from metalcx.protocol import Forecaster
from metalcx.testing._synthetic import ACCURACY, LOSS, diverge, hyperparameters, of_rows, synthetic_curves, with_y
from metalcx.testing._trial import HORIZON, Broken, Trial


def protocol(trial: Trial) -> None:
    """A forecaster has `adapt(support, *, steps=None, seed=0)` and `forecast(queries, at)`."""
    if not isinstance(trial.forecaster, Forecaster):
        raise Broken(f"{type(trial.forecaster).__name__} lacks one of them. Look at: `metalcx.protocol.Forecaster`")
    adapted = trial.forecaster.adapt(trial.support, steps=1, seed=trial.seed)
    if not isinstance(adapted, Forecaster):
        raise Broken(f"`adapt` returned {adapted!r:.80}, expected a forecaster. Look at: the return of `adapt`")
    trial.usable(trial.queries, forecaster=adapted)


def adapt(trial: Trial) -> None:
    """`adapt` returns a new forecaster and leaves the old one as it was."""
    look = "fields that `adapt` writes on self, and lists, dictionaries or tensors that old and new share"
    before = trial.forecaster.forecast(trial.queries, HORIZON)
    adapted = trial.forecaster.adapt(trial.support)
    if adapted is trial.forecaster:
        raise Broken(f"`adapt` returned the forecaster itself, expected a new object. Look at: {look}")
    trial.same(trial.forecaster.forecast(trial.queries, HORIZON), before, look)
    first = adapted.forecast(trial.queries, HORIZON)
    adapted.adapt(trial.support.take([0, 1]))
    trial.same(adapted.forecast(trial.queries, HORIZON), first, look)


def zero_support(trial: Trial) -> None:
    """Adapting to zero runs works, and forecasts like the base."""
    base = trial.usable(trial.queries, forecaster=trial.forecaster)
    got = trial.usable(trial.queries, forecaster=trial.forecaster.adapt(trial.support.take([])))
    trial.same(got, base, "what `adapt` does before it looks at the number of runs")


def one_support(trial: Trial) -> None:
    """A support of one run is ordinary input, even if that run has one point."""
    one = trial.support.take([0])
    trial.usable(trial.queries, forecaster=trial.forecaster.adapt(one))
    trial.usable(trial.queries, forecaster=trial.forecaster.adapt(replace(one.truncate(0.0), status=one.status)))


def one_point(trial: Trial) -> None:
    """A query of which one point has been seen is ordinary input, at any support size."""
    for forecaster in (trial.adapted, trial.forecaster):
        trial.usable(trial.queries.truncate(0.0), forecaster=forecaster)
    trial.usable(trial.queries.truncate(0.0).take([0]))


def diverged_support(trial: Trial) -> None:
    """Diverged and censored runs in the support are ordinary input, even where no other run is there."""
    for metric in (ACCURACY, LOSS):
        support, queries = trial.support_of(metric), trial.queries_of(metric)
        for after in ([None, 6, 1, None, None], [None, 0, None, None, 9], [4, 6, 1, 9, 2], [0, 0, 0, 0, 0]):
            trial.usable(queries, forecaster=trial.forecaster.adapt(diverge(support, after)))  # type: ignore[arg-type]
        stopped = replace(support.truncate([20.0, 7.0, 3.0, 20.0, 12.0]), status=_statuses("censored", 5))
        trial.usable(queries, forecaster=trial.forecaster.adapt(stopped))


def constant(trial: Trial) -> None:
    """Constant curves are ordinary input: in the support, in the queries, at zero, all alike."""
    for value in (0.0, 0.5):
        flat = with_y(trial.support, np.full_like(trial.support.y, value))
        still = with_y(trial.queries, np.full_like(trial.queries.y, value))
        for support, queries in ((flat, trial.queries), (trial.support, still), (flat, still)):
            trial.usable(queries, forecaster=trial.forecaster.adapt(support))
        trial.usable(still, forecaster=trial.forecaster)


def irregular(trial: Trial) -> None:
    """Irregular, ragged grids of times are ordinary input, also from zero on, below it, and before `at`."""

    def grid(n: int, seed: int, prefix: str) -> Curves:
        return synthetic_curves(n, HORIZON, seed=trial.seed + seed, prefix=prefix, irregular=True)

    support = grid(5, 4, "s")
    support = replace(support.truncate([30.0, 9.0, 30.0, 4.0, 15.0]), status=support.status)
    queries = grid(4, 5, "q").truncate([2.0, 7.5, 4.0, 11.0])
    for at in (float(HORIZON), 100.0 * HORIZON):
        trial.usable(queries, at, forecaster=trial.forecaster.adapt(support))
    for earlier in (1.0, 2.0 * HORIZON):
        begun = trial.forecaster.adapt(replace(trial.support, t=trial.support.t - earlier))
        started = replace(trial.queries, t=trial.queries.t - earlier)
        for asked in (started, started.truncate(-earlier)):
            trial.usable(asked, HORIZON - earlier if earlier > HORIZON else HORIZON, forecaster=begun)


def several_metrics(trial: Trial) -> None:
    """Further metrics beside the primary one, measured now and then, do no harm."""
    other = Metric("train_loss", "min", 0.0)

    def with_other(curves: Curves) -> Curves:
        measured = np.where(np.arange(len(curves.t)) % 3 == 0, 1.0 - curves.y, np.nan)
        return replace(curves, values={**curves.values, other.name: measured}, metrics=(curves.metric, other))

    got = trial.usable(with_other(trial.queries), forecaster=trial.forecaster.adapt(with_other(trial.support)))
    if got.metric != ACCURACY:
        raise Broken(
            f"the forecast is of {got.metric.name!r}, expected {ACCURACY.name!r}. Look at: use `Curves.metric`"
        )


def no_config(trial: Trial) -> None:
    """Runs without hyperparameters, and queries with others than the support's, are ordinary input."""
    bare = replace(trial.queries, config=None)
    trial.usable(bare, forecaster=trial.forecaster.adapt(replace(trial.support, config=None)))
    trial.usable(bare)
    other = hyperparameters(np.random.default_rng(trial.seed), len(trial.queries)).rename(columns={"lr": "rate"})
    trial.usable(replace(trial.queries, config=other))


def short_support(trial: Trial) -> None:
    """A support that ended before a query's last point is ordinary input."""
    t = [np.arange(1.0, 4.0)] * 3
    y = [np.array([0.2, 0.4, 0.5]) + 0.05 * i for i in range(3)]
    trial.usable(trial.queries, forecaster=trial.forecaster.adapt(of_rows(["s0", "s1", "s2"], t, y, ACCURACY)))


def _statuses(status: str, n: int) -> np.ndarray:
    return np.full(n, status, dtype=object)


RULES = (
    protocol, adapt, zero_support, one_support, one_point, diverged_support, constant, irregular, several_metrics,
    no_config, short_support,
)  # fmt: skip
