"""The inner loops of MAML, Meta-SGD and ANIL: exact meta-gradients, and the same steps as adaptation takes later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import items_pool
from torch import nn

from metalcx.errors import DataError
from metalcx.forecasters._few_shot import InnerLoop, trajectory
from metalcx.forecasters._gate_lesson import gate_lesson
from metalcx.forecasters._gate_network import GateConfig, GateNetwork, gate_loss
from metalcx.transfer import InnerConfig, Pool, TrainConfig
from metalcx.transfer._inner import _adapted_loss, inner_loss, trained_inner, wrap
from metalcx.transfer._train import as_tensors

GRADIENT = ("maml", "metasgd", "anil")
INNER = InnerConfig(rate=0.05, steps=2, episodes=3)
ODDS = np.full(12, 1 / 12)


@pytest.fixture
def double() -> Iterator[None]:
    """Float64, so that finite differences are exact enough to compare with."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def network() -> GateNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return GateNetwork(GateConfig(members=2, width=3, depth=1, dropout=0.0))


def pool64() -> Pool:
    return items_pool(support=True, dtype=np.float64)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("algorithm", GRADIENT)
def test_meta_gradients_equal_finite_differences(algorithm: str) -> None:
    net = network()
    learner = wrap(net, algorithm, INNER)
    loss = inner_loss(net, learner, pool64(), ODDS, TrainConfig(), INNER)
    parameters = dict(learner.named_parameters())
    gradients = dict(zip(parameters, torch.autograd.grad(loss(0), list(parameters.values())), strict=True))
    h = 1e-6
    compared = 0
    for name, parameter in parameters.items():
        flat, slope = parameter.data.view(-1), gradients[name].reshape(-1)
        for i in {0, int(slope.abs().argmax())}:
            value = flat[i].item()
            flat[i] = value + h
            above = loss(0).item()
            flat[i] = value - h
            below = loss(0).item()
            flat[i] = value
            assert (above - below) / (2 * h) == pytest.approx(slope[i].item(), rel=1e-4, abs=1e-7), name
            compared += abs(slope[i].item()) > 1e-4
    # Body and head, and each weight's rate where it is learned.
    assert compared >= len(parameters)


@pytest.mark.parametrize("algorithm", GRADIENT)
def test_the_inner_loop_is_what_adaptation_does(algorithm: str) -> None:
    """The query loss after learn2learn's steps is that of the network which the trained model's own steps make."""
    net = network()
    learner = wrap(net, algorithm, INNER)
    if algorithm == "metasgd":
        with torch.no_grad():
            for i, lr in enumerate(learner.lrs):  # type: ignore[arg-type]
                lr.mul_(1 + i)
    pool = items_pool(1, support=True)
    assert pool.support is not None
    support, query = as_tensors(pool.support), as_tensors(pool.queries)
    found = _adapted_loss(net, learner, support, query, 3)
    loop, rates = trained_inner(net, learner, algorithm, InnerConfig(rate=0.05, steps=3))
    assert (loop.rate, loop.optimiser, loop.layers) == (0.05, "sgd", "head" if algorithm == "anil" else "all")
    lesson = gate_lesson(pool.support, 1, loop)
    (after,) = trajectory(net, loop, lesson, np.ones(len(pool.support), dtype=bool), (3,), rates)
    x, offsets, y, weight = query
    assert found.item() == pytest.approx(gate_loss(after(x, offsets), y, weight).item(), rel=1e-5)
    assert found.item() != pytest.approx(gate_loss(net(x, offsets), y, weight).item(), rel=1e-4)


def test_no_inner_steps_are_the_plain_loss() -> None:
    net = network()
    pool = items_pool(1, support=True)
    assert pool.support is not None
    support, query = as_tensors(pool.support), as_tensors(pool.queries)
    x, offsets, y, weight = query
    for algorithm in GRADIENT:
        found = _adapted_loss(net, wrap(net, algorithm, INNER), support, query, 0)
        assert found.item() == pytest.approx(gate_loss(net(x, offsets), y, weight).item(), rel=1e-6)


