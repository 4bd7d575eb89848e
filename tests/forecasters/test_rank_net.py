"""The pairwise ranker: its rules, its probabilities, what changes nothing, what adaptation learns, what is kept."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from strategies import ACCURACY, make

from metalcx import hub
from metalcx.decide import StopPolicy
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import DataError, ModelError
from metalcx.forecasters import Baseline, RankNet
from metalcx.forecasters._base import Support
from metalcx.forecasters._few_shot import InnerLoop, trajectory
from metalcx.forecasters._rank_network import RankConfig, RankNetwork
from metalcx.testing import check_forecaster, synthetic_curves

from .test_traits import CELL, OTHER

SMALL = RankConfig(channels=3, hidden=8)
ENCODER = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
READING = replace(SMALL, arch=ENCODER.width)
SUPPORT = synthetic_curves(20, 12, seed=1)
QUERIES = synthetic_curves(5, 12, seed=2).truncate(np.array([2.0, 3, 5, 7, 9]))


def shaken(config: RankConfig = SMALL, seed: int = 0, **known) -> RankNet:
    """A model of random weights, none of which is 0."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = RankNetwork(config).eval()
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    return RankNet(config, network, **known)


def told(curves, cells=(CELL, OTHER)):
    """The same runs, which have an architecture and a learning rate each."""
    n = len(curves)
    arch = np.array([cells[i % len(cells)] for i in range(n)], dtype=object)
    return replace(curves, arch=arch, config=pd.DataFrame({"lr": np.logspace(-4, 0, n)}))


def heard(model: RankNet) -> RankNet:
    """The same model, which listens to architectures and configurations as soon as the support is large."""
    with torch.no_grad():
        model.net.open.bias.fill_(5.0)
    return model


def moved(curves, by):
    metric = replace(curves.metric, lower=None, upper=None)
    return replace(curves, values={metric.name: curves.y + by}, metric=metric, metrics=(metric,))


def means(model, queries=QUERIES, at=12.0):
    return model.forecast(queries, at).mean


def test_rules():
    check_forecaster(shaken())


def test_rules_where_architectures_are_read():
    check_forecaster(shaken(READING, encoder=ENCODER), rules=["batch", "padding", "mirror", "no_config"])


@pytest.mark.parametrize("k", [0, 1, 2, 20])
def test_probabilities_of_a_pair_add_up_and_equal_runs_are_even(k):
    model = shaken().adapt(SUPPORT.take(np.arange(k)))
    twice = QUERIES.take([0, 1, 2, 3, 4, 2])
    found = model.pairwise(replace(twice, ids=np.arange(6)), 12.0)
    np.testing.assert_allclose(found + found.T, 1.0, atol=1e-12)
    assert found[2, 5] == pytest.approx(0.5, abs=1e-12)
    better = found > 0.5 + 1e-9
    order = np.argsort(-better.sum(1), kind="stable")
    assert np.triu(better[np.ix_(order, order)], 1).sum() == better.sum(), "who is better than whom is an order"


def test_probabilities_of_a_run_do_not_depend_on_its_batch():
    model = shaken().adapt(SUPPORT)
    whole = model.pairwise(QUERIES, 12.0)
    np.testing.assert_allclose(model.pairwise(QUERIES.take([3, 1]), 12.0), whole[np.ix_([3, 1], [3, 1])], atol=1e-9)
    mirrored = shaken().adapt(SUPPORT.mirrored()).pairwise(QUERIES.mirrored(), 12.0)
    np.testing.assert_allclose(mirrored, whole, atol=1e-6)


def test_what_is_seen_is_certain_and_what_diverged_is_worst():
    t = np.arange(1.0, 5.0)
    parts = [(t, np.array([0.1, 0.2, 0.3, last])) for last in (0.6, 0.4, 0.6, np.nan)]
    runs = make(ACCURACY, parts, ["running"] * 3 + ["diverged"])
    found = shaken().adapt(SUPPORT).pairwise(runs, 4.0)
    np.testing.assert_allclose(found[0, :4], [0.5, 1.0, 0.5, 1.0], atol=1e-5)
    np.testing.assert_allclose(found[3], [0.0, 0.0, 0.0, 0.5], atol=1e-5)
    with pytest.raises(DataError, match="one time each"):
        shaken().pairwise(QUERIES, [11.0, 12.0])


