"""Training of one network whose history is judged: an ordinary loop, with the recorder in it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from history_tasks import EPOCHS, HistoryTask
from torch import Tensor, nn
from torch.nn import functional

from metalcx.corpora.build import Data
from metalcx.corpora.build._initial import initialised
from metalcx.corpora.build._networks import build_network
from metalcx.corpora.build._optimiser import learning_rates
from metalcx.corpora.build._space import draw_config, draw_network
from metalcx.histories import FeatureRecorder, FixedSample

#: Epochs after which features are kept; 0 is before training. The cuts .05, .1 and .2 of 40 epochs end at 2, 4 and 8.
CHECKPOINTS = (0, 1, 2, 3, 4, 6, 8)
WIDTH = 32
SAMPLE = 400
DECAY = 0.9  # of the average of weights, an epoch

#: Decades of the learning rate, three of each rule: few steps are taken, so that slower ones would not move at all.
RATES = {
    "sgd": (-2.3, 0.7),
    "nesterov": (-2.5, 0.5),
    "adam": (-3.9, -0.9),
    "adamw": (-3.9, -0.9),
    "rmsprop": (-4.2, -1.2),
}

#: Of the networks for pictures that are drawn, the share that is kept: perceptrons, convolutions, cells by 3 : 5 : 2.
KEPT = {"mlp": 1.0, "cnn": 0.7, "cell-cnn": 0.2}


def draw(task: HistoryTask, seed: int, i: int) -> dict[str, Any]:
    """Configuration and architecture of run `i`: the space of `smallnets`, and noise and shifts as augmentation."""
    rng = np.random.default_rng([seed, sum(task.name.encode()), i])
    network, settings = draw_network(task.kind, rng)
    while task.kind == "image" and rng.random() > KEPT[network]:
        network, settings = draw_network(task.kind, rng)
    if network != "mlp":
        settings["channels"] = int(rng.choice([8, 12, 16]))
    config = draw_config(True, rng)
    config["learning_rate"] = float(f"{10 ** rng.uniform(*RATES[config['optimiser']]):.4g}")
    config["batch_size"] = int(rng.choice([32, 64, 128], p=[0.4, 0.35, 0.25]))
    config["noise"] = float(rng.choice([0.0, 0.1, 0.3, 0.6], p=[0.4, 0.2, 0.2, 0.2]))
    config["shift"] = int(rng.choice([0, 1], p=[0.7, 0.3])) if task.kind == "image" else 0
    return {"network": network, "settings": settings, "config": config, "seed": int(rng.integers(2**31))}


def train(data: Data, run: Mapping[str, Any], file: Path | None, epochs: int = EPOCHS) -> dict[str, Any]:
    """Train one network; with `file`, record its history there.

    Returns:
        ``accuracy``, ``ema`` (accuracy of the average of weights) and ``loss`` at epochs 0, 1, ..., ``seconds`` of
        training until then (one thread's time, recording and measuring left out), ``recording`` seconds of each
        checkpoint, and ``broken``: the first epoch with weights that are not finite, or None.
    """
    torch.manual_seed(run["seed"])
    config = run["config"]
    model = build_network(run["network"], run["settings"], data.x_train.shape[1:], data.n_classes)
    start = initialised(model, [config], torch.Generator().manual_seed(run["seed"]))
    model.load_state_dict({name: value[0] for name, value in start.items()}, strict=False)
    x, y, x_val, y_val = (torch.from_numpy(a) for a in (data.x_train, data.y_train, data.x_val, data.y_val))
    sample = FixedSample(torch.cat([x[:SAMPLE], x_val]), torch.cat([y[:SAMPLE], y_val]), SAMPLE)
    recorder = FeatureRecorder(model, sample, width=WIDTH)
    optimiser, rates = optimiser_of(model, config), learning_rates([config], epochs)[0]
    average = [p.detach().clone() for p in _state(model)]
    found: dict[str, Any] = {name: [] for name in ("accuracy", "ema", "loss", "seconds", "recording")}
    spent, broken = 0.0, None
    for epoch in range(epochs + 1):
        if epoch and broken is None:
            began = time.thread_time()
            for group in optimiser.param_groups:
                group["lr"] = float(rates[epoch - 1])
            loss = _epoch(model, optimiser, x, y, config)
            spent += time.thread_time() - began
            found["loss"].append(loss)
            torch._foreach_lerp_(average, _state(model), 1 - DECAY)
            if not all(bool(p.isfinite().all()) for p in model.parameters()):
                broken = epoch
        if file is not None and epoch in CHECKPOINTS:
            began = time.thread_time()
            recorder.record(float(epoch))
            found["recording"].append(time.thread_time() - began)
        found["seconds"].append(spent)
        found["accuracy"].append(accuracy(model, x_val, y_val))
        found["ema"].append(_averaged(model, average, x_val, y_val))
    if file is not None:
        recorder.history().save(file.with_suffix(".history"))
        file.write_text(json.dumps({**run, **found, "broken": broken}))
    return {**found, "broken": broken}


def optimiser_of(model: nn.Module, config: Mapping[str, Any]) -> torch.optim.Optimizer:
    rule, about = config["optimiser"], {"lr": config["learning_rate"], "weight_decay": config["weight_decay"]}
    if rule in ("sgd", "nesterov"):
        momentum = config["momentum"]
        return torch.optim.SGD(
            model.parameters(), momentum=momentum, nesterov=rule == "nesterov" and momentum > 0, **about
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}[rule]
    return kind(model.parameters(), **about)


def _epoch(
    model: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, config: Mapping[str, Any]
) -> float:
    """One pass over shuffled batches; the mean loss."""
    model.train()
    losses = []
    for rows in _batches(len(x), config["batch_size"]):
        optimiser.zero_grad()
        scores = model(augmented(x[rows], config["noise"], config["shift"]))
        loss = functional.cross_entropy(scores, y[rows], label_smoothing=config.get("label_smoothing", 0.0))
        loss.backward()
        if "clip" in config:
            nn.utils.clip_grad_norm_(model.parameters(), config["clip"])
        optimiser.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _batches(n: int, size: int) -> Iterator[Tensor]:
    order = torch.randperm(n)
    # A last batch of a single row has no deviation to normalise by.
    return (rows for rows in order.split(size) if len(rows) > 1)


def augmented(x: Tensor, noise: float, shift: int) -> Tensor:
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2,)).tolist()
        x = torch.roll(x, (down, right), (-2, -1))
    return x + noise * torch.randn_like(x) if noise else x


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def _state(model: nn.Module) -> list[Tensor]:
    return [v for v in model.state_dict().values() if v.is_floating_point()]


def _averaged(model: nn.Module, average: list[Tensor], x: Tensor, y: Tensor) -> float:
    """Accuracy with averaged weights and statistics; the model keeps its own."""
    own = [value.clone() for value in _state(model)]
    with torch.no_grad():
        for value, mean in zip(_state(model), average, strict=True):
            value.copy_(mean)
        found = accuracy(model, x, y)
        for value, mine in zip(_state(model), own, strict=True):
            value.copy_(mine)
    return found
