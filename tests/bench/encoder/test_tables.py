"""The encoder benchmark's numbers: measures of an order, regressions, paired differences and their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from metalcx.bench.encoder._baselines import features, fitted, normal_scores
from metalcx.bench.encoder._measures import MEASURES, measures, precision
from metalcx.bench.encoder._rows import MODELS
from metalcx.bench.encoder._spaces import read_space
from metalcx.bench.encoder._tables import ACROSS, ALONE, gains, interval
from metalcx.encoders import FlowSurrogate


def test_precision():
    values = np.arange(200.0)
    assert precision(values, values, 0.05) == 1.0
    assert precision(-values, values, 0.05) == 0.0
    # Who says nothing picks at random, whatever the order of the rows.
    for order in (values, values[::-1]):
        assert precision(np.zeros(200), order, 0.5) == pytest.approx(0.5, abs=0.1)
    assert measures(values, values)["tau"] == measures(values, values)["p@1%"] == pytest.approx(1.0)
    assert measures(np.zeros(200), values)["tau"] == 0.0


def made(rows: dict[str, list[float]], **about: object) -> pd.DataFrame:
    known = {"space": "s", "split": "group", "table": "t", **about}
    return pd.DataFrame(
        [
            {**known, "row": row, "run": run, **dict.fromkeys(MEASURES, tau)}
            for row, taus in rows.items()
            for run, tau in enumerate(taus)
        ]
    )


def test_differences_are_paired_by_run():
    # What the sides share from run to run is large, and falls out.
    shared = np.array([0.1, 0.5, 0.3, 0.7])
    more = shared + np.array([0.05, 0.06, 0.04, 0.05])
    found = made({"gin/none": [*shared], "gin/flow": [*more], "gin/flow@all": [*shared], "counts/trees": [*more]})
    shuffled = found.sample(frac=1.0, random_state=0)
    rows = {(row["row"], row["over"]): row for row in gains(shuffled, ALONE)}
    assert set(rows) == {("gin/flow", "gin/none"), ("gin/flow@all", "gin/none"), ("gin/flow@all", "gin/flow")}
    row = rows["gin/flow", "gin/none"]
    assert row["tau"] == pytest.approx(0.05)
    assert 0.04 <= row["tau_low"] < 0.05 < row["tau_high"] <= 0.06
    assert row["tau_p"] < 0.01
    assert rows["gin/flow@all", "gin/flow"]["tau"] == pytest.approx(-0.05)
    assert np.isnan(rows["gin/flow@all", "gin/none"]["tau_p"]), "no difference, and none between differences"
    # Other runs on both sides cannot be paired.
    own = found[found.row != "gin/flow@all"]
    assert not list(gains(own[(own.row != "gin/none") | (own.run > 0)], ALONE))


def test_transfer_is_compared_with_none_at_the_same_labels():
    parts = [
        made({"counts/trees": [tau, tau + 0.1]}, labels=labels, transfer=transfer)
        for tau, labels, transfer in (
            (0.2, 20, False),
            (0.5, 20, True),
            (0.6, 78, False),
            (0.65, 78, True),
            (0.4, 0, True),
        )
    ]
    rows = list(gains(pd.concat(parts), ACROSS))
    assert [(r["labels"], r["over"]) for r in rows] == [(20, "without transfer"), (78, "without transfer")]
    assert [r["tau"] for r in rows] == pytest.approx([0.3, 0.05])


def test_intervals_cover():
    """Of means of normal differences: near 95 %, less for nine runs, as bootstraps are narrow then."""
    rng = np.random.default_rng(0)
    hits = [low < 0.3 < high for low, high in (interval(rng.normal(0.3, 1, 9)) for _ in range(300))]
    assert 0.85 < np.mean(hits) < 0.97
    assert interval(np.full(9, 0.1)) == pytest.approx((0.1, 0.1))


def test_normal_scores_know_only_the_order():
    values = np.array([3.0, -1e9, 4.0, 3.5])
    np.testing.assert_allclose(normal_scores(values), norm.ppf([0.375, 0.125, 0.875, 0.625]))
    np.testing.assert_allclose(normal_scores(np.exp(values / 10)), normal_scores(values))


def test_regressions_rank_from_few_labels(data):
    space = read_space(data / "cells")
    table, surrogate = space.tables[0], FlowSurrogate(k=7, std=0.1)
    counts, flow, both = (features(space, what, surrogate) for what in ("counts", "surrogate", "surrogate+counts"))
    assert flow.shape == (300, 7)
    np.testing.assert_array_equal(both[:, :-1], np.hstack([flow, counts]))
    np.testing.assert_allclose(both[:, -1], np.log1p(space.proxy[1]))
    for model in MODELS:
        for x, least in ((counts, 0.7), (flow, 0.2), (both, 0.6)):
            guess = fitted(model, x[:60], table.values[:60], 0).predict(x[60:])
            assert measures(guess, table.values[60:])["tau"] > least, (model, x.shape)
