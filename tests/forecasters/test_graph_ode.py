"""The latent graph ODE: its rules, what its gates close, what architecture and configuration change, what is kept."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from metalcx import hub
from metalcx.curves import Metric
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import DataError, ModelError
from metalcx.forecasters import ExpertGate, LatentGraphODE
from metalcx.forecasters._base import Support
from metalcx.forecasters._few_shot import InnerLoop, trajectory
from metalcx.forecasters._gate_network import GateConfig
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._ode_inputs import left_out_inputs, ode_inputs
from metalcx.forecasters._ode_network import OdeNetwork, divergence
from metalcx.forecasters._ode_tensors import as_runs, as_times
from metalcx.testing import check_forecaster, synthetic_curves

from .test_traits import CELL, OTHER

SMALL = OdeConfig(GateConfig(members=2, width=8, depth=1), latent=4, hidden=8, heads=2, config=True)
ENCODER = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
SUPPORT = synthetic_curves(20, 12, seed=1)
QUERIES = synthetic_curves(5, 12, seed=2).truncate(np.array([2.0, 3, 5, 7, 9]))


def shaken(config: OdeConfig = SMALL, seed: int = 0, **known) -> LatentGraphODE:
    """A model of random weights, none of which is 0."""
    model, generator = LatentGraphODE(config, **known), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return model


def with_cells(curves, cells, config=None):
    arch = np.array([cells[i % len(cells)] for i in range(len(curves))], dtype=object)
    return replace(curves, arch=arch, config=config)


def means(model, queries=QUERIES, at=12.0):
    return model.forecast(queries, at).mean


def test_rules():
    check_forecaster(shaken())


def test_rules_where_architectures_are_read():
    check_forecaster(
        shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER), rules=["batch", "mirror", "no_config"]
    )


def test_untrained_it_is_the_expert_gate():
    model = LatentGraphODE(SMALL)
    gate = ExpertGate(SMALL.gate, network=model.network.gate)
    found, expected = (
        model.adapt(SUPPORT, steps=0).forecast(QUERIES, 12.0),
        gate.adapt(SUPPORT, steps=0).forecast(QUERIES, 12.0),
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


def test_where_its_share_is_closed_it_is_the_expert_gate():
    model = shaken()
    with torch.no_grad():
        model.network.share.bias.fill_(-60.0)
        model.network.share.weight.zero_()
    gate = ExpertGate(SMALL.gate, network=model.network.gate)
    found, expected = (
        model.adapt(SUPPORT, steps=0).forecast(QUERIES, 12.0),
        gate.adapt(SUPPORT, steps=0).forecast(QUERIES, 12.0),
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


def laws(model, k, told=True):
    """How runs go on that have a configuration and an architecture each, beside k support runs."""
    config = pd.DataFrame({"lr": np.logspace(-4, 0, 20)})
    support = with_cells(SUPPORT, [CELL, OTHER], config).take(np.arange(k))
    queries = with_cells(QUERIES, [CELL, OTHER], config.iloc[:5])
    adapted = model.adapt(support)
    own = model_traits(adapted, queries)
    prefix = queries.padded()
    args = (adapted.support.curves, prefix, np.arange(5), np.full(5, 12.0), own, adapted._known)
    runs, *_ = ode_inputs(*args)
    if told:
        runs.evidence[:] = 1.0
    with torch.no_grad():
        return model.network.laws(as_runs(runs, torch.float32))


def model_traits(model, queries):
    from metalcx.forecasters._traits import traits

    return traits(queries, model._space, model._architectures)


def test_architecture_and_configuration_are_hardly_listened_to_with_few_support_runs():
    model = shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER)
    with torch.no_grad():
        model.network.open.weight.fill_(2.0)
    opened = {k: laws(model, k).opened for k in (0, 1, 2, 5, 20)}
    assert not opened[0].any()
    assert not opened[1].any()
    assert 0 < opened[2].max() < opened[5].max() < 0.08
    assert opened[20].min() > 0.9


def test_only_where_the_support_says_that_they_tell_something():
    model = shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER)
    with torch.no_grad():
        model.network.open.weight.copy_(torch.tensor([[5.0, 0, 0, 0], [0, 5.0, 0, 0]]))
        model.network.open.bias.fill_(-2.5)
    assert laws(model, 20).opened.min() > 0.9
    unsaid = laws(model, 20, told=False).opened
    assert unsaid.min() < 0.5


def test_an_architecture_changes_where_a_run_goes_and_not_where_it_is():
    model = shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER)
    with torch.no_grad():
        model.network.open.bias.fill_(5.0)
    adapted = model.adapt(with_cells(SUPPORT, [CELL, OTHER]))
    one, other = (means(adapted, with_cells(QUERIES, [cell])) for cell in (CELL, OTHER))
    assert (one != other).all()
    unknown = [means(adapted, with_cells(QUERIES, [name])) for name in ("resnet18", "vgg", None)]
    np.testing.assert_array_equal(unknown[0], unknown[1])
    np.testing.assert_array_equal(unknown[0], unknown[2])
    blind = shaken(encoder=None).adapt(with_cells(SUPPORT, [CELL, OTHER]))
    np.testing.assert_array_equal(means(blind, with_cells(QUERIES, [CELL])), means(blind, with_cells(QUERIES, [OTHER])))


def test_a_state_begins_where_the_prefix_says_and_only_its_course_knows_the_architecture():
    model = shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER)
    law = laws(model, 20)
    with torch.no_grad():
        model.network.arch_in.weight.mul_(3.0)
    changed = laws(model, 20)
    torch.testing.assert_close(law.mean, changed.mean)
    assert not torch.allclose(law.push, changed.push)


def test_isomorphic_cells_give_one_forecast():
    """Nodes 1 and 2 change their places; the graph says the same otherwise numbered."""
    one = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|"
    other = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|skip_connect~2|"
    model = shaken(replace(SMALL, arch=ENCODER.width), encoder=ENCODER)
    with torch.no_grad():
        model.network.open.bias.fill_(5.0)
    adapted = model.adapt(with_cells(SUPPORT, [CELL, OTHER]))
    found = [means(adapted, with_cells(QUERIES, [cell])) for cell in (one, other, CELL)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert not np.allclose(found[0], found[2], rtol=1e-6)


@pytest.mark.parametrize(
    "values", [[1e-3, 1.1e-3, 1.2e-3, 1.3e-3, 1.4e-3, 1.0], [0.1, 0.1, 0.1, 0.11, 0.12, 0.13, 0.14, 10.0]]
)
def test_a_run_far_from_all_others_is_ordinary(values):
    support = replace(SUPPORT.take(np.arange(len(values))), config=pd.DataFrame({"lr": values}))
    adapted = shaken().adapt(support)
    assert np.isfinite(adapted.width)
    queries = replace(QUERIES, config=pd.DataFrame({"lr": [0.1, 1e-3, 1e9, np.inf, np.nan]}))
    assert np.isfinite(means(adapted, queries)).all()
    assert np.isfinite(means(adapted)).all(), "queries without a configuration"


def test_a_ragged_support_run_left_out_is_read_no_farther_than_its_own_cut():
    support = SUPPORT.take(np.arange(8)).padded()
    ends = np.arange(5, 13)[:8]
    ragged = support.truncate(support.t[np.arange(8), ends - 1])
    known = shaken().adapt(SUPPORT.take(np.arange(8)))._known
    runs, _, _ = left_out_inputs(ragged, known, (0.4,))
    y = ragged.y.copy()
    y[0, 3:] += 5.0
    other, _, _ = left_out_inputs(ragged.with_values(y), known, (0.4,))
    for name in ("x", "tokens", "relation"):
        np.testing.assert_allclose(getattr(other, name)[0], getattr(runs, name)[0], atol=1e-6, err_msg=name)


def test_a_lost_run_has_the_gates_forecast_and_is_named():
    model = shaken()
    gate = ExpertGate(SMALL.gate, network=model.network.gate)
    with torch.no_grad():
        model.network.drift_out.weight.fill_(torch.inf)
    adapted = replace(model, support=Support.of(SUPPORT))
    with pytest.warns(RuntimeWarning, match="the state of runs .* stopped being numbers"):
        found = adapted.forecast(QUERIES, 12.0)
    expected = replace(gate, support=Support.of(SUPPORT)).forecast(QUERIES, 12.0)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)


def test_adaptive_steps_agree_with_fixed_ones():
    model = shaken().adapt(SUPPORT)
    adaptive = replace(model, config=replace(SMALL, method="dopri5"))
    other = OdeNetwork(adaptive.config).eval()
    other.load_state_dict(model.network.state_dict())
    np.testing.assert_allclose(means(replace(adaptive, network=other)), means(model), atol=1e-4)


def test_a_support_run_left_out_is_a_query_of_the_others():
    """Nothing after its cut is read of it: its inputs stay when it ends otherwise."""
    model = shaken()
    runs, times, truth = left_out_inputs(Support.of(SUPPORT).curves, model.adapt(SUPPORT)._known, (0.2, 0.4))
    assert len(runs) == len(times.s) == len(truth) == 40
    changed = SUPPORT.padded()
    y = changed.y.copy()
    y[3, 8:] += 5.0
    other, _, new_truth = left_out_inputs(changed.with_values(y), model.adapt(SUPPORT)._known, (0.2, 0.4))
    for name in ("x", "tokens", "relation", "missed", "course", "evidence"):
        np.testing.assert_allclose(getattr(other, name)[[3, 23]], getattr(runs, name)[[3, 23]], atol=1e-6, err_msg=name)
        if name in ("x", "missed", "course"):
            assert not np.allclose(getattr(other, name)[4], getattr(runs, name)[4]), "the others see how it ended"
    assert new_truth[3] == pytest.approx(truth[3] + 5.0)


def test_dropout_is_of_training_alone():
    model = shaken(replace(SMALL, dropout=0.5))
    runs, times, _ = left_out_inputs(Support.of(SUPPORT).curves, model.adapt(SUPPORT)._known, (0.2,))
    given = as_runs(runs, torch.float32), as_times(times, torch.float32), torch.zeros(1, 1, 4)
    with torch.no_grad():
        calm = [model.network(*given)[0] for _ in range(2)]
        model.network.train()
        wild = [model.network(*given)[0] for _ in range(2)]
    torch.testing.assert_close(calm[0], calm[1])
    assert not torch.allclose(wild[0], wild[1])
    with pytest.raises(DataError, match=r"dropout lies in \[0, 1\)"):
        OdeConfig(dropout=1.0)


def test_divergence_is_that_of_normal_distributions():
    law = laws(shaken(), 5)
    q = torch.distributions.Normal(law.mean, law.log_std.exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(law), expected)
    assert (divergence(law) >= 0).all()


@pytest.mark.parametrize("arch", [0, ENCODER.width])
def test_the_hub_keeps_all_of_it(tmp_path, arch):
    model = shaken(replace(SMALL, arch=arch), encoder=ENCODER if arch else None)
    hub.save(model, tmp_path / "ode", name="ode")
    again = hub.load(tmp_path / "ode")
    support, queries = with_cells(SUPPORT, [CELL, OTHER]), with_cells(QUERIES, [OTHER])
    np.testing.assert_array_equal(means(again.adapt(support), queries), means(model.adapt(support), queries))
    hub.save_adapted(again.adapt(support), tmp_path / "ode", tmp_path / "adapted")
    np.testing.assert_array_equal(means(hub.load(tmp_path / "adapted"), queries), means(model.adapt(support), queries))


def test_what_will_not_do_is_refused(tmp_path):
    with pytest.raises(DataError, match="dynamics is ode or direct"):
        OdeConfig(dynamics="sde")
    with pytest.raises(ModelError, match="the encoder gives 8 numbers an architecture; the network reads 0"):
        LatentGraphODE(SMALL, encoder=ENCODER)
    config = {**shaken().config_dict(), "network": {"gate": {}}}
    with pytest.raises(ModelError, match="missing, unknown or of another shape"):
        LatentGraphODE.build(config, shaken().tensors())
    with pytest.raises(ModelError, match="does not describe a LatentGraphODE"):
        LatentGraphODE.build({**config, "network": {"gate": {}, "wings": 2}}, {})
    with pytest.raises(ModelError, match="retrain it"):
        LatentGraphODE.build({**config, "features": 3}, {})


def with_further(curves, seed=0):
    """The curves, and a loss beside what they measure."""
    loss = np.random.default_rng(seed).random(len(curves.t))
    metrics = (curves.metric, Metric("train_loss", "min"))
    return replace(curves, values={**curves.values, "train_loss": loss}, metrics=metrics)


def test_further_metrics_are_read_as_far_as_a_run_is_seen():
    base = shaken()
    model = base.adapt(with_further(SUPPORT), steps=0)
    plain, beside = means(model), means(model, with_further(QUERIES))
    assert not np.allclose(plain, beside, rtol=1e-4)
    mirrored = with_further(QUERIES).mirrored()
    other = base.adapt(with_further(SUPPORT).mirrored(), steps=0)
    np.testing.assert_allclose(means(other, mirrored), -beside, rtol=1e-6)
    # A metric that is logged beyond the cut of the primary one says nothing before that.
    later = with_further(synthetic_curves(5, 12, seed=2))
    cut = np.array([2.0, 3, 5, 7, 9])
    y = np.where(later.t > cut[later.owner], np.nan, later.y)
    seen, hidden = (np.where(later.t > cut[later.owner], value, later.values["train_loss"]) for value in (1e3, np.nan))
    name = later.metric.name
    running = np.array(["running"] * 5, dtype=object)
    runs = [replace(later, values={name: y, "train_loss": v}, status=running) for v in (seen, hidden)]
    np.testing.assert_array_equal(*(means(model, each) for each in runs))


def test_a_further_metric_of_a_support_run_is_read_up_to_its_cut():
    support = with_further(SUPPORT)
    known = shaken().adapt(support, steps=0)._known
    runs, _, _ = left_out_inputs(Support.of(support).curves, known, (0.4,))
    assert runs.beside[:, :, 3].any()
    after = support.t > 0.4 * 12 + 1
    changed = replace(support, values={**support.values, "train_loss": support.values["train_loss"] + 9.0 * after})
    other = left_out_inputs(Support.of(changed).curves, shaken().adapt(changed, steps=0)._known, (0.4,))[0]
    np.testing.assert_array_equal(other.beside, runs.beside)


def test_gradient_steps_are_taken_on_what_reads_the_states(tmp_path):
    base = shaken()
    before = {name: value.copy() for name, value in base.tensors().items()}
    model = base.adapt(SUPPORT, steps=3)
    changed = {name.split(".")[0] for name, value in model.tensors().items() if not np.array_equal(value, before[name])}
    assert changed == {"gate", "share", "read", "out"}
    assert model.steps == 3
    assert all(np.array_equal(value, before[name]) for name, value in base.tensors().items())
    np.testing.assert_array_equal(means(model.adapt(SUPPORT, steps=3)), means(model))
    assert model.adapt(SUPPORT.take(np.arange(2))).steps == 0
    hub.save(base, tmp_path / "ode", name="ode")
    hub.save_adapted(hub.load(tmp_path / "ode").adapt(SUPPORT, steps=3), tmp_path / "ode", tmp_path / "adapted")
    again = hub.load(tmp_path / "adapted")
    np.testing.assert_array_equal(means(again), means(model))
    np.testing.assert_array_equal(means(again.adapt(SUPPORT, steps=0)), means(base.adapt(SUPPORT, steps=0)))


def test_steps_lessen_what_is_missed_of_the_support():
    base = shaken(seed=4)
    lesson = replace(base, support=Support.of(SUPPORT))._lesson(base.network)
    rows = np.ones(len(lesson.y), dtype=bool)
    double = copy.deepcopy(base.network).double()
    before, after = (lesson.loss(n, rows).item() for n in trajectory(double, InnerLoop(), lesson, rows, (0, 30)))
    assert after < before


@pytest.mark.parametrize(
    "part", [{"dynamics": "direct"}, {"support": False}, {"config": False}, {"companions": False}, {"experts": False}]
)
def test_parts_can_be_left_out(part):
    config = replace(SMALL, **part)
    whole, model = shaken(), shaken(config)
    table = pd.DataFrame({"lr": np.logspace(-4, 0, 20)})
    support, queries = replace(SUPPORT, config=table), replace(QUERIES, config=table.iloc[5:10].reset_index(drop=True))
    support, queries = with_further(support), with_further(queries, seed=1)
    for each in (whole, model):
        with torch.no_grad():
            each.network.open.bias.fill_(5.0)
    assert not np.allclose(means(model.adapt(support), queries), means(whole.adapt(support), queries), rtol=1e-6)
    check_forecaster(model, rules=["batch", "times", "mirror"])


def test_as_tensors_keep_what_is_asked():
    runs, times, _ = left_out_inputs(SUPPORT.padded(), shaken().adapt(SUPPORT)._known, (0.2,))
    assert as_runs(runs, torch.float32).k.tolist() == [19] * 20
    assert as_times(times, torch.float32).run.tolist() == list(range(20))
