"""Meta-training of the latent graph ODE: its pool, what it learns, and that a killed training goes on."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import task, tasks

from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._gate_network import GateConfig
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._traits import Architectures
from metalcx.graphs import all_nasbench201
from metalcx.transfer import PoolConfig, TrainConfig
from metalcx.transfer._ode_pool import PLACES, OdePool, build_ode_pool
from metalcx.transfer._ode_train import OdeMetaConfig, meta_train_ode, train_ode_on
from metalcx.transfer._pool import NONE

ENCODER = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
SMALL = OdeConfig(GateConfig(members=2, width=8, depth=1), latent=4, hidden=8, heads=2)
LITTLE = OdeMetaConfig(
    SMALL,
    PoolConfig(per_task=6, per_small_task=6, mixed=4, synthetic=3),
    TrainConfig(steps=12, batch=16, checkpoint_every=4),
)
CELLS = [text for text, _ in zip((spec for spec, _ in all_nasbench201()), range(6), strict=False)]


def told(source, cells=CELLS):
    """The same task, whose runs have an architecture and a configuration each; of the last it is not known."""
    n = len(source)
    arch = np.array([*[cells[i % len(cells)] for i in range(n - 1)], None], dtype=object)
    config = pd.DataFrame({"lr": np.logspace(-4, 0, n), "act": ["relu", "gelu"] * (n // 2)})
    return replace(source, curves=replace(source.curves, arch=arch, config=config))


@pytest.fixture(scope="module")
def sources():
    return [told(source) for source in tasks(3, n=24, points=12)]


@pytest.fixture(scope="module")
def pool(sources, tmp_path_factory):
    return build_ode_pool(sources, LITTLE.pool, Architectures(ENCODER), tmp_path_factory.mktemp("pool"))


def equal(a: OdePool, b: OdePool) -> None:
    for f in fields(OdePool):
        one, other = getattr(a, f.name), getattr(b, f.name)
        for name in one if isinstance(one, dict) else ():
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
        if not isinstance(one, dict):
            np.testing.assert_array_equal(one, other, err_msg=f.name)


def test_runs_and_requests_hang_together(pool):
    assert len(pool.run) == len(pool.y) == len(pool.weight) == len(pool.episode) == 2 * len(pool.k)
    for episode in range(len(pool.task)):
        runs = np.unique(pool.run[pool.episode == episode])
        assert (np.diff(runs) == 1).all(), "an episode's runs lie side by side"
        assert len(np.unique(pool.k[runs])) == 1
    assert pool.runs["relation"].shape[1] == PLACES
    beyond = np.arange(PLACES) >= pool.k[:, None]
    assert not pool.runs["course"][beyond].any()
    assert pool.times["s"].max() > 0.3


def test_architectures_and_configurations_are_of_single_tasks(pool):
    single = (pool.task[:, 0] != NONE) & (pool.task[:, 1] == NONE)
    of_run = single[pool.episode[np.unique(pool.run, return_index=True)[1]]]
    assert (pool.arch[~of_run] == -1).all()
    assert not pool.runs["config"][~of_run].any()
    assert (pool.arch[of_run] >= 0).mean() > 0.8
    assert len(pool.embeddings) == len(CELLS)
    assert pool.runs["config"][of_run].any(1).all()
    enough = of_run & (pool.k >= 3)
    assert pool.runs["known"][enough, 0].all()
    assert (pool.runs["relation"][enough][:, :, 2] > 0).any(), "configurations differ"


def test_a_batch_is_what_stands_in_its_rows(pool):
    rows = np.array([5, 0, 5, len(pool.y) - 1])
    runs, times, y, _ = pool.batch(rows)
    np.testing.assert_array_equal(y, pool.y[rows])
    np.testing.assert_array_equal(times.run, np.arange(4))
    np.testing.assert_array_equal(runs.k, pool.k[pool.run[rows]])
    torch.testing.assert_close(runs.x[0], runs.x[2])
    assert (runs.has_arch[:, 0] == torch.from_numpy((pool.arch[pool.run[rows]] >= 0).astype(np.float32))).all()
    assert ((runs.arch != 0).any(1) == (runs.has_arch[:, 0] > 0)).all()


def test_the_pool_is_the_same_whoever_draws_it_and_however_often_it_is_interrupted(
    pool, sources, tmp_path, monkeypatch
):
    monkeypatch.setattr("metalcx.transfer._ode_pool.SHARD", 8)
    two = build_ode_pool(sources, LITTLE.pool, Architectures(ENCODER), tmp_path, workers=2)
    equal(two, pool)
    next(iter(tmp_path.rglob("00001.npz"))).unlink()
    equal(build_ode_pool(sources, LITTLE.pool, Architectures(ENCODER), tmp_path), pool)
    folders = len(list(tmp_path.iterdir()))
    build_ode_pool(sources, LITTLE.pool, Architectures(None), tmp_path)
    assert len(list(tmp_path.iterdir())) == folders + 1, "with other embeddings it is another pool"


def weights(model):
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def test_it_learns(pool, sources):
    losses = []
    config = replace(LITTLE, train=TrainConfig(steps=150, batch=64, rate=5e-3))
    train_ode_on(
        pool, sources, config, ENCODER, progress=lambda done, total, what: losses.append(float(what.split()[-1]))
    )
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:10])


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_a_killed_training_ends_with_the_same_weights(sources, tmp_path, encoder):
    whole = meta_train_ode(sources, tmp_path / "whole", LITTLE, encoder)
    assert whole.config.arch == (8 if encoder else 0)

    class KilledError(Exception):
        pass

    def dies(done: int, total: int, what: str) -> None:
        if "loss" in what and done == 6:
            raise KilledError

    with pytest.raises(KilledError):
        meta_train_ode(sources, tmp_path / "broken", LITTLE, encoder, progress=dies)
    again = meta_train_ode(sources, tmp_path / "broken", LITTLE, encoder)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(again)[name], value, rtol=0, atol=0)
    assert any((weights(whole)[name] != 0).any() for name in ("drift_out.weight", "out.weight"))
    with pytest.raises(ModelError, match="a training on other data or with other settings"):
        meta_train_ode(sources, tmp_path / "broken", replace(LITTLE, divergence=0.5), encoder)


def test_what_is_held_out_is_not_learned_from(pool, sources):
    usable = np.array([True, False, True])
    changed = replace(pool, y=np.where((pool.task == 1).any(1)[pool.episode], 1e3, pool.y).astype(np.float32))
    one, other = (weights(train_ode_on(p, sources, LITTLE, ENCODER, usable=usable)) for p in (pool, changed))
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(DataError, match="no source task is left"):
        train_ode_on(pool, sources, LITTLE, ENCODER, usable=np.zeros(3, bool))
    with pytest.raises(DataError, match="no source task is left"):
        meta_train_ode([], None, LITTLE)  # type: ignore[arg-type]


def test_it_forecasts_a_task_that_it_never_saw(sources, tmp_path):
    model = meta_train_ode(sources, tmp_path, LITTLE, ENCODER)
    new = told(task("new", "g", seed=9, n=24, points=12))
    adapted = model.adapt(new.curves.take(np.arange(16)))
    queries = new.curves.take(np.arange(16, 24)).truncate(4.0)
    forecast = adapted.forecast(queries, 12.0)
    assert np.isfinite(forecast.values).all()
    assert np.abs(forecast.mean - new.final[16:]).mean() < np.abs(queries.final - new.final[16:]).mean()
