"""Meta-training from tasks to a forecaster: plain episodes, MAML, Meta-SGD and ANIL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import SMALL, items_pool, task, tasks

from metalcx.errors import DataError, ModelError
from metalcx.forecasters._expert_gate import ExpertGate
from metalcx.testing import synthetic_curves
from metalcx.transfer import InnerConfig, MetaConfig, PoolConfig, PreparedTask, TrainConfig, meta_train, train_on
from metalcx.transfer._train import new_network

GRADIENT = ("maml", "metasgd", "anil")
SUPPORT = synthetic_curves(6, 12, seed=1)
QUERIES = synthetic_curves(3, 12, seed=2).truncate(5.0)


@pytest.fixture(scope="module")
def sources() -> list[PreparedTask]:
    return tasks(3, n=12, points=8)


def config(algorithm: str, **train: float) -> MetaConfig:
    return MetaConfig(
        algorithm,
        SMALL,
        PoolConfig(per_task=2, per_small_task=2, mixed=2, synthetic=1),
        TrainConfig(**{"steps": 40, "batch": 32, "rate": 0.02, "checkpoint_every": 5, **train}),  # type: ignore[arg-type]
        InnerConfig(rate=0.02, steps=1, episodes=3),
    )


def weights(model: ExpertGate) -> dict[str, torch.Tensor]:
    return model.net.state_dict()


def same(a: ExpertGate, b: ExpertGate) -> bool:
    return all(torch.equal(v, weights(b)[n]) for n, v in weights(a).items())


def trained(algorithm: str, sources: list[PreparedTask], **known: object) -> tuple[ExpertGate, list[float]]:
    """A model meta-trained on made-up items, and the loss of each step."""
    losses: list[float] = []
    pool = items_pool(support=algorithm != "episodic")
    model = train_on(
        pool,
        sources,
        config(algorithm, **known),  # type: ignore[arg-type]
        progress=lambda done, total, what: losses.append(float(what.split()[-1])),
    )
    return model, losses


@pytest.mark.parametrize("algorithm", ["episodic", *GRADIENT])
def test_the_loss_falls_and_the_model_adapts(algorithm: str, sources: list[PreparedTask]) -> None:
    model, losses = trained(algorithm, sources)
    assert len(losses) == 40
    assert np.mean(losses[-8:]) < 0.85 * np.mean(losses[:8])
    assert not any(m.training for m in (model.net.body, model.net.head))
    adapted = model.adapt(SUPPORT, steps=2)
    assert adapted.steps == 2
    assert np.isfinite(adapted.forecast(QUERIES, 12).values).all()
    again = model.adapt(SUPPORT, steps=2)
    np.testing.assert_array_equal(again.forecast(QUERIES, 12).values, adapted.forecast(QUERIES, 12).values)


@pytest.mark.parametrize("algorithm", GRADIENT)
def test_gradient_based_models_adapt_as_they_were_trained(algorithm: str, sources: list[PreparedTask]) -> None:
    model, _ = trained(algorithm, sources, steps=4)
    assert (model.inner.optimiser, model.inner.rate) == ("sgd", 0.02)
    assert model.inner.candidates == (0, 1, 3)
    after = model.adapt(SUPPORT, steps=1)
    changed = {n for n, v in weights(model).items() if not torch.equal(v, weights(after)[n])}
    head = {"head.weight", "head.bias"}
    assert changed == head if algorithm == "anil" else changed > head


def test_meta_sgd_learns_its_rates(sources: list[PreparedTask]) -> None:
    model, _ = trained("metasgd", sources)
    assert model.rates is not None
    assert all((rate != 0.02).any() for rate in model.rates.values())
    assert trained("maml", sources, steps=2)[0].rates is None


def test_anil_trains_the_body_too(sources: list[PreparedTask]) -> None:
    model, _ = trained("anil", sources, steps=4)
    fresh = new_network(SMALL, items_pool(support=True).queries, 0).state_dict()
    assert all(not torch.equal(v, fresh[n]) for n, v in weights(model).items() if n not in ("mean", "std"))


@pytest.mark.parametrize("algorithm", ["episodic", "metasgd", "anil"])
def test_from_tasks_killed_and_gone_on_with(algorithm: str, sources: list[PreparedTask], tmp_path: Path) -> None:
    few = config(algorithm, steps=12)
    whole = meta_train(sources, tmp_path / "whole", few)

    def die(done: int, total: int, what: str) -> None:
        if what.startswith("meta-training") and done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meta_train(sources, tmp_path / "cut", few, progress=die)
    resumed = meta_train(sources, tmp_path / "cut", few)
    assert same(whole, resumed)
    assert whole.rates is None or all(torch.equal(r, resumed.rates[n]) for n, r in whole.rates.items())  # type: ignore[index]
    assert whole.inner == resumed.inner
    if algorithm == "episodic":
        other = meta_train(sources, tmp_path / "other", config(algorithm, steps=12, seed=1))
        assert not same(whole, other)


def test_a_checkpoint_of_another_training_is_refused(sources: list[PreparedTask], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    few = config("maml", steps=2)
    train_on(items_pool(support=True), sources, few, path)
    usable = np.array([True, False, True])
    for pool, other, may in (
        (items_pool(support=True, seed=7), few, None),  # other data
        (items_pool(support=True), config("metasgd", steps=2), None),
        (items_pool(support=True), replace(few, inner=InnerConfig(rate=0.5)), None),
        (items_pool(support=True), replace(few, network=replace(SMALL, width=9)), None),
        (items_pool(support=True), few, usable),  # another family held out
    ):
        with pytest.raises(ModelError, match=r"other data or with other settings"):
            train_on(pool, sources, other, path, may)
    train_on(items_pool(support=True), sources, few, path)


def test_what_is_held_out_leaves_no_trace(sources: list[PreparedTask]) -> None:
    """Neither in the weights nor in the features' standardisation."""
    few, usable = config("episodic", steps=6), np.array([True, False, True])
    pool, changed = items_pool(), items_pool()
    held = changed.episode % 3 == 1
    changed.queries.x[held] += 5.0
    changed.queries.y[held] -= 5.0
    assert same(*(train_on(p, sources, few, usable=usable) for p in (pool, changed)))
    assert not same(*(train_on(p, sources, few) for p in (pool, changed)))


def test_no_task_and_no_algorithm_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no source task is left"):
        meta_train([], tmp_path)
    with pytest.raises(DataError, match="no algorithm 'reptile'"):
        MetaConfig("reptile")
    one = [task("t", "f", n=10, points=6)]
    with pytest.raises(DataError, match="no source task is left"):
        train_on(items_pool(3), one * 3, config("episodic"), usable=np.zeros(3, dtype=bool))


def test_the_pool_keeps_supports_only_where_they_are_learned_from() -> None:
    assert not MetaConfig("episodic", pool=PoolConfig(with_support=True)).pool.with_support
    assert all(MetaConfig(a).pool.with_support for a in GRADIENT)
