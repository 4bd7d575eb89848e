"""Meta-training of the pairwise ranker: which pairs it draws, what it learns, and that a killed training goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import task, tasks
from scipy.stats import kendalltau

from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._rank_network import RankConfig
from metalcx.forecasters._traits import Architectures
from metalcx.transfer import PoolConfig, RankMetaConfig, TrainConfig, meta_train_rank_net
from metalcx.transfer import _rank_train as rank_train
from metalcx.transfer._episodes import draw_episode
from metalcx.transfer._inner import rows_of
from metalcx.transfer._ode_pool import build_ode_pool
from metalcx.transfer._pool import curves_of, jobs_of
from metalcx.transfer._rank_train import PER_EPISODE, pairs_of, train_rank_net_on

from .test_ode_train import told

ENCODER = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
LITTLE = RankMetaConfig(
    RankConfig(channels=2, hidden=8),
    PoolConfig(per_task=6, per_small_task=6, mixed=4, synthetic=3),
    TrainConfig(steps=12, batch=64, checkpoint_every=4),
)


@pytest.fixture(scope="module")
def sources():
    return [told(source) for source in tasks(3, n=24, points=12)]


@pytest.fixture(scope="module")
def pool(sources, tmp_path_factory):
    return build_ode_pool(sources, LITTLE.pool, Architectures(ENCODER), tmp_path_factory.mktemp("pool"))


def weights(model):
    return {name: value.clone() for name, value in model.net.state_dict().items()}


def test_pairs_are_of_one_episode_and_ask_for_the_ends_of_runs(pool):
    edges = rows_of(pool.episode, len(pool.task))
    chosen = pairs_of(edges, np.array([4, 0, 4, len(pool.task) - 1]))
    i, j = chosen.rows[chosen.pairs]
    assert (pool.episode[i] == pool.episode[j]).all()
    assert (chosen.owner[chosen.pairs[0]] == chosen.owner[chosen.pairs[1]]).all()
    assert (i != j).all()
    assert (pool.task[pool.episode[i]] == pool.task[pool.episode[j]]).all(), "a pair is of one task"
    for e, owner in zip((4, 0, 4), range(3), strict=False):
        rows = chosen.rows[chosen.owner == owner]
        n = len(rows)
        np.testing.assert_array_equal(rows, edges[e] + np.arange(n))
        assert 2 * n == edges[e + 1] - edges[e]
        assert len(np.unique(pool.run[rows])) == n, "each run once"
        assert (pool.times["s"][rows] >= pool.times["s"][rows + n]).all(), "for its end"


def test_outcomes_are_the_values_of_an_episode_in_one_unit(pool, sources):
    edges = rows_of(pool.episode, len(pool.task))
    for e, job in enumerate(jobs_of(sources, LITTLE.pool)):
        rng = np.random.default_rng([LITTLE.pool.seed, 1, job.number])
        curves, group = curves_of(sources, job, rng)
        drawn = draw_episode(curves, rng, group)
        outcome = pool.outcome[edges[e] : edges[e + 1]]
        slope = np.ptp(drawn.truth) / np.ptp(outcome)
        np.testing.assert_allclose(drawn.truth.mean() + slope * outcome, drawn.truth, atol=1e-5 * np.ptp(drawn.truth))


def test_families_held_out_are_never_drawn_and_nothing_of_them_is_learned(pool, sources, monkeypatch):
    usable, seen = np.array([True, False, True]), []

    def watched(edges, episodes):
        seen.extend(episodes)
        return pairs_of(edges, episodes)

    monkeypatch.setattr(rank_train, "pairs_of", watched)
    of_held = (pool.task == 1).any(1)
    changed = replace(pool, outcome=np.where(of_held[pool.episode], 9.0, pool.outcome).astype(np.float32))
    one, other = (weights(train_rank_net_on(p, sources, LITTLE, ENCODER, usable=usable)) for p in (pool, changed))
    assert len(seen) == 2 * LITTLE.train.steps * LITTLE.train.batch // PER_EPISODE
    assert not of_held[np.unique(seen)].any()
    assert all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(DataError, match="no source task is left"):
        train_rank_net_on(pool, sources, LITTLE, ENCODER, usable=np.zeros(3, bool))
    with pytest.raises(DataError, match="no source task is left"):
        meta_train_rank_net([], None, LITTLE)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoder", [None, ENCODER])
def test_a_killed_training_ends_with_the_same_weights(sources, tmp_path, encoder):
    whole = meta_train_rank_net(sources, tmp_path / "whole", LITTLE, encoder)
    assert whole.config.arch == (8 if encoder else 0)

    class KilledError(Exception):
        pass

    def dies(done: int, total: int, what: str) -> None:
        if "loss" in what and done == 6:
            raise KilledError

    with pytest.raises(KilledError):
        meta_train_rank_net(sources, tmp_path / "broken", LITTLE, encoder, progress=dies)
    again = meta_train_rank_net(sources, tmp_path / "broken", LITTLE, encoder)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(again)[name], value, rtol=0, atol=0)
    assert weights(whole)["out.weight"].any()
    with pytest.raises(ModelError, match="a training on other data or with other settings"):
        meta_train_rank_net(sources, tmp_path / "broken", replace(LITTLE, penalty=0.5), encoder)


@pytest.mark.parametrize("part", ["curve", "config", "task"])
def test_it_learns_without_a_part(pool, sources, part):
    config = replace(LITTLE, network=replace(LITTLE.network, **{part: False}))
    assert weights(train_rank_net_on(pool, sources, config, ENCODER))["out.weight"].any()


def test_it_orders_runs_of_tasks_that_it_never_saw(pool, sources):
    losses = []
    config = replace(LITTLE, train=TrainConfig(steps=80, batch=128, rate=5e-3))
    model = train_rank_net_on(
        pool, sources, config, ENCODER, progress=lambda done, total, what: losses.append(float(what.split()[-1]))
    )
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:5])
    assert losses[-1] < np.log(2)
    for seed in (9, 10):
        new = told(task("new", "g", seed=seed, n=40, points=12))
        queries = new.curves.take(np.arange(16, 40)).truncate(2.0)
        for k in (0, 16):
            adapted = model.adapt(new.curves.take(np.arange(k)))
            likelier = adapted.pairwise(queries, 12.0).sum(1)
            assert kendalltau(likelier, new.final[16:]).statistic > 0.4
            assert kendalltau(adapted.forecast(queries, 12.0).mean, new.final[16:]).statistic > 0.4
