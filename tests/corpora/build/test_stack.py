"""Stacked training is training: the same curves as one network at a time, by torch's own optimisers and losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn import functional

from metalcx.corpora.build._data import Data, make
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._initial import initialised
from metalcx.corpora.build._networks import build_network
from metalcx.corpora.build._stack import MEASURED, Stack, _Training, train_stack
from metalcx.graphs import ArchGraph

TABLES = {
    "vector": {"source": "sklearn", "dataset": "iris", "n_train": 50},
    "image": {"source": "sklearn", "dataset": "digits", "kind": "image", "n_train": 70, "n_val": 40, "n_test": 30},
    "sequence": {
        "source": "sklearn",
        "dataset": "digits",
        "kind": "sequence",
        "n_train": 60,
        "n_val": 40,
        "n_test": 30,
    },
    "regression": {"source": "sklearn", "dataset": "diabetes", "n_train": 60, "n_val": 40, "n_test": 30},
}
MLP = {"widths": (12, 12), "activation": "tanh", "norm": "batch", "dropout": 0.0, "residual": True}
CNN = {
    "channels": 4,
    "blocks": 2,
    "kernel": 3,
    "activation": "gelu",
    "norm": "batch",
    "residual": True,
    "dropout": 0.0,
}
CELL = {
    "edges": ((0, 1, "conv3"), (0, 2, "max-pool"), (1, 2, "depthwise3"), (0, 3, "skip"), (1, 3, "conv1")),
    "join": "concat",
    "cells": 1,
    "channels": 4,
    "activation": "silu",
    "norm": "group",
    "dropout": 0.0,
}
GRU = {"cell": "gru", "hidden": 8, "layers": 1, "mean": False, "dropout": 0.0}
ATTENTION = {"width": 8, "heads": 2, "blocks": 1, "activation": "gelu", "dropout": 0.0}
KINDS = [
    ("vector", "mlp", MLP),
    ("vector", "mlp", {**MLP, "norm": "layer"}),
    ("regression", "mlp", MLP),
    ("image", "cnn", CNN),
    ("image", "cell-cnn", CELL),
    ("sequence", "recurrent", GRU),
    ("sequence", "attention", ATTENTION),
]


def config(**changes: Any) -> dict[str, Any]:
    known = {"optimiser": "sgd", "learning_rate": 0.05, "schedule": "constant", "weight_decay": 0.0, "momentum": 0.0}
    return {**known, "init": "lecun", "init_gain": 1.0, "label_smoothing": 0.0, **changes}


CONFIGS = (
    config(),
    config(momentum=0.9, schedule="cosine", weight_decay=0.01, clip=1.0, label_smoothing=0.1, init="he"),
    config(optimiser="nesterov", momentum=0.5, schedule="step", init="glorot", init_gain=0.7),
    config(optimiser="adam", learning_rate=0.004, schedule="exponential", label_smoothing=0.2),
    config(optimiser="adamw", learning_rate=0.01, weight_decay=0.1, schedule="cosine"),
    config(optimiser="rmsprop", learning_rate=0.002),
)


def stack(data: str = "vector", network: str = "mlp", settings: Any = MLP, **changes: Any) -> Stack:
    (spec,) = expand([TABLES[data]], 0)
    return replace(Stack(spec, network, settings, 16, 4, CONFIGS, 5), **changes)


def column(values: np.ndarray, name: str) -> np.ndarray:
    return values[..., MEASURED.index(name)]


# --- one network at a time ------------------------------------------------------------------------------------------


def alone(given: Stack) -> np.ndarray:
    """Train the runs of a stack one by one, from the same weights and with the same batches; as `train_stack`."""
    data = make(given.data)
    generator = torch.Generator().manual_seed(given.seed)
    module = build_network(given.network, given.settings, data.x_train.shape[1:], max(1, data.n_classes))
    start = initialised(module, given.configs, generator)
    shape = (len(given.configs), len(data.x_train))
    orders = [torch.rand(shape, generator=generator).argsort(1) for _ in range(given.epochs)]
    rows = []
    for i, chosen in enumerate(given.configs):
        net = build_network(given.network, given.settings, data.x_train.shape[1:], max(1, data.n_classes))
        with torch.no_grad():
            for name, p in net.named_parameters():
                p.copy_(start[name][i])
        rows.append(_curve(net, data, chosen, given, [order[i] for order in orders]))
    return np.stack(rows).astype(np.float32)


def _curve(
    net: nn.Module, data: Data, chosen: dict[str, Any], given: Stack, orders: list[torch.Tensor]
) -> list[list[float]]:
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)
    optimiser = _optimiser(chosen, net)
    schedule = _schedule(chosen["schedule"], optimiser, given.epochs)
    smoothing = chosen["label_smoothing"]
    rows = [[_loss(net.eval(), x, y, smoothing).item(), *_measured(net, data), chosen["learning_rate"]]]
    for order in orders:
        net.train()
        losses = []
        for start in range(0, len(x) - given.batch_size + 1, given.batch_size):
            batch = order[start : start + given.batch_size]
            loss = _loss(net, x[batch], y[batch], smoothing)
            optimiser.zero_grad()
            loss.backward()
            if "clip" in chosen:
                nn.utils.clip_grad_norm_(net.parameters(), chosen["clip"])
            optimiser.step()
            losses.append(loss.item())
        rows.append([np.mean(losses), *_measured(net, data), schedule.get_last_lr()[0]])
        schedule.step()
    return rows


def _loss(net: nn.Module, x: torch.Tensor, y: torch.Tensor, smoothing: float) -> torch.Tensor:
    out = net(x)
    if y.is_floating_point():
        return functional.mse_loss(out[:, 0], y)
    return functional.cross_entropy(out, y, label_smoothing=smoothing)


def _optimiser(chosen: dict[str, Any], net: nn.Module) -> torch.optim.Optimizer:
    rule, rate, decay = chosen["optimiser"], chosen["learning_rate"], chosen["weight_decay"]
    if rule in ("sgd", "nesterov"):
        momentum = chosen["momentum"]
        return torch.optim.SGD(net.parameters(), rate, momentum, weight_decay=decay, nesterov=rule == "nesterov")
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}[rule]
    return kind(net.parameters(), rate, weight_decay=decay)


def _schedule(name: str, optimiser: torch.optim.Optimizer, epochs: int) -> torch.optim.lr_scheduler.LRScheduler:
    schedules = torch.optim.lr_scheduler
    if name == "cosine":
        return schedules.CosineAnnealingLR(optimiser, epochs)
    if name == "step":
        return schedules.MultiStepLR(optimiser, [epochs // 2, epochs * 3 // 4])
    return schedules.ExponentialLR(optimiser, 1.0 if name == "constant" else 0.01 ** (1 / epochs))


@torch.no_grad()
def _measured(net: nn.Module, data: Data) -> list[float]:
    """Validation loss and score, and the test score."""
    net.eval()
    found = []
    for part in ("val", "test"):
        x, y = (torch.from_numpy(getattr(data, f"{name}_{part}")) for name in "xy")
        out = net(x)
        if data.n_classes:
            score = (out.argmax(1) == y).double().mean().item()
        else:
            score = 1 - (functional.mse_loss(out[:, 0], y) / y.var(correction=0)).item()
        found += [_loss(net, x, y, 0.0).item(), score]
    return [found[0], found[1], found[3]]


@pytest.mark.parametrize(("data", "network", "settings"), KINDS)
def test_a_stack_gives_the_curves_of_networks_trained_one_by_one(data: str, network: str, settings: Any) -> None:
    # Biases ahead of a batch norm have a gradient of rounding errors, which the adaptive rules blow up.
    configs = CONFIGS[:3] if settings.get("norm") == "batch" else CONFIGS
    given = stack(data, network, settings, configs=configs, test_always=True)
    values, wanted = train_stack(given)["values"], alone(given)
    assert values.shape == (len(configs), 5, 6)
    for k, name in enumerate(("train_loss", "val_loss", "val_score", "test_score", "learning_rate")):
        # One example of some dozens may fall to the other side of a boundary.
        atol = 0.04 if name.endswith("score") and data != "regression" else 1e-4
        assert_allclose(column(values, name), wanted[..., k], rtol=2e-3, atol=atol, err_msg=name)
    assert (column(values, "train_loss")[:, -1] < column(values, "train_loss")[:, 0]).all()


def test_dropout_differs_from_run_to_run_and_is_off_when_measured() -> None:
    twins = (config(), config())
    same = stack(settings={**MLP, "norm": "none", "dropout": 0.5}, configs=twins, epochs=1)
    start = initialised(torch.nn.Linear(1, 1), twins, torch.Generator().manual_seed(0))
    assert not torch.equal(*start["weight"])
    values = train_stack(same)["values"]
    plain = train_stack(replace(same, settings={**MLP, "norm": "none"}))["values"]
    assert_array_equal(values[:, 0, :3], plain[:, 0, :3])
    assert (np.abs(values[:, 1, 0] - plain[:, 1, 0]) > 1e-3).all()


# --- runs that are lost ---------------------------------------------------------------------------------------------


def test_a_run_that_diverges_ends_there_and_leaves_the_others_alone() -> None:
    calm = config(learning_rate=0.01)
    settings = {**MLP, "norm": "none", "activation": "relu"}
    wild = stack("regression", settings=settings, configs=(calm, config(learning_rate=3.0), calm), epochs=8)
    found = train_stack(wild)
    values, length = found["values"], found["length"]
    assert list(length[[0, 2]]) == [9, 9]
    assert 1 < length[1] < 9
    assert np.isfinite(values[1, : length[1] - 1, :3]).all()
    assert not np.isfinite(values[1, length[1] - 1, :3]).all()
    assert np.isnan(values[1, length[1] :]).all()
    wanted = alone(wild)
    assert np.isfinite(wanted[1, : length[1] - 1, :3]).all()
    assert not np.isfinite(wanted[1, length[1] - 1, :3]).all()
    tame = train_stack(replace(wild, configs=(calm, calm, calm)))["values"]
    assert_array_equal(values[[0, 2], :, :5], tame[[0, 2], :, :5])


def test_a_lost_network_has_no_accuracy_though_some_class_is_always_largest() -> None:
    lost = stack(settings={**MLP, "norm": "none", "activation": "relu"}, configs=(config(learning_rate=1e18),))
    found = train_stack(lost)
    assert list(found["length"]) == [2]
    assert np.isnan(column(found["values"], "val_score")[0, 1:]).all()


# --- what is measured when ------------------------------------------------------------------------------------------


def test_point_zero_is_before_training() -> None:
    given = stack(configs=(config(learning_rate=0.0, schedule="constant"), config(learning_rate=0.3)))
    values = train_stack(given)["values"]
    still = [MEASURED.index(name) for name in ("val_loss", "val_score")]
    idle = train_stack(replace(given, settings={**MLP, "norm": "none"}))["values"][0]
    assert_array_equal(idle[1:, still], np.repeat(idle[:1, still], 4, 0))
    assert_allclose(values[:, 0, :3], alone(given)[:, 0, :3], rtol=1e-5)
    assert not np.isclose(values[1, 1, still[0]], values[1, 0, still[0]])
    seconds = column(values, "seconds")
    assert (seconds[:, 0] == 0).all()
    assert (np.diff(seconds, axis=1) > 0).all()


def test_the_test_score_is_measured_at_the_end_or_where_a_run_may_be_stopped_always() -> None:
    once, always = (train_stack(stack(test_always=flag))["values"] for flag in (False, True))
    assert np.isnan(column(once, "test_score")[:, :-1]).all()
    assert np.isfinite(column(always, "test_score")).all()
    assert_array_equal(column(once, "test_score")[:, -1], column(always, "test_score")[:, -1])
    others = [i for i, name in enumerate(MEASURED) if name not in ("test_score", "seconds")]
    assert_array_equal(once[..., others], always[..., others])


def test_a_last_partial_batch_is_dropped_and_a_batch_larger_than_the_data_is_all_of_them() -> None:
    data = make(stack().data)
    assert len(data.x_train) == 50
    large = stack(batch_size=64, settings={**MLP, "norm": "none"}, epochs=1, configs=(config(),))
    whole = replace(large, batch_size=50)
    assert_allclose(train_stack(large)["values"][0, 1, :3], train_stack(whole)["values"][0, 1, :3], rtol=1e-5)


# --- the same again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "network", "settings"), [KINDS[0], KINDS[3], KINDS[5]])
def test_the_same_stack_gives_the_same_arrays_but_seconds(data: str, network: str, settings: Any) -> None:
    given = stack(data, network, {**settings, "dropout": 0.2}, epochs=2)
    one, again, other = (train_stack(replace(given, seed=seed)) for seed in (5, 5, 6))
    assert_array_equal(one["values"][..., :5], again["values"][..., :5])
    assert_array_equal(one["length"], again["length"])
    assert str(one["graph"]) == str(again["graph"])
    assert not np.array_equal(one["values"][..., :3], other["values"][..., :3])


def test_the_result_holds_arrays_of_plain_values_and_the_graph_that_was_trained() -> None:
    found = train_stack(stack("image", "cell-cnn", CELL, epochs=1))
    assert {name: (array.dtype.kind, array.shape) for name, array in found.items()} == {
        "values": ("f", (6, 2, 6)),
        "length": ("i", (6,)),
        "graph": ("U", ()),
    }
    graph = ArchGraph.from_json(str(found["graph"]))
    ops = [node["op"] for node in graph.nodes]
    assert {"conv", "max_pool", "input", "output"} <= set(ops)
    assert graph.n_params == sum(p.numel() for p in build_network("cell-cnn", CELL, (1, 8, 8), 10).parameters())


@pytest.mark.parametrize(("data", "network", "settings"), [KINDS[1], KINDS[2], KINDS[4], KINDS[5]])
def test_all_of_a_training_is_on_its_device(data: str, network: str, settings: Any) -> None:
    """Tensors without numbers stand for those of a GPU: torch refuses to mix them with others."""
    given = stack(data, network, settings)
    arrays = make(given.data)
    module = build_network(network, settings, arrays.x_train.shape[1:], max(1, arrays.n_classes))
    with torch.device("meta"):
        training = _Training(given, arrays, module, "meta")
        found = [training._objective_now(), training._epoch(training.rates[:, :1])]
        found += [training._plain_loss(training._outputs("x_val"), training._targets("y_val"))]
        found += [training._score(training._outputs("x_test"), training._targets("y_test"))]
    assert [(value.device.type, tuple(value.shape)) for value in (*found, training.flat[:, 0])] == [("meta", (6,))] * 5


def test_random_state_and_threads_of_the_caller_are_left_alone() -> None:
    torch.manual_seed(11)
    np.random.seed(11)
    before, threads, device = torch.random.get_rng_state(), torch.get_num_threads(), torch.get_default_device()
    numbers = np.random.get_state()[1].copy()
    one = train_stack(stack(settings={**MLP, "dropout": 0.3}))["values"]
    assert torch.equal(before, torch.random.get_rng_state())
    assert_array_equal(numbers, np.random.get_state()[1])
    assert torch.get_num_threads() == threads
    assert torch.get_default_device() == device
    assert torch.is_grad_enabled()
    torch.manual_seed(12)
    assert_array_equal(one[..., :5], train_stack(stack(settings={**MLP, "dropout": 0.3}))["values"][..., :5])