def test_at_the_end_the_order_is_that_of_the_last_value():
    complete = synthetic_curves(9, 12, seed=5)
    model = shaken().adapt(SUPPORT)
    np.testing.assert_array_equal(means(model, complete), complete.final)
    better = complete.final[:, None] > complete.final
    np.testing.assert_array_equal(model.pairwise(complete, 12.0) > 0.5, better)


def test_untrained_it_ranks_by_the_centre_of_the_experts():
    for k in (0, 2):
        support = SUPPORT.take(np.arange(k))
        np.testing.assert_allclose(
            means(RankNet(SMALL).adapt(support)), means(Baseline("med5").adapt(support)), rtol=1e-6
        )
    ranked = np.argsort(RankNet(SMALL).adapt(SUPPORT, steps=0).pairwise(QUERIES, 12.0).sum(1))
    np.testing.assert_array_equal(ranked, np.argsort(means(Baseline("med5").adapt(SUPPORT))))


@pytest.mark.parametrize("k", [0, 2, 20])
def test_a_constant_added_to_all_curves_changes_nothing(k):
    support = moved(SUPPORT.take(np.arange(k)), 0.0)
    plain = shaken().adapt(support)
    other = shaken().adapt(moved(support, 8.0))
    queries = moved(QUERIES, 0.0)
    np.testing.assert_allclose(
        other.pairwise(moved(queries, 8.0), 12.0), plain.pairwise(queries, 12.0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(means(other, moved(queries, 8.0)) - 8.0, means(plain, queries), rtol=1e-4)


def test_few_support_runs_forecast_the_score_as_wide_as_the_anchor():
    model = shaken().adapt(SUPPORT.take([0, 1]))
    forecast, order = model.forecast(QUERIES, 12.0), model.pairwise(QUERIES, 12.0).sum(1)
    np.testing.assert_array_equal(np.argsort(forecast.mean), np.argsort(order))
    assert (forecast.quantile(0.9) > forecast.quantile(0.1)).all()


def test_calibration_keeps_the_order_of_scores():
    model = shaken().adapt(SUPPORT)
    queries = synthetic_curves(12, 12, seed=7).truncate(4.0)
    assert (model.calibration.slope > 0).all()
    np.testing.assert_array_equal(np.argsort(means(model, queries)), np.argsort(model.pairwise(queries, 12.0).sum(1)))


def test_steps_lessen_the_loss_of_the_supports_pairs(tmp_path):
    base = shaken(seed=4)
    lesson = replace(base, support=Support.of(SUPPORT))._lesson()
    rows = np.ones(len(lesson.y), dtype=bool)
    double = copy.deepcopy(base.net).double()
    before, after = (lesson.loss(n, rows).item() for n in trajectory(double, InnerLoop(), lesson, rows, (0, 30)))
    assert after < before
    model = base.adapt(SUPPORT, steps=3)
    assert model.steps == 3
    assert any(not np.array_equal(value, base.tensors()[name]) for name, value in model.tensors().items())
    np.testing.assert_array_equal(means(model.adapt(SUPPORT, steps=3)), means(model))
    assert model.adapt(SUPPORT.take([0, 1])).steps == 0


def test_pairs_of_the_support_are_of_one_cut():
    lesson = replace(shaken(), support=Support.of(SUPPORT))._lesson()
    rows = np.random.default_rng(0).random(len(lesson.y)) < 0.5
    places = np.flatnonzero(rows)[lesson._pairs(rows)]
    assert (places[0] // lesson.n == places[1] // lesson.n).all()
    assert (places[0] != places[1]).all()


def test_the_head_alone_may_adapt():
    base = shaken(inner=InnerLoop(layers="head"))
    before, after = base.tensors(), base.adapt(SUPPORT, steps=2).tensors()
    assert {name for name, value in after.items() if not np.array_equal(value, before[name])} == {"out.weight"}


def test_architecture_and_configuration_are_heard_where_the_support_is_large():
    model = heard(shaken(READING, encoder=ENCODER))
    changes = {}
    for k in (2, 20):
        adapted = model.adapt(told(SUPPORT).take(np.arange(k)), steps=0)
        one, other = (means(adapted, told(QUERIES, [cell])) for cell in (CELL, OTHER))
        changes[k] = np.abs(one - other).max()
    # The anchor, in which scores are, is larger at K = 2.
    assert 0 < changes[2] < 0.5 * changes[20]
    plain = means(adapted, replace(told(QUERIES), config=None))
    assert not np.allclose(plain, means(adapted, told(QUERIES)), rtol=1e-6)


@pytest.mark.parametrize("part", [{"curve": False}, {"config": False}, {"task": False}, {"arch": 0}])
def test_parts_can_be_left_out(part):
    config = replace(READING, **part)
    whole, model = (heard(shaken(c, encoder=ENCODER if c.arch else None)) for c in (READING, config))
    support, queries = told(SUPPORT), told(QUERIES)
    found = means(model.adapt(support, steps=1), queries)
    assert not np.allclose(found, means(whole.adapt(support, steps=1), queries), rtol=1e-6)
    check_forecaster(model, rules=["batch", "mirror"])


def test_points_are_read_side_by_side():
    """What stands between the points of a prefix, where there is none, is not read, nor how many places there are."""
    network = shaken().net
    tokens = torch.randn(3, 16, 4, generator=torch.Generator().manual_seed(0))
    tokens[..., 3] = 0.0
    apart, dense = tokens.clone() * 0, tokens.clone() * 0
    for place, target in enumerate((0, 5, 11)):
        for one, at in ((apart, target), (dense, place)):
            one[:, at] = tokens[:, place]
            one[:, at, 3] = 1.0
    with torch.no_grad():
        found = network._curve(apart)
        torch.testing.assert_close(found, network._curve(dense))
        torch.testing.assert_close(found, network._curve(dense[:, :3]))
        assert torch.isfinite(network._curve(dense[:, :1])).all()


def test_no_threshold_stops_nothing_and_all_stops_all():
    t = np.arange(1.0, 13)
    finals = [0.70, 0.72, 0.74, 0.76, 0.80]
    parts = [(t, f * (1 - 0.5 / t)) for f in finals] + [(t[:3], f * (1 - 0.5 / t[:3])) for f in (0.3, 0.6, 0.75)]
    curves = make(ACCURACY, parts, ["completed"] * 5 + ["running"] * 3)
    model = shaken().adapt(curves.finished())
    stopped = [sum(d.stop for d in StopPolicy(model, threshold=q).decide(curves)) for q in (0.0, 1.0)]
    assert stopped == [0, 3]


@pytest.mark.parametrize("arch", [0, ENCODER.width])
def test_the_hub_keeps_all_of_it(tmp_path, arch):
    model = shaken(replace(SMALL, arch=arch), encoder=ENCODER if arch else None)
    hub.save(model, tmp_path / "ranker", name="ranker")
    again = hub.load(tmp_path / "ranker")
    assert isinstance(again, RankNet)
    support, queries = told(SUPPORT), told(QUERIES)
    for steps in (0, 2):
        adapted = model.adapt(support, steps=steps)
        np.testing.assert_array_equal(means(again.adapt(support, steps=steps), queries), means(adapted, queries))
        folder = tmp_path / f"adapted{steps}"
        hub.save_adapted(again.adapt(support, steps=steps), tmp_path / "ranker", folder)
        kept = hub.load(folder)
        np.testing.assert_array_equal(means(kept, queries), means(adapted, queries))
        np.testing.assert_array_equal(kept.pairwise(queries, 12.0), adapted.pairwise(queries, 12.0))
    np.testing.assert_array_equal(means(kept.adapt(support, steps=0)), means(model.adapt(support, steps=0)))


def test_what_will_not_do_is_refused():
    with pytest.raises(DataError, match="sizes are positive"):
        RankConfig(hidden=0)
    with pytest.raises(ModelError, match="the encoder gives 8 numbers an architecture; the network reads 0"):
        RankNet(SMALL, encoder=ENCODER)
    config = shaken().config_dict()
    with pytest.raises(ModelError, match="does not describe a RankNet"):
        RankNet.build({**config, "network": {"wings": 2}}, {})
    with pytest.raises(ModelError, match="missing, unknown or of another shape"):
        RankNet.build({**config, "network": {}}, shaken().tensors())
    with pytest.raises(ModelError, match="retrain it"):
        RankNet.build({**config, "features": 3}, {})
