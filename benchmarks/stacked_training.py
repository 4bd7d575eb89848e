"""Time small networks trained stacked, against the same networks trained one after another by a plain PyTorch loop.

    python benchmarks/stacked_training.py

Each network is trained R times, with as many optimisers, learning rates and initial weights. The plain loop has the
same weights, batches and evaluations, torch's own layers where ours are written out (recurrent cells, pooling) and
torch's fused optimisers; the faster of one and two threads counts. Stacked training has one thread a process; with two
processes, each trains its own stacks. `deviation` is the largest difference of the losses after the first epoch, in
parts of the loss: both train the same. Times are the least of `--repeat`, everything a run needs from its data on
included, what is needed once a process (imports, first calls) not.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from metalcx.corpora.build._convolutional import MaxPool
from metalcx.corpora.build._data import Data, make
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._initial import initialised
from metalcx.corpora.build._networks import build_network
from metalcx.corpora.build._sequential import RecurrentLayer
from metalcx.corpora.build._stack import MEASURED, Stack, train_stack

RESULTS = Path(__file__).parent / "results" / "stacked_training.csv"
FIELDS = (
    *("device", "kind", "network", "parameters", "runs", "batch", "steps"),
    *("plain_1_thread_s", "plain_2_threads_s", "stacked_1_process_s", "stacked_2_processes_s"),
    *("times_1_process", "times_2_processes", "deviation"),
)

KINDS = {"vector": {}, "image": {}, "sequence": {"order": "raster"}}
CNN = {"channels": 8, "blocks": 2, "kernel": 3, "activation": "relu", "norm": "batch", "residual": True, "dropout": 0.0}
EDGES = ((0, 1, "conv3"), (0, 2, "max-pool"), (1, 2, "skip"), (0, 3, "depthwise3"), (1, 3, "conv1"))
CELL = {"edges": EDGES, "join": "concat", "cells": 2, "channels": 8, "activation": "relu", "norm": "group"}
MLP = {"activation": "relu", "dropout": 0.0, "residual": False}
RNN = {"layers": 1, "mean": False, "dropout": 0.0}
CONV = {"channels": 8, "blocks": 2, "kernel": 3, "activation": "relu", "norm": "none", "dropout": 0.0}
#: Kind of data, network, settings; sizes are usual ones of the recipe that ships.
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mlp 16": ("vector", "mlp", {**MLP, "widths": (16,), "norm": "none"}),
    "mlp 32-32": ("vector", "mlp", {**MLP, "widths": (32, 32), "norm": "none"}),
    "mlp 64-64-64 batch norm": ("vector", "mlp", {**MLP, "widths": (64,) * 3, "norm": "batch", "residual": True}),
    "cnn 4 channels": ("image", "cnn", {**CNN, "channels": 4, "norm": "none"}),
    "cnn 8 channels batch norm": ("image", "cnn", CNN),
    "cells 8 channels": ("image", "cell-cnn", {**CELL, "dropout": 0.0}),
    "rnn 8": ("sequence", "recurrent", {**RNN, "cell": "rnn", "hidden": 8}),
    "rnn 16": ("sequence", "recurrent", {**RNN, "cell": "rnn", "hidden": 16}),
    "gru 16": ("sequence", "recurrent", {**RNN, "cell": "gru", "hidden": 16}),
    "lstm 32": ("sequence", "recurrent", {**RNN, "cell": "lstm", "hidden": 32}),
    "attention 16": (
        "sequence",
        "attention",
        {"width": 16, "heads": 2, "blocks": 1, "activation": "gelu", "dropout": 0.0},
    ),
    "temporal conv 8": ("sequence", "temporal-conv", CONV),
}
RULES = ("sgd", "nesterov", "adam", "adamw")


def stack_of(name: str, runs: int, epochs: int, batch: int, seed: int) -> Stack:
    """Runs of one network on digits."""
    kind, network, settings = NETWORKS[name]
    table = {"source": "sklearn", "dataset": "digits", "kind": kind, "n_train": 500, **KINDS[kind]}
    (spec,) = expand([table], 0)
    rng = np.random.default_rng(seed)
    configs = tuple(
        {
            "optimiser": (rule := RULES[i % len(RULES)]),
            "learning_rate": float(10 ** rng.uniform(-4, -2.5) * (10 if rule in ("sgd", "nesterov") else 1)),
            "schedule": "constant",
            "weight_decay": 1e-4,
            "momentum": 0.9,
            "init": "glorot",
            "init_gain": 1.0,
        }
        for i in range(runs)
    )
    return Stack(spec, network, settings, batch, epochs, configs, seed)


# --- the plain loop -------------------------------------------------------------------------------------------------


class Torchs(nn.Module):
    """torch's own recurrent layer with the weights of one of ours."""

    def __init__(self, ours: RecurrentLayer) -> None:
        super().__init__()
        kind = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[ours.cell]
        self.layer = kind(ours.into.in_features, ours.hidden, batch_first=True)
        with torch.no_grad():
            for theirs, own in (("ih", ours.into), ("hh", ours.again)):
                getattr(self.layer, f"weight_{theirs}_l0").copy_(own.weight)
                getattr(self.layer, f"bias_{theirs}_l0").copy_(own.bias)
            if ours.cell == "lstm":  # ours adds it where it is used
                self.layer.bias_ih_l0[ours.hidden : 2 * ours.hidden] += 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


def as_usual(module: nn.Module) -> nn.Module:
    """The network with torch's own layers in place of those that are written out to be stacked."""
    for name, child in module.named_children():
        if isinstance(child, RecurrentLayer):
            setattr(module, name, Torchs(child))
        elif isinstance(child, MaxPool):
            setattr(module, name, nn.MaxPool2d(2) if child.kernel == 2 else nn.MaxPool2d(3, 1, 1))
        else:
            as_usual(child)
    return module