def test_members_adapt_alike_in_any_company() -> None:
    """A member's inner steps do not shrink with the number of members."""
    one = GateNetwork(GateConfig(members=1, width=3, depth=1, dropout=0.0))
    three = GateNetwork(GateConfig(members=3, width=3, depth=1, dropout=0.0))
    with torch.no_grad():
        for a, b in zip(three.parameters(), one.parameters(), strict=True):
            a.copy_(b.expand_as(a))
    pool = items_pool(1, support=True)
    assert pool.support is not None
    support, query = as_tensors(pool.support), as_tensors(pool.queries)
    found = [_adapted_loss(n, wrap(n, "maml", INNER), support, query, 2).item() for n in (one, three)]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_learned_rates_are_named_after_their_weights() -> None:
    net = network()
    learner = wrap(net, "metasgd", INNER)
    _, rates = trained_inner(net, learner, "metasgd", INNER)
    assert rates is not None
    assert {n: r.shape for n, r in rates.items()} == {n: p.shape for n, p in net.named_parameters()}
    assert all((r == 0.05).all() and not r.requires_grad for r in rates.values())


def test_what_the_outer_loop_trains() -> None:
    net = network()
    own = sum(p.numel() for p in net.parameters())
    sizes = {a: sum(p.numel() for p in wrap(net, a, INNER).parameters()) for a in GRADIENT}
    assert sizes == {"maml": own, "metasgd": 2 * own, "anil": own}


def test_episodes_without_support_or_probability_are_never_drawn() -> None:
    pool = items_pool(support=True)
    assert pool.support is not None
    assert pool.support_episode is not None
    kept = pool.support_episode % 4 != 0  # episodes 0, 4 and 8 have no support
    odds = np.where(np.arange(12) % 4 == 1, 0.0, 1.0)
    pool.queries.y[(pool.episode % 4 < 2)] = np.nan
    pool = Pool(pool.queries, pool.episode, pool.task, pool.support.take(kept), pool.support_episode[kept])
    net = network()
    loss = inner_loss(net, wrap(net, "maml", INNER), pool, odds / odds.sum(), TrainConfig(), INNER)
    assert all(torch.isfinite(loss(step)) for step in range(8))
    assert loss(0).item() == loss(0).item() != loss(1).item()


def test_a_pool_without_support_is_refused() -> None:
    net = network()
    with pytest.raises(DataError, match="with_support"):
        inner_loss(net, wrap(net, "maml", INNER), items_pool(), ODDS, TrainConfig(), INNER)


def test_unknown_algorithms_are_refused() -> None:
    with pytest.raises(DataError, match="'reptile'"):
        wrap(network(), "reptile", INNER)
    assert isinstance(wrap(network(), "anil", INNER), nn.ModuleList)
    assert InnerLoop(0.1, "sgd").candidates[0] == 0


def uneven() -> Pool:
    """Episodes of 3 to 10 queries and 5 to 10 support items."""
    pool = items_pool(support=True, dtype=np.float64)
    assert pool.support is not None
    place = np.tile(np.arange(10), 12)
    queries, supports = place < 3 + pool.episode % 8, place < 5 + pool.episode % 6
    return replace(
        pool,
        queries=pool.queries.take(queries),
        episode=pool.episode[queries],
        support=pool.support.take(supports),
        support_episode=pool.episode[supports],
    )


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("algorithm", GRADIENT)
def test_all_episodes_at_once_are_what_learn2learn_makes_of_each(algorithm: str) -> None:
    found = []
    for engine in ("vmap", "learn2learn"):
        net, inner = network(), replace(INNER, episodes=5, engine=engine)
        learner = wrap(net, algorithm, inner)
        loss = inner_loss(net, learner, uneven(), ODDS, TrainConfig(), inner)(3)
        found.append((loss, torch.autograd.grad(loss, list(learner.parameters()))))
    torch.testing.assert_close(found[0][0], found[1][0])
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other)
    assert all((slope != 0).any() for slope in found[0][1])


def test_there_is_no_other_engine() -> None:
    with pytest.raises(DataError, match="no engine 'jax'; it is vmap or learn2learn"):
        InnerConfig(engine="jax")  # type: ignore[arg-type]
