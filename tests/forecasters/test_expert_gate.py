"""The expert gate: rules, adaptation, widths, and what the hub keeps of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from metalcx import hub
from metalcx.curves import Curves
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._aligned import align
from metalcx.forecasters._expert_gate import RATE, ExpertGate
from metalcx.forecasters._few_shot import MIN_SUPPORT, InnerLoop
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.forecasters._gate_network import MEDIAN, SHARES, GateConfig, GateNetwork, gate_loss
from metalcx.forecasters._panel import points
from metalcx.forecasters._width import WIDTH_PRIOR, width_factor
from metalcx.protocol import LEVELS
from metalcx.testing import check_forecaster, synthetic_curves

SMALL = GateConfig(members=2, width=8, depth=1, dropout=0.1)
EAGER = InnerLoop(rate=0.01, candidates=(0, 2), min_support=3)


def shaken(inner: InnerLoop | None = None, seed: int = 0, rates: bool = False) -> ExpertGate:
    """A model of random weights, whose forecasts are not those of an untrained one."""
    model = ExpertGate(SMALL, inner or InnerLoop())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    known = {n: torch.full_like(p, 0.01) * (1 + i) for i, (n, p) in enumerate(model.net.named_parameters())}
    return replace(model, rates=known) if rates else model


def weights(model: ExpertGate) -> dict[str, np.ndarray]:
    return {n: v.numpy().copy() for n, v in model.net.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


SUPPORT = synthetic_curves(9, 12, seed=1)
QUERIES = synthetic_curves(4, 12, seed=2).truncate(5.0)


def test_rules() -> None:
    check_forecaster(shaken())


@pytest.mark.slow
def test_rules_with_gradient_steps() -> None:
    check_forecaster(shaken(EAGER), tolerance=1e-3)


@pytest.mark.parametrize("k", [0, 2, 9])
def test_untrained_is_near_the_mean_of_the_experts(k: int) -> None:
    model = replace(ExpertGate().adapt(SUPPORT.take(np.arange(k)), steps=0), width=1.0)
    fc = model.forecast(QUERIES, 12)
    a = align(model.support.curves, QUERIES.padded(), np.arange(4), np.full(4, 12.0))
    panel = a.rows(points(a, GATED))
    from metalcx.forecasters._gate_inputs import gate_inputs

    anchor = a.rows(gate_inputs(a).anchor)
    assert (np.abs(fc.median - panel.mean(-1)) < 0.5 * anchor).all()
    # Widths start as those of a Laplace distribution of mean absolute value one anchor.
    width = fc.quantile(0.9) - fc.quantile(0.1)
    np.testing.assert_allclose(width, 2 * np.log(5) * anchor, rtol=0.5)


def test_quantiles_never_cross_and_the_median_is_a_mixture() -> None:
    model = shaken(seed=3)
    x = np.random.default_rng(0).normal(size=(50, N_FEATURES)) * 3
    offsets = np.random.default_rng(1).normal(size=(50, len(GATED)))
    quantiles = model.net.predict(x, offsets)
    assert quantiles.shape == (50, len(LEVELS))
    assert (np.diff(quantiles, axis=1) > 0).all()
    net = ExpertGate(SMALL).net
    with torch.no_grad():
        for p in net.head.parameters():
            p.zero_()
    np.testing.assert_allclose(net.predict(x, offsets)[:, MEDIAN], offsets.mean(1), rtol=1e-5, atol=1e-6)


def test_loss_golden() -> None:
    """One quantile fan at 0, answers 1 and -1: mean pinball is half of 1, the mean errs by 1."""
    loss = gate_loss(torch.zeros(3, 2, len(LEVELS)), torch.tensor([1.0, -1.0]), torch.tensor([1.0, 3.0]))
    assert float(loss) == pytest.approx((1.5 * 1 + 1.5 * 3) / 2)
    normal = torch.tensor(ndtri(LEVELS), dtype=torch.float32).expand(1, 1, -1)
    assert float(gate_loss(normal + 5, torch.tensor([5.0]), torch.ones(1))) < 0.2


# Adaptation.


def test_zero_support_is_the_base() -> None:
    base = shaken(EAGER)
    adapted = base.adapt(SUPPORT.take([]), steps=5)
    np.testing.assert_array_equal(adapted.forecast(QUERIES, 12).values, base.forecast(QUERIES, 12).values)
    assert (adapted.width, adapted.steps) == (1.0, 0)


@pytest.mark.parametrize("steps", [0, 2, None])
def test_the_base_is_untouched(steps: int | None) -> None:
    base = shaken(EAGER)
    before, fc = weights(base), base.forecast(QUERIES, 12).values
    adapted = base.adapt(SUPPORT, steps=steps)
    assert same(weights(base), before)
    assert all(p.grad is None for p in base.net.parameters())
    np.testing.assert_array_equal(base.forecast(QUERIES, 12).values, fc)
    assert same(weights(adapted), before) == (adapted.steps == 0)


def test_steps_are_taken_as_asked() -> None:
    base = shaken(EAGER)
    none, two = base.adapt(SUPPORT, steps=0), base.adapt(SUPPORT, steps=2)
    assert (none.steps, two.steps) == (0, 2)
    assert (none.forecast(QUERIES, 12).values != two.forecast(QUERIES, 12).values).any()
    np.testing.assert_array_equal(
        base.adapt(SUPPORT, steps=2).forecast(QUERIES, 12).values, two.forecast(QUERIES, 12).values
    )
    assert base.adapt(SUPPORT).steps in EAGER.candidates
    few = base.adapt(SUPPORT.take(np.arange(MIN_SUPPORT - 1)), steps=2)
    assert (few.steps, few.width) == (0, 1.0)


def test_the_support_chooses_the_number_of_steps() -> None:
    """A rate that ruins everything is not stepped along; one that mends a spoilt network is."""
    ruin = shaken(InnerLoop(rate=10.0, optimiser="sgd", candidates=(0, 3), min_support=3))
    assert ruin.adapt(SUPPORT).steps == 0
    spoilt = ExpertGate(SMALL, InnerLoop(rate=0.05, candidates=(0, 10), min_support=3))
    residual = len(GATED)
    with torch.no_grad():
        spoilt.net.head.bias[..., residual] = 3.0
    mended = spoilt.adapt(SUPPORT)
    assert mended.steps == 10
    truth = synthetic_curves(4, 12, seed=2).final

    def miss(model: ExpertGate) -> float:
        return float(np.abs(model.forecast(QUERIES, 12).mean - truth).mean())

    assert miss(mended) < miss(spoilt.adapt(SUPPORT, steps=0))


def test_below_min_support_no_steps_are_tried() -> None:
    assert shaken(InnerLoop(candidates=(0, 2), min_support=8)).adapt(SUPPORT.take(np.arange(7))).steps == 0


def test_the_head_alone_adapts_as_in_anil() -> None:
    base = shaken(InnerLoop(rate=0.05, optimiser="sgd", layers="head"))
    before, after = weights(base), weights(base.adapt(SUPPORT, steps=2))
    changed = {n for n in before if not np.array_equal(before[n], after[n])}
    assert changed == {"head.weight", "head.bias"}


def test_learned_rates_take_the_place_of_the_one() -> None:
    base = shaken(InnerLoop(rate=0.05, optimiser="sgd"), rates=True)
    assert base.rates is not None
    frozen = replace(base, rates={n: torch.zeros_like(r) for n, r in base.rates.items()})
    assert same(weights(frozen.adapt(SUPPORT, steps=2)), weights(base))
    equal = replace(base, rates={n: torch.full_like(r, 0.05) for n, r in base.rates.items()})
    plain = replace(base, rates=None)
    one, other = weights(equal.adapt(SUPPORT, steps=2)), weights(plain.adapt(SUPPORT, steps=2))
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-7)


def test_a_second_support_replaces_the_first() -> None:
    """Also in the weights: what is saved would else not be what forecasts."""
    base, other = shaken(EAGER), synthetic_curves(6, 12, seed=5)
    twice = base.adapt(SUPPORT, steps=2).adapt(other, steps=0)
    assert same(weights(twice), weights(base))
    np.testing.assert_array_equal(
        twice.forecast(QUERIES, 12).values, base.adapt(other, steps=0).forecast(QUERIES, 12).values
    )


@pytest.mark.parametrize("k", [0, 2, 9])
def test_negative_steps_are_refused(k: int) -> None:
    with pytest.raises(DataError, match="not below 0; got -1"):
        shaken().adapt(SUPPORT.take(np.arange(k)), steps=-1)


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0.0}, {"optimiser": "rmsprop"}, {"layers": "body"}, {"candidates": (-1, 2)}, {"min_support": 2}],
)
def test_impossible_inner_loops_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError):
        InnerLoop(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"members": 0}, {"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_impossible_networks_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        GateConfig(**wrong)  # type: ignore[arg-type]


# Widths.


@settings(max_examples=10)
@given(k=st.integers(3, 40), error=st.sampled_from([0.5, 1.0, 2.0]), seed=st.integers(0, 999))
def test_widths_are_calibrated(k: int, error: float, seed: int) -> None:
    """Widths that are right stay; ones that are half as wide as the errors double, but for the shrinking."""
    rng = np.random.default_rng(seed)
    quantiles = np.tile(ndtri(LEVELS), (4000, 1)) + 7.0
    factor = width_factor(quantiles, 7.0 + error * rng.normal(size=4000), k)
    assert factor == pytest.approx(error ** (k / (k + WIDTH_PRIOR)), rel=0.1)


def test_one_sided_widths_are_judged_on_their_side() -> None:
    """The upper half is ten times as wide as the lower; answers that fit it need no other factor."""
    q = ndtri(LEVELS)
    quantiles = np.tile(np.where(q > 0, 10 * q, q), (4000, 1))
    draws = np.random.default_rng(0).normal(size=4000)
    assert width_factor(quantiles, np.where(draws > 0, 10 * draws, draws), 1000) == pytest.approx(1, rel=0.08)


def test_a_width_factor_is_bounded() -> None:
    quantiles = np.tile(ndtri(LEVELS), (10, 1))
    assert width_factor(quantiles, np.full(10, 1e9), 10**6) == pytest.approx(5, rel=1e-3)
    assert width_factor(quantiles, np.zeros(10), 10**6) == pytest.approx(0.2, rel=1e-3)


def test_the_factor_widens_about_the_median() -> None:
    base = shaken().adapt(SUPPORT, steps=0)
    one, two = (replace(base, width=w).forecast(QUERIES, 12) for w in (1.0, 2.0))
    inside = (two.values > 0) & (two.values < 1)
    np.testing.assert_allclose(one.median, two.median)
    grown = two.median[:, None] + 2 * (one.values[:, 0] - one.median[:, None])
    np.testing.assert_allclose(two.values[:, 0][inside[:, 0]], grown[inside[:, 0]], rtol=1e-9)


def test_the_mean_weighs_quantiles_by_the_levels_they_stand_for() -> None:
    assert SHARES.sum() == pytest.approx(1)
    assert SHARES @ ndtri(LEVELS) == pytest.approx(0, abs=1e-12)
    assert pytest.approx(0.5) == SHARES @ LEVELS


# What the hub keeps.


@pytest.mark.parametrize("rates", [False, True])
def test_saved_and_loaded(tmp_path: Path, rates: bool) -> None:
    inner = InnerLoop(0.03, "sgd", "head", (0, 1, 4), 5)
    base = shaken(inner, rates=rates)
    hub.save(base, tmp_path / "m", name="m")
    back = hub.load(tmp_path / "m")
    assert isinstance(back, ExpertGate)
    assert (back.config, back.inner, back.width, back.steps) == (SMALL, inner, 1.0, 0)
    assert same(weights(back), weights(base))
    np.testing.assert_array_equal(back.forecast(QUERIES, 12).values, base.forecast(QUERIES, 12).values)
    assert (back.rates is None) == (not rates)
    if rates:
        assert base.rates is not None
        assert back.rates is not None
        assert {n: r.tolist() for n, r in back.rates.items()} == {n: r.tolist() for n, r in base.rates.items()}
        np.testing.assert_array_equal(
            back.adapt(SUPPORT, steps=1).forecast(QUERIES, 12).values,
            base.adapt(SUPPORT, steps=1).forecast(QUERIES, 12).values,
        )


@pytest.mark.parametrize(("steps", "n"), [(0, 9), (2, 9), (2, 2)])
def test_an_adapted_model_is_a_small_delta(tmp_path: Path, steps: int, n: int) -> None:
    hub.save(shaken(EAGER, rates=True), tmp_path / "base", name="base")
    base = hub.load(tmp_path / "base")
    assert isinstance(base, ExpertGate)
    adapted = base.adapt(SUPPORT.take(np.arange(n)), steps=steps)
    config, tensors = adapted.delta()
    assert config == {"width": adapted.width, "steps": adapted.steps}
    told = {name for name in tensors if not name.startswith("beside.")}
    assert told == (set(weights(base)) if adapted.steps else set())
    hub.save_adapted(adapted, tmp_path / "base", tmp_path / "mine")
    back = hub.load(tmp_path / "mine")
    assert isinstance(back, ExpertGate)
    assert (back.width, back.steps) == (adapted.width, adapted.steps)
    np.testing.assert_array_equal(back.forecast(QUERIES, 12).values, adapted.forecast(QUERIES, 12).values)
    # What is loaded adapts again, from the base's weights, at the learned rates.
    assert back.rates is not None
    np.testing.assert_array_equal(
        back.adapt(SUPPORT, steps=1).forecast(QUERIES, 12).values,
        base.adapt(SUPPORT, steps=1).forecast(QUERIES, 12).values,
    )


def test_other_experts_or_features_are_refused() -> None:
    base = shaken()
    for wrong in ({"experts": ["last"]}, {"features": N_FEATURES - 1}, {"experts": None}):
        with pytest.raises(ModelError, match="made for experts and features"):
            ExpertGate.build(base.config_dict() | wrong, base.tensors())


@pytest.mark.parametrize("wrong", [{"network": {"colour": 1}}, {"inner": {"pace": 1}}, {"network": 3}])
def test_a_configuration_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    base = shaken()
    with pytest.raises(ModelError, match="does not describe an ExpertGate"):
        ExpertGate.build(base.config_dict() | wrong, base.tensors())


def test_tensors_that_do_not_fit_are_refused() -> None:
    base = shaken(rates=True)
    good = base.tensors()
    config = base.config_dict()
    for wrong in (
        {n: a for n, a in good.items() if n != "head.bias"},
        good | {"head.bias": good["head.bias"][..., :-1]},
        good | {"tail.bias": good["head.bias"]},
        {n: a for n, a in good.items() if n != f"{RATE}head.bias"},
        good | {f"{RATE}head.bias": np.float32(0.1)},
        good | {f"{RATE}tail.bias": np.zeros(3, np.float32)},
    ):
        with pytest.raises(ModelError, match=r"head\.bias|tail\.bias|learned rates"):
            ExpertGate.build(config, wrong)


def test_what_was_built_is_a_copy() -> None:
    base = shaken()
    tensors = copy.deepcopy(base.tensors())
    built = ExpertGate.build(base.config_dict(), tensors)
    tensors["head.bias"][:] = 7.0
    assert same(weights(built), weights(base))
    assert not built.net.training


def test_building_a_model_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    ExpertGate(SMALL)
    assert torch.equal(torch.rand(3), expected)
    assert same(weights(ExpertGate(SMALL)), weights(ExpertGate(SMALL)))


def test_dropout_acts_in_training_alone() -> None:
    network = GateNetwork(replace(SMALL, dropout=0.5))
    x, offsets = torch.randn(6, N_FEATURES), torch.randn(6, len(GATED))
    network.eval()
    assert torch.equal(network(x, offsets), network(x, offsets))
    network.train()
    assert not torch.equal(network(x, offsets), network(x, offsets))


def test_members_are_independent_of_each_other() -> None:
    """Member 0's forecast does not change with member 1's weights."""
    network = shaken().net
    x, offsets = torch.randn(6, N_FEATURES), torch.randn(6, len(GATED))
    before = network(x, offsets)[0].detach().clone()
    with torch.no_grad():
        for p in network.parameters():
            p[1] += 1.0
    assert torch.equal(network(x, offsets)[0], before)


def test_a_forecast_of_curves_that_measure_something_else_is_refused() -> None:
    adapted = shaken().adapt(SUPPORT, steps=0)
    mirrored: Curves = QUERIES.mirrored()
    with pytest.raises(DataError, match="support measured"):
        adapted.forecast(mirrored, 12)
