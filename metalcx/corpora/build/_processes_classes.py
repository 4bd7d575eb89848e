"""Vectors drawn class by class: mixtures, rare classes, shells and spirals, and features that only seem to tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._processes_base import CLASSIFICATION, Process, Sampler, labels, lift
from metalcx.corpora.build._raw import Choice, FloatArray, Range, Rng, Settings

__all__ = ["CLASSES"]

Rows = tuple[FloatArray, npt.NDArray[Any]]


def mixture(rng: Rng, settings: Settings) -> Sampler:
    """Gaussian clusters of unequal widths, `modes` of them a class; `margin` is the distance of centres."""
    shares = np.full(settings["n_classes"], 1 / settings["n_classes"])
    return _clusters(rng, settings, shares)


def imbalanced(rng: Rng, settings: Settings) -> Sampler:
    """As a mixture of two modes, each class `ratio` times as frequent as the next."""
    shares = float(settings["ratio"]) ** -np.arange(settings["n_classes"])
    return _clusters(rng, {**settings, "modes": 2}, shares / shares.sum())


def _clusters(rng: Rng, settings: Settings, shares: FloatArray) -> Sampler:
    d, modes = settings["n_features"], settings["modes"]
    centres = settings["margin"] * rng.normal(size=(len(shares), modes, d)) / d**0.5
    widths = rng.uniform(0.5, 1.5, size=(len(shares), modes, d))

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, mode = rng.choice(len(shares), size=n, p=shares), rng.integers(0, modes, n)
        return centres[y, mode] + widths[y, mode] * rng.normal(size=(n, d)), y

    return rows


def spurious(rng: Rng, settings: Settings) -> Sampler:
    """A core that tells the class everywhere, and features that tell it in training and nowhere else.

    In training a spurious cue agrees with the class in `agreement` of the rows; in the other parts it is a coin.
    The core is one shifted direction (``linear``) or the sign of a product (``xor``).
    """
    d, n_cues = settings["n_features"], settings["n_cues"]
    turn = lift(rng, d, d)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, 2)
        x = rng.normal(size=(n, d))
        _core(rng, x, 2 * y - 1, settings)
        agrees = rng.random(n) < (settings["agreement"] if train else 0.5)
        x[:, 2 : 2 + n_cues] += np.where(agrees, 2 * y - 1, 1 - 2 * y)[:, None]
        return x @ turn, y

    return rows


def _core(rng: Rng, x: FloatArray, sign: npt.NDArray[Any], settings: Settings) -> None:
    """Writes the class into the first two columns."""
    if settings["core"] == "linear":
        x[:, 0] += settings["margin"] * sign
        return
    first = 2 * rng.integers(0, 2, len(x)) - 1
    x[:, 0] = settings["margin"] * first + 0.6 * x[:, 0]
    x[:, 1] = settings["margin"] * first * sign + 0.6 * x[:, 1]


def shells(rng: Rng, settings: Settings) -> Sampler:
    """Concentric shells in `inner` dimensions, turned into more: which shell, or the radius."""
    d, inner, k = settings["n_features"], settings["inner"], settings["n_classes"]
    turn = lift(rng, inner, d)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, k)
        direction = rng.normal(size=(n, inner))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        radius = 1.0 + y + settings["noise"] * rng.normal(size=n)
        x = (radius[:, None] * direction) @ turn + settings["feature_noise"] * rng.normal(size=(n, d))
        return x, radius if settings["task"] == "regression" else y

    return rows


def spirals(rng: Rng, settings: Settings) -> Sampler:
    """`arms` spirals in a plane, turned into more dimensions; `turns` is how far each winds."""
    d, arms = settings["n_features"], settings["arms"]
    turn = lift(rng, 2, d)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, along = labels(rng, n, arms), rng.uniform(0.15, 1.0, n)
        angle = 2 * np.pi * (settings["turns"] * along + y / arms)
        plane = 3 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        plane += settings["noise"] * rng.normal(size=plane.shape)
        return plane @ turn + settings["feature_noise"] * rng.normal(size=(n, d)), y

    return rows


FEATURE_NOISE = {"feature_noise": Range(0.3, 0.0, 5.0)}
CLUSTERS = {"n_features": Range(12, 2, 200), "n_classes": Range(3, 2, 10), "margin": Range(3.0, 0.1, 20.0)}

CLASSES = {
    "mixture": Process(mixture, "vector", {"modes": Range(1, 1, 12)}, CLUSTERS, CLASSIFICATION),
    "imbalanced": Process(imbalanced, "vector", {"ratio": Range(4, 2, 20)}, CLUSTERS, CLASSIFICATION),
    "spurious": Process(
        spurious,
        "vector",
        {"core": Choice(("linear", "xor")), "n_cues": Range(2, 1, 8)},
        {"n_features": Range(12, 10, 100), "margin": Range(1.0, 0.1, 5.0), "agreement": Range(0.9, 0.5, 1.0)},
        CLASSIFICATION,
    ),
    "shells": Process(
        shells,
        "vector",
        {"inner": Range(2, 2, 6)},
        {"n_features": Range(10, 6, 100), "n_classes": Range(3, 2, 6), "noise": Range(0.2, 0.0, 2.0), **FEATURE_NOISE},
    ),
    "spirals": Process(
        spirals,
        "vector",
        {"arms": Range(2, 2, 5)},
        {
            "n_features": Range(6, 2, 60),
            "turns": Range(1.0, 0.2, 4.0),
            "noise": Range(0.15, 0.0, 2.0),
            **FEATURE_NOISE,
        },
        CLASSIFICATION,
    ),
}