def optimiser_of(config: dict[str, Any], module: nn.Module) -> torch.optim.Optimizer:
    parameters, rate, decay = module.parameters(), config["learning_rate"], config["weight_decay"]
    if config["optimiser"] in ("sgd", "nesterov"):
        nesterov = config["optimiser"] == "nesterov"
        return torch.optim.SGD(parameters, rate, 0.9, weight_decay=decay, nesterov=nesterov, fused=True)
    kind = torch.optim.Adam if config["optimiser"] == "adam" else torch.optim.AdamW
    return kind(parameters, rate, weight_decay=decay, fused=True)


def train_plainly(stack: Stack, device: str) -> np.ndarray:
    """Train the runs one after another; validation losses, shape (runs, epochs + 1)."""
    data = make(stack.data)
    generator = torch.Generator().manual_seed(stack.seed)
    shape, n_out = data.x_train.shape[1:], data.n_classes
    start = initialised(build_network(stack.network, stack.settings, shape, n_out), stack.configs, generator)
    size = (len(stack.configs), len(data.x_train))
    orders = [torch.rand(size, generator=generator).argsort(1).to(device) for _ in range(stack.epochs)]
    curves = []
    for run, config in enumerate(stack.configs):
        module = build_network(stack.network, stack.settings, shape, n_out)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.copy_(start[name][run])
        module = as_usual(module).to(device)
        curves.append(_curve(module, optimiser_of(config, module), data, [o[run] for o in orders], stack.batch_size))
    return np.array(curves)


def _curve(
    module: nn.Module, optimiser: torch.optim.Optimizer, data: Data, orders: Sequence[torch.Tensor], size: int
) -> list[float]:
    x, y = (torch.from_numpy(part).to(orders[0].device) for part in (data.x_train, data.y_train))
    _measured(module, data, "train", x.device)
    losses = [_measured(module, data, "val", x.device)]
    for order in orders:
        module.train()
        for rows in order[: len(order) // size * size].split(size):
            loss = functional.cross_entropy(module(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(_measured(module, data, "val", x.device))
    _measured(module, data, "test", x.device)
    return losses


@torch.no_grad()
def _measured(module: nn.Module, data: Data, part: str, device: torch.device) -> float:
    module.eval()
    x, y = (torch.from_numpy(getattr(data, f"{name}_{part}")).to(device) for name in "xy")
    out = module(x)
    (out.argmax(1) == y).float().mean().item()
    return functional.cross_entropy(out, y).item()


# --- timing ---------------------------------------------------------------------------------------------------------


def seconds(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """The least time of several, and what came of it."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def train_in_worker(stack: Stack) -> float:
    """Train a stack with one thread; its last validation loss, so that something is sent back."""
    torch.set_num_threads(1)
    return float(np.nanmean(train_stack(stack)["values"][:, -1, 1]))


def on_two(pool: ProcessPoolExecutor, stacks: Sequence[Stack], repeat: int) -> float:
    """Seconds in which two processes train all stacks; they have trained such before."""
    list(pool.map(train_in_worker, [replace(stack, epochs=1) for stack in stacks]))
    return seconds(lambda: list(pool.map(train_in_worker, stacks)), repeat)[0]


def measure(name: str, runs: int | None, args: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """One row of the table."""
    kind, network, settings = NETWORKS[name]
    runs = runs or {"vector": 24}.get(kind, 14)
    stack = stack_of(name, runs, args.epochs, args.batch, 0)
    plain, curves = {}, np.zeros(0)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        train_plainly(stack_of(name, 2, 1, args.batch, 0), args.device)
        plain[threads], curves = seconds(lambda: train_plainly(stack, args.device), args.repeat)
    torch.set_num_threads(1)
    train_stack(stack_of(name, 2, 1, args.batch, 0), args.device)
    one, found = seconds(lambda: train_stack(stack, args.device), args.repeat)
    losses = found["values"][:, :2, MEASURED.index("val_loss")]
    row: dict[str, Any] = {
        "device": args.device,
        "kind": kind,
        "network": name,
        "parameters": sum(p.numel() for p in build_network(network, settings, *_shape(stack)).parameters()),
        "runs": runs,
        "batch": args.batch,
        "steps": args.epochs * (stack.data.n_train // args.batch),
        "plain_1_thread_s": plain[1],
        "plain_2_threads_s": plain[2],
        "stacked_1_process_s": one,
        "times_1_process": min(plain.values()) / one,
        "deviation": float(np.max(np.abs(losses / curves[:, :2] - 1))),
    }
    if args.device == "cpu":
        four = [stack_of(name, runs, args.epochs, args.batch, seed) for seed in range(4)]
        two = on_two(pool, four, args.repeat) / 4
        row |= {"stacked_2_processes_s": two, "times_2_processes": min(plain.values()) / two}
    return row


def _shape(stack: Stack) -> tuple[tuple[int, ...], int]:
    data = make(stack.data)
    return data.x_train.shape[1:], data.n_classes


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for name, runs in itertools.product(args.network or NETWORKS, args.runs or [None]):
            row = measure(name, runs, args, pool)
            print(row, file=sys.stderr, flush=True)
            yield {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, or cuda: then with one process alone")
    parser.add_argument("--runs", type=int, nargs="+", help="runs of a stack; by default 24 of MLPs, 14 of others")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="this one only; repeat")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = list(rows(args))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        file.write(f"# python benchmarks/stacked_training.py {shlex.join(sys.argv[1:])}".rstrip() + "\n")
        file.write(f"# torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
