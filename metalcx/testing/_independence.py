"""Rules on what a forecast may depend on: the run's own past and the support, nothing else.

The docstring of a rule is the sentence that an error shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metalcx.curves import Curves
from metalcx.protocol import At
from metalcx.testing._synthetic import ACCURACY, power_laws, synthetic_curves, with_y
from metalcx.testing._trial import CUTS, HORIZON, Broken, Trial, column


def batch(trial: Trial) -> None:
    """The forecast of a run does not depend on which other queries are in its batch."""
    look = "anything computed over the batch: means, maxima, normalisation constants, shared step sizes"
    for i in range(len(trial.queries)):
        trial.same(trial.adapted.forecast(trial.queries.take([i]), HORIZON), trial.expected.take([i]), look)
    others = synthetic_curves(9, 6, seed=trial.seed + 2, prefix="o")
    mixed = trial.adapted.forecast(Curves.concat([trial.queries, others]), HORIZON)
    trial.same(mixed.take(np.arange(len(trial.queries))), trial.expected, look)


def order(trial: Trial) -> None:
    """The forecast of a run does not depend on the order of the queries."""
    other = np.random.default_rng(trial.seed).permutation(len(trial.queries))
    if (other == np.arange(len(other))).all():
        other = other[::-1]
    got = trial.adapted.forecast(trial.queries.take(other), HORIZON)
    trial.same(got, trial.expected.take(other), "sorting or grouping of queries that is not undone")


def padding(trial: Trial) -> None:
    """The forecast of a run does not depend on how much longer the other queries are."""
    t = np.linspace(0.05, HORIZON / 2, 300)[None]
    long = synthetic_curves(1, 300, seed=trial.seed + 3, prefix="long")
    long = replace(with_y(long, power_laws(np.random.default_rng(trial.seed), t)[0]), t=t[0])
    got = trial.adapted.forecast(Curves.concat([trial.queries, long]), HORIZON)
    trial.same(got.take(np.arange(len(trial.queries))), trial.expected, "masks, and sums or means over padded points")


def times(trial: Trial) -> None:
    """The forecast at one time does not depend on which other times are asked for."""
    together = trial.adapted.forecast(trial.queries, [6.0, float(HORIZON), 3.0 * HORIZON])
    trial.same(column(together, 1), trial.expected, "a time scale taken from the times asked for")


def look_ahead(trial: Trial) -> None:
    """Nothing after a run's last measured value influences its forecast, normalisation constants included."""
    runs = trial.runs_of(ACCURACY)
    seen = runs.t <= np.array(CUTS)[runs.owner]
    # What will happen later turns out quite otherwise: near the worst value, and near the best one.
    for later in (0.01, 0.99):
        changed = with_y(runs, np.where(seen, runs.y, later))
        trial.adapted.forecast(changed, HORIZON)
        again = trial.adapted.forecast(trial.queries, HORIZON)
        trial.same(again, trial.expected, "state that an earlier call of `forecast` leaves behind")
        one = Curves.concat([trial.queries.take([0]), replace(changed, status=trial.queries.status).take([1, 2, 3])])
        first = trial.adapted.forecast(one, HORIZON).take([0])
        trial.same(first, trial.expected.take([0]), "constants computed from what other queries showed later")
    unmeasured = replace(with_y(runs, np.where(seen, runs.y, np.nan)), status=trial.queries.status)
    got = trial.adapted.forecast(unmeasured, HORIZON)
    trial.same(got, trial.expected, "the run's end taken from times whose value is NaN (use `Curves.padded`)")


def ids(trial: Trial) -> None:
    """Run ids come back as given, in the order given, and say nothing about the forecast."""
    given = np.array(["z", 3, "a b", 10, "2"], dtype=object)
    renamed = trial.adapted.forecast(replace(trial.queries, ids=given), HORIZON)
    got = list(renamed.ids)
    if [(type(i), i) for i in got] != [(type(i), i) for i in given]:
        raise Broken(f"ids are {got}, expected {list(given)}. Look at: ids converted to text, or sorted")
    trial.same(renamed, trial.expected, "ids used as input, or to look up what other runs of that name did")


def at_forms(trial: Trial) -> None:
    """`at` may be a number, an array of times, an array (runs, times), or a mapping from run id to a number."""
    n = len(trial.queries)
    look = "`metalcx.protocol.resolve_at`, which turns every form into an array (runs, times)"
    forms: dict[str, tuple[At, tuple[int, ...]]] = {
        "a number": (float(HORIZON), (n,)),
        "an array": (np.array([float(HORIZON), 2.0 * HORIZON]), (n, 2)),
        "an array (runs, times)": (np.tile([float(HORIZON), 2.0 * HORIZON], (n, 1)), (n, 2)),
        "one number a run": (np.full((n, 1), float(HORIZON)), (n,)),
        "a mapping": ({i: float(HORIZON) for i in trial.queries.ids}, (n,)),
    }
    for name, (at, shape) in forms.items():
        got = trial.adapted.forecast(trial.queries, at)
        if got.mean.shape != shape:
            raise Broken(f"at as {name}: a mean of shape {got.mean.shape}, expected {shape}. Look at: {look}")
        trial.same(column(got, 0), trial.expected, look)


def no_queries(trial: Trial) -> None:
    """Zero queries give a forecast of zero runs."""
    got = trial.adapted.forecast(trial.queries.take([]), HORIZON)
    if len(got) or got.mean.shape != (0,):
        raise Broken(f"{len(got)} runs, mean of shape {got.mean.shape}, expected 0 and (0,). Look at: empty arrays")


def inputs(trial: Trial) -> None:
    """`adapt` and `forecast` leave the curves they are given as they were."""
    for name, curves in (("support", trial.support_of(ACCURACY)), ("queries", trial.queries_of(ACCURACY))):
        before = {"t": curves.t.copy(), "y": curves.y.copy(), "status": curves.status.copy(), "ids": curves.ids.copy()}
        if name == "support":
            trial.forecaster.adapt(curves)
        else:
            trial.adapted.forecast(curves, HORIZON)
        changed = [key for key, was in before.items() if not np.array_equal(was, getattr(curves, key))]
        if changed:
            raise Broken(
                f"{changed} of the {name} changed, expected the same. Look at: assignments into the curves' arrays"
            )


RULES = (batch, order, padding, times, look_ahead, ids, at_forms, no_queries, inputs)
