"""Vectors whose target is a random function of them: networks, trees, sparse and polynomial scores, fields, tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from metalcx.corpora.build._processes_base import Process, Sampler, scored
from metalcx.corpora.build._raw import Choice, FloatArray, Range, Rng, Settings

__all__ = ["SCORES"]

ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sin": np.sin,
}


def random_net(rng: Rng, settings: Settings) -> Sampler:
    """A perceptron with random weights, `depth` hidden layers of 24 units."""
    d, k = settings["n_features"], settings["n_classes"]
    widths = [d, *[24] * settings["depth"], k]
    layers = [rng.normal(size=shape) * (1.6 / shape[0]) ** 0.5 for shape in itertools.pairwise(widths)]
    shifts = [0.3 * rng.normal(size=width) for width in widths[1:]]
    activation = ACTIVATIONS[settings["activation"]]

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = hidden = rng.normal(size=(n, d))
        for weights, shift in zip(layers[:-1], shifts[:-1], strict=True):
            hidden = activation(hidden @ weights + shift)
        return x, hidden @ layers[-1]

    return scored(sample, rng, settings)


def trees(rng: Rng, settings: Settings) -> Sampler:
    """The sum of `n_trees` complete random trees; inputs are uniform, a third of them correlated with the first."""
    d, depth, n_trees = settings["n_features"], settings["depth"], settings["n_trees"]
    # Few features decide, or no learner would find them among the others.
    used = rng.permutation(d)[: min(d, 6)]
    features = rng.choice(used, size=(n_trees, 2**depth - 1))
    cuts = rng.uniform(0.25, 0.75, size=features.shape)
    leaves = rng.normal(size=(n_trees, 2**depth, settings["n_classes"]))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.random((n, d))
        x[:, 1::3] = 0.7 * x[:, 1::3] + 0.3 * x[:, :1]
        grown = [_leaf(x, *tree) for tree in zip(features, cuts, leaves, strict=True)]
        return x, np.sum(grown, 0)

    return scored(sample, rng, settings)


def _leaf(x: FloatArray, features: FloatArray, cuts: FloatArray, leaves: FloatArray) -> FloatArray:
    node = np.zeros(len(x), np.int64)
    while node[0] < len(cuts):
        node = 2 * node + 1 + (x[np.arange(len(x)), features[node]] > cuts[node])
    return leaves[node - len(cuts)]


def sparse_linear(rng: Rng, settings: Settings) -> Sampler:
    """A linear score of `n_active` features among correlated ones."""
    d, active = settings["n_features"], settings["n_active"]
    chosen = rng.permutation(d)[:active]
    weights = rng.normal(size=(active, settings["n_classes"]))
    blend = np.eye(d) + 0.5 * rng.normal(size=(d, d)) / d**0.5

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.normal(size=(n, d)) @ blend
        return x, x[:, chosen] @ weights

    return scored(sample, rng, settings)


def polynomial(rng: Rng, settings: Settings) -> Sampler:
    """Five products of `degree` features, drawn from the first six; there is no linear part to begin with."""
    d, k = settings["n_features"], settings["n_classes"]
    terms = np.stack([rng.permutation(6)[: settings["degree"]] for _ in range(5)])
    weights = rng.normal(size=(5, k))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.uniform(-1.7, 1.7, size=(n, d))
        return x, x[:, terms].prod(2) @ weights

    return scored(sample, rng, settings)


def parity(rng: Rng, settings: Settings) -> Sampler:
    """The product of the (softened) signs of `bits` features."""
    d, bits = settings["n_features"], settings["bits"]
    chosen = rng.permutation(d)[:bits]

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.normal(size=(n, d))
        sign = np.tanh(2.0 * x[:, chosen]).prod(1)
        return x, np.stack([sign, -sign], 1)

    return scored(sample, rng, settings)


def field(rng: Rng, settings: Settings) -> Sampler:
    """A draw of a Gaussian process by random Fourier features; `smooth` is squared-exponential, `rough` Cauchy-like."""
    d = settings["n_features"]
    frequencies = rng.normal(size=(d, 200)) / (settings["scale"] * d**0.5)
    if settings["spectrum"] == "rough":
        frequencies = frequencies / np.maximum(np.abs(rng.normal(size=200)), 0.3)
    phases = rng.uniform(0, 2 * np.pi, 200)
    weights = rng.normal(size=(200, settings["n_classes"]))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.normal(size=(n, d))
        return x, np.cos(x @ frequencies + phases) @ weights

    return scored(sample, rng, settings)


def piecewise(rng: Rng, settings: Settings) -> Sampler:
    """`regimes` linear scores, of which a gate on two of the features picks one."""
    d, regimes = settings["n_features"], settings["regimes"]
    gates = rng.normal(size=(2, regimes))
    models = rng.normal(size=(regimes, d, settings["n_classes"]))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.normal(size=(n, d))
        regime = (x[:, :2] @ gates).argmax(1)
        return x, np.einsum("nd,ndk->nk", x, models[regime])

    return scored(sample, rng, settings)


def low_rank(rng: Rng, settings: Settings) -> Sampler:
    """`rank` hidden factors, seen through more features with noise on each; the score bends in the factors."""
    d, rank = settings["n_features"], settings["rank"]
    loadings = rng.normal(size=(rank, d)) / rank**0.5
    inner, outer = rng.normal(size=(rank, 12)) * (2 / rank) ** 0.5, rng.normal(size=(12, settings["n_classes"]))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        factors = rng.normal(size=(n, rank))
        x = factors @ loadings + settings["feature_noise"] * rng.normal(size=(n, d))
        return x, np.sin(factors @ inner) @ outer

    return scored(sample, rng, settings)


def additive(rng: Rng, settings: Settings) -> Sampler:
    """A sum of random functions of one feature each: waves, or steps."""
    d, k = settings["n_features"], settings["n_classes"]
    slopes, shifts = rng.uniform(1.0, 3.0, d), rng.uniform(-1, 1, d)
    weights = rng.normal(size=(d, k)) * (rng.random((d, 1)) < 0.6) + 1e-3
    shape = np.sin if settings["shape"] == "waves" else np.sign

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        x = rng.uniform(-1.7, 1.7, size=(n, d))
        return x, shape(slopes * x + shifts) @ weights

    return scored(sample, rng, settings)


def heavy_tailed(rng: Rng, settings: Settings) -> Sampler:
    """Features with heavy tails, on both sides or on one; the score follows their logarithm, with one product."""
    d = settings["n_features"]
    weights = rng.normal(size=(d + 1, settings["n_classes"])) / np.sqrt(np.arange(1, d + 2))[:, None]
    two_sided = settings["tails"] == "both"

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        core = rng.standard_t(4, size=(n, d))
        x = np.sinh(1.2 * core.clip(-6, 6)) if two_sided else np.exp(core.clip(-6, 6))
        return x, np.hstack([core, core[:, :1] * core[:, 1:2]]) @ weights

    return scored(sample, rng, settings)


def categorical(rng: Rng, settings: Settings) -> Sampler:
    """Unevenly frequent categories, one column a level, and two numbers; effects are single or of pairs of columns."""
    columns, levels, k = settings["n_columns"], settings["levels"], settings["n_classes"]
    shares = rng.dirichlet(np.full(levels, 2.0), size=columns).cumsum(1)
    single = rng.normal(size=(columns, levels, k))
    pairs = rng.normal(size=(columns, levels, levels, k)) * (settings["effects"] == "pairs")
    slope = 0.7 * rng.normal(size=(2, k))

    def sample(rng: Rng, n: int) -> tuple[FloatArray, FloatArray]:
        level = np.minimum((rng.random((n, columns, 1)) > shares).sum(2), levels - 1)
        numbers, column = rng.normal(size=(n, 2)), np.arange(columns)
        score = single[column, level].sum(1) + pairs[column, level, np.roll(level, 1, 1)].sum(1) + numbers @ slope
        return np.hstack([np.eye(levels)[level].reshape(n, -1), numbers]), score

    return scored(sample, rng, settings)


FEATURES = Range(12, 4, 200)


def _sizes(n_features: Range = FEATURES, noise: float = 0.3) -> dict[str, Range | Choice]:
    return {"n_features": n_features, "n_classes": Range(3, 2, 10), "noise": Range(noise, 0.0, 3.0)}


SCORES = {
    "random-net": Process(
        random_net, "vector", {"activation": Choice(tuple(ACTIVATIONS)), "depth": Range(1, 1, 6)}, _sizes()
    ),
    "trees": Process(trees, "vector", {"depth": Range(3, 1, 8), "n_trees": Range(1, 1, 50)}, _sizes()),
    "sparse-linear": Process(sparse_linear, "vector", {"n_active": Range(3, 1, 8)}, _sizes(Range(20, 8, 200))),
    "polynomial": Process(polynomial, "vector", {"degree": Range(2, 2, 4)}, _sizes(Range(10, 6, 100))),
    "parity": Process(
        parity, "vector", {"bits": Range(2, 2, 4)}, {"n_features": Range(8, 4, 60), "noise": Range(0.3, 0.0, 3.0)}
    ),
    "field": Process(
        field,
        "vector",
        {"spectrum": Choice(("smooth", "rough"))},
        _sizes(Range(5, 1, 30)) | {"scale": Range(0.6, 0.1, 10.0)},
    ),
    "piecewise": Process(piecewise, "vector", {"regimes": Range(2, 2, 8)}, _sizes(Range(8, 2, 60))),
    "low-rank": Process(
        low_rank,
        "vector",
        {"rank": Range(2, 1, 8)},
        _sizes(Range(30, 8, 200)) | {"feature_noise": Range(0.5, 0.0, 5.0)},
    ),
    "additive": Process(additive, "vector", {"shape": Choice(("waves", "steps"))}, _sizes()),
    "heavy-tailed": Process(heavy_tailed, "vector", {"tails": Choice(("both", "one"))}, _sizes()),
    "categorical": Process(
        categorical,
        "vector",
        {"effects": Choice(("single", "pairs"))},
        {
            "n_columns": Range(6, 2, 20),
            "levels": Range(4, 2, 10),
            "n_classes": Range(3, 2, 10),
            "noise": Range(0.3, 0.0, 3.0),
        },
    ),
}
