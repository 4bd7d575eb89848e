"""What architectures and configurations are drawn from, wide enough that some runs never learn and some diverge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from metalcx.corpora.build._convolutional import EDGE_OPS
from metalcx.corpora.build._initial import SCHEMES
from metalcx.corpora.build._layers import ACTIVATIONS
from metalcx.corpora.build._optimiser import SCHEDULES

Rng = np.random.Generator

#: Decades of the learning rate of each rule: from far too small to divergence.
RATES = {
    "sgd": (-3.0, 0.7),
    "nesterov": (-3.0, 0.5),
    "adam": (-4.5, -0.5),
    "adamw": (-4.5, -0.5),
    "rmsprop": (-4.5, -1.0),
}

#: Networks that fit each kind of example, with their odds.
NETWORKS_OF: dict[str, dict[str, float]] = {
    "vector": {"mlp": 1.0},
    "image": {"cnn": 0.35, "cell-cnn": 0.5, "mlp": 0.15},
    "sequence": {"recurrent": 0.4, "attention": 0.2, "temporal-conv": 0.3, "mlp": 0.1},
}


def draw_network(kind: str, rng: Rng) -> tuple[str, dict[str, Any]]:
    """A kind of network and its settings, for examples that are a ``vector``, an ``image`` or a ``sequence``."""
    odds = NETWORKS_OF[kind]
    network = _pick(rng, list(odds), list(odds.values()))
    return network, _SETTINGS[network](rng)


def draw_batch_size(n_train: int, most_steps: int, rng: Rng) -> int:
    """A power of two that leaves three steps an epoch, and no more than `most_steps`, where there is one."""
    sizes = [size for size in (8, 16, 32, 64, 128, 256) if 3 * size <= n_train < (most_steps + 1) * size]
    return int(rng.choice(sizes)) if sizes else n_train // (most_steps + 1) + 1


def draw_config(classification: bool, rng: Rng) -> dict[str, Any]:
    """Optimiser, schedule, regularisation and initialisation of one run."""
    rule = _pick(rng, list(RATES), [0.2, 0.2, 0.25, 0.25, 0.1])
    config: dict[str, Any] = {
        "optimiser": rule,
        "learning_rate": _rounded(10 ** rng.uniform(*RATES[rule])),
        "schedule": _pick(rng, SCHEDULES, [0.3, 0.25, 0.15, 0.2, 0.1]),
        "weight_decay": _rounded(10 ** rng.uniform(-6, -1)) if rng.random() < 0.6 else 0.0,
        "init": _pick(rng, SCHEMES, [0.4, 0.3, 0.3]),
        "init_gain": _rounded(10 ** rng.normal(0.0, 0.2)) if rng.random() < 0.5 else 1.0,
    }
    if rule in ("sgd", "nesterov"):
        config["momentum"] = float(rng.choice([0.0, 0.5, 0.9, 0.95, 0.99], p=[0.25, 0.15, 0.35, 0.15, 0.1]))
    if classification:
        config["label_smoothing"] = float(rng.choice([0.0, 0.05, 0.1, 0.2], p=[0.6, 0.1, 0.2, 0.1]))
    if rng.random() < 0.2:
        config["clip"] = float(rng.choice([0.1, 1.0, 5.0]))
    return config


def draw_common(classification: bool, rng: Rng) -> dict[str, Any]:
    """A configuration that is likely to train, as one that many architectures are compared under has to be."""
    config = draw_config(classification, rng)
    low, high = RATES[config["optimiser"]]
    return config | {"learning_rate": 10 ** (low + (high - low) * rng.uniform(0.4, 0.75)), "init_gain": 1.0}


def draw_near(common: dict[str, Any], rng: Rng) -> dict[str, Any]:
    """The same but for a learning rate and a weight decay within a factor of two."""
    near = {name: _rounded(common[name] * 2 ** rng.uniform(-1, 1)) for name in ("learning_rate", "weight_decay")}
    return {**common, **near}


def _pick(rng: Rng, words: Sequence[str], odds: Sequence[float] | None = None) -> str:
    return words[int(rng.choice(len(words), p=odds))]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _activation(rng: Rng) -> str:
    return _pick(rng, list(ACTIVATIONS))


def _dropout(rng: Rng) -> float:
    return float(rng.choice([0.0, 0.1, 0.3, 0.5], p=[0.55, 0.2, 0.15, 0.1]))


def _mlp(rng: Rng) -> dict[str, Any]:
    depth, width = int(rng.integers(1, 6)), int(rng.choice([8, 16, 32, 64]))
    shape = _pick(rng, ("constant", "narrowing", "free"), [0.6, 0.2, 0.2])
    widths = {
        "constant": [width] * depth,
        "narrowing": [max(4, width >> i) for i in range(depth)],
        "free": [int(w) for w in rng.choice([8, 16, 24, 32, 48, 64], depth)],
    }[shape]
    return {
        "widths": tuple(widths),
        "activation": _activation(rng),
        "norm": _pick(rng, ("none", "batch", "layer"), [0.5, 0.25, 0.25]),
        "dropout": _dropout(rng),
        "residual": bool(depth > 1 and rng.random() < 0.4),
    }


def _cnn(rng: Rng) -> dict[str, Any]:
    return {
        "channels": int(rng.choice([4, 8, 12])),
        "blocks": int(rng.integers(1, 4)),
        "kernel": int(rng.choice([3, 5], p=[0.7, 0.3])),
        "activation": _activation(rng),
        "norm": _pick(rng, ("none", "batch", "layer", "group"), [0.35, 0.35, 0.1, 0.2]),
        "residual": bool(rng.integers(2)),
        "dropout": float(rng.choice([0.0, 0.2], p=[0.7, 0.3])),
    }


def _cell(rng: Rng) -> dict[str, Any]:
    """A random cell of 2 to 4 nodes behind its input; each reads one or two earlier ones."""
    edges = []
    for node in range(1, int(rng.integers(2, 5)) + 1):
        sources = rng.permutation(node)[: int(rng.integers(1, 3))]
        edges += [(int(source), node, _pick(rng, EDGE_OPS)) for source in sorted(sources)]
    return {
        "edges": tuple(edges),
        "join": _pick(rng, ("add", "concat")),
        "cells": int(rng.integers(1, 3)),
        "channels": int(rng.choice([4, 8])),
        "activation": _activation(rng),
        "norm": _pick(rng, ("none", "batch", "group"), [0.3, 0.4, 0.3]),
        "dropout": float(rng.choice([0.0, 0.2], p=[0.7, 0.3])),
    }


def _recurrent(rng: Rng) -> dict[str, Any]:
    return {
        "cell": _pick(rng, ("rnn", "gru", "lstm"), [0.4, 0.35, 0.25]),
        "hidden": int(rng.choice([8, 16, 32])),
        "layers": int(rng.choice([1, 2], p=[0.8, 0.2])),
        "mean": bool(rng.integers(2)),
        "dropout": float(rng.choice([0.0, 0.2], p=[0.7, 0.3])),
    }


def _attention(rng: Rng) -> dict[str, Any]:
    return {
        "width": int(rng.choice([8, 16])),
        "heads": int(rng.choice([1, 2, 4])),
        "blocks": int(rng.integers(1, 3)),
        "activation": _activation(rng),
        "dropout": float(rng.choice([0.0, 0.1], p=[0.6, 0.4])),
    }


def _temporal(rng: Rng) -> dict[str, Any]:
    return {
        "channels": int(rng.choice([4, 8, 16])),
        "blocks": int(rng.integers(1, 4)),
        "kernel": int(rng.choice([3, 5])),
        "activation": _activation(rng),
        "norm": _pick(rng, ("none", "batch", "layer"), [0.4, 0.4, 0.2]),
        "dropout": float(rng.choice([0.0, 0.2], p=[0.7, 0.3])),
    }


_SETTINGS: dict[str, Callable[[Rng], dict[str, Any]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "cell-cnn": _cell,
    "recurrent": _recurrent,
    "attention": _attention,
    "temporal-conv": _temporal,
}
