"""The models: what the paper's form implies, and what its code got wrong."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from metalcx.bench.dynamics._euler import between, euler
from metalcx.bench.dynamics._fold import Batch, Fold
from metalcx.bench.dynamics._graph import GivenGraph, LearnedGraph
from metalcx.bench.dynamics._latent import LATENT, LatentDynamics
from metalcx.bench.dynamics._model import Effort, Model, divergence, train
from metalcx.bench.dynamics._recurrent import VRNN, RecurrentLSTM
from metalcx.bench.dynamics._rows import TRAINED
from metalcx.encoders import EncoderConfig, GraphBatch, new_encoder
from metalcx.forecasters import _ode_solve

from .made_nets import graph, made_fold

SHORT = Effort(steps=6, every=3, anneal=4, batch=16)
#: Those that need no file beside the fold.
BUILT = [name for name in TRAINED if name != "lc-gode-encoder"]


@pytest.fixture(scope="module")
def fold() -> Fold:
    return made_fold()


def awake(name: str, fold: Fold) -> Model:
    """A model whose drift is not 0, as it is before training."""
    torch.manual_seed(1)
    model = TRAINED[name](fold).eval()
    if isinstance(model, LatentDynamics):
        torch.nn.init.normal_(model.drift_out.weight, std=0.05)
    return model


@given(st.floats(-3, 3), st.floats(-2, 1), st.floats(-3, 3), st.floats(-2, 1))
def test_the_divergence_is_that_of_normal_laws_and_at_least_0(mean, log_std, other, log_other):
    one, two = (torch.tensor([x, x / 2], dtype=torch.float64) for x in (mean, log_std))
    found = divergence(one, two, torch.tensor(other), torch.tensor(log_other))
    true = kl_divergence(Normal(one, two.exp()), Normal(other, np.exp(log_other))).sum()
    assert found.item() >= -1e-9
    assert found.item() == pytest.approx(true.item(), rel=1e-5, abs=1e-6)
    assert divergence(torch.zeros(3), torch.zeros(3)).item() == 0


def test_an_ornstein_uhlenbeck_process_has_its_mean_variance_and_divergence():
    rate, level, sigma, end, steps = 0.7, 1.5, 0.4, 2.0, 100
    z0 = torch.full((10_000, 1), -1.0, dtype=torch.float64)
    noise = torch.randn(steps, 10_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def drift(z: torch.Tensor) -> torch.Tensor:
        return rate * (level - z)

    paths = euler(drift, lambda z: drift(z) - 0.3, z0, noise, end / steps, sigma)
    assert paths.z[-1].mean().item() == pytest.approx(level + (-1 - level) * np.exp(-rate * end), abs=0.025)
    variance = sigma**2 / (2 * rate) * (1 - np.exp(-2 * rate * end))
    assert paths.z[-1].var().item() == pytest.approx(variance, rel=0.05)
    # Girsanov: laws whose drifts are .3 apart.
    np.testing.assert_allclose(paths.divergence, 0.5 * end * (0.3 / sigma) ** 2, rtol=1e-9)
    assert euler(drift, drift, z0[:3], noise[:, :3], end / steps, sigma).divergence.abs().max() == 0
    halfway = between(paths.z, torch.tensor([0.0, 0.5, steps], dtype=torch.float64))
    torch.testing.assert_close(halfway[1], (paths.z[0] + paths.z[1]) / 2)
    torch.testing.assert_close(halfway[2], paths.z[-1])


@pytest.mark.parametrize("pair", [("lc-gode", "node"), ("lc-gode-sde", "nsde")])
def test_with_its_graph_at_0_it_is_the_model_without_one(fold, pair):
    with_graph, without = (awake(name, fold) for name in pair)
    mute = deepcopy(with_graph)
    torch.nn.init.zeros_(mute.push.weight)
    without.load_state_dict({n: v for n, v in mute.state_dict().items() if not n.startswith("graph.")})
    batch = fold.batch(fold.test)
    torch.testing.assert_close(mute.forecast(batch), without.forecast(batch))
    assert (with_graph.forecast(batch) - without.forecast(batch)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["lc-gode", "lc-gode-sde"])
def test_the_graph_acts_from_the_second_point_behind_the_cut_on(fold, name):
    model, one = awake(name, fold), fold.batch(fold.test[:1])
    same = Batch(one.seen.repeat(2, 1), one.future.repeat(2, 1), torch.tensor([0, 7]))
    told = model.forecast(same)
    torch.testing.assert_close(told[0, 0], told[1, 0])
    assert (told[0, 1:] - told[1, 1:]).abs().min() > 0


def test_isomorphic_graphs_have_one_vector_and_other_graphs_another():
    ops = ["conv_3x3", "linear", "linear"]
    graphs = [graph(ops), graph(ops, [4, 2, 0, 3, 1]), graph(["linear", "conv_3x3", "linear"])]
    torch.manual_seed(0)
    reader = LearnedGraph(GraphBatch.from_graphs(graphs), LATENT)
    one, renumbered, other = reader(torch.arange(3))
    torch.testing.assert_close(one, renumbered)
    assert (one - other).abs().max() > 1e-4
    alone = LearnedGraph(GraphBatch.from_graphs(graphs[2:]), LATENT)
    alone.load_state_dict(reader.state_dict())
    torch.testing.assert_close(alone(torch.zeros(1, dtype=torch.int64))[0], other)


def test_given_vectors_are_standardised_by_training_graphs_alone(fold):
    encoder = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
    vectors = torch.from_numpy(encoder.encode(fold.task.graphs))
    known = np.array([0, 1, 2, 2])
    torch.manual_seed(0)
    reader = GivenGraph(vectors, known, LATENT)
    changed = vectors.clone()
    changed[5:] += 10
    torch.testing.assert_close(GivenGraph(changed, known, LATENT).embeddings[:5], reader.embeddings[:5])
    torch.testing.assert_close(reader.embeddings[:3].mean(0), torch.zeros(vectors.shape[1]), atol=1e-4, rtol=0)
    assert reader(torch.tensor([3, 3])).shape == (2, LATENT)


@pytest.mark.parametrize("name", BUILT)
def test_nothing_behind_the_cut_and_no_batch_mate_changes_a_forecast(fold, name):
    model, batch = awake(name, fold), fold.batch(fold.test)
    told = model.forecast(batch)
    assert told.shape == batch.future.shape
    assert torch.isfinite(told).all()
    torch.testing.assert_close(model.forecast(batch._replace(future=torch.full_like(batch.future, torch.nan))), told)
    some = Batch(*(part[[3, 1]] for part in batch))
    torch.testing.assert_close(model.forecast(some), told[[3, 1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BUILT)
def test_training_is_the_same_by_seed_and_reads_no_test_run(fold, name):
    y = fold.y.copy()
    y[fold.test] = 9.0
    same, blind = train(TRAINED[name], fold, SHORT, 5), train(TRAINED[name], replace(fold, y=y), SHORT, 5)
    other = train(TRAINED[name], fold, SHORT, 6)
    assert same.step == blind.step
    assert 0 < same.step <= SHORT.steps
    batch = fold.batch(fold.test)
    with torch.no_grad():
        torch.testing.assert_close(same.model.forecast(batch), blind.model.forecast(batch), rtol=0, atol=0)
        assert (same.model.forecast(batch) - other.model.forecast(batch)).abs().max() > 0


def test_the_kept_step_is_the_best_on_the_validation_runs(fold):
    trained = train(RecurrentLSTM, fold, Effort(steps=40, every=5, patience=2, anneal=5), 0)
    held = fold.batch(fold.valid)
    with torch.no_grad():
        error = (trained.model.forecast(held) - held.future).square().mean().sqrt().item()
    assert error == pytest.approx(trained.valid)


def test_a_finer_grid_changes_little(fold, monkeypatch):
    model, batch = awake("lc-gode", fold), fold.batch(fold.test)
    coarse = model.forecast(batch)
    monkeypatch.setattr(_ode_solve, "STEP", 0.125)
    assert (model.forecast(batch) - coarse).abs().max() < 2e-3


def test_a_vrnn_remembers_its_first_point_and_pays_for_divergence(fold):
    torch.manual_seed(0)
    model, batch = VRNN(fold).eval(), fold.batch(fold.train[:5])
    moved = batch._replace(seen=batch.seen + torch.tensor([0.5] + [0.0] * (fold.seen - 1)))
    assert (model.forecast(moved) - model.forecast(batch))[:, 0].abs().min() > 0
    losses = []
    for beta in (0.0, 1.0):
        torch.manual_seed(1)
        losses.append(model.loss(batch, beta).item())
    assert losses[1] > losses[0]


def test_a_graph_that_decides_how_runs_end_is_made_use_of():
    """Losses begin alike; only the graph knows where they end."""
    fold, effort = made_fold(n=48), Effort(steps=60, every=10, anneal=20, rate=1e-2)
    read, blind = (train(TRAINED[name], fold, effort, 0) for name in ("lc-gode", "node"))
    assert read.valid < 0.9 * blind.valid
