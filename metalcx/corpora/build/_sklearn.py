"""Data that scikit-learn carries, and what can honestly be made of them: fewer classes, pairs, sequences, patches."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._raw import Choice, FloatArray, Range, Raw, Rng, Settings, Sizes

__all__ = ["BUNDLED", "Bundled", "bundled", "classes_of"]

SPLIT_SEED = 20_26

Rows = tuple[FloatArray, npt.NDArray[Any]]


@dataclass(frozen=True)
class Bundled:
    """A dataset of scikit-learn.

    Attributes:
        family: The word under which other corpora know data that share examples with it.
        sizes: Rows of each part, all of them.
        n_classes: Classes; 0 for regression.
        kinds: As what examples can be seen, the first by default.
        options: Settings that make something else of it.
    """

    family: str
    sizes: Sizes
    n_classes: int
    kinds: tuple[str, ...] = ("vector",)
    options: Mapping[str, Range | Choice] = field(default_factory=dict)


BUNDLED = {
    "digits": Bundled(
        "digits",
        Sizes(997, 400, 400),
        10,
        ("image", "vector", "sequence"),
        {"pairs": Choice(("same", "sum")), "order": Choice(("raster", "hilbert")), "channels": Choice((8, 4, 2, 16))},
    ),
    "iris": Bundled("iris", Sizes(59, 45, 45), 3, options={"column": Range(0, 0, 3)}),
    "wine": Bundled("wine-cultivars", Sizes(78, 50, 50), 3, options={"column": Range(0, 0, 12)}),
    "breast-cancer": Bundled("breast-cancer", Sizes(269, 150, 150), 2, options={"column": Range(0, 0, 29)}),
    "diabetes": Bundled("diabetes-efron", Sizes(202, 120, 120), 0),
    "sample-images": Bundled(
        "sample-images",
        Sizes(800, 400, 400),
        2,
        ("image", "vector"),
        {"ask": Choice(("photograph", "region", "height")), "side": Range(8, 4, 16)},
    ),
}


def bundled(settings: Settings, kind: str, sizes: Sizes, seed: int) -> Raw:
    """The three parts; a dataset's rows are split once, whatever is made of them.

    Args:
        settings: `dataset`, and what else is made of it: `classes` (which are kept, renumbered in this order);
            `column` (predict this feature from the others); `pairs` (whether two digits are the ``same``, or their
            ``sum``); `order` and `channels` of pixels in a sequence; `ask` (see `_patches`) and `side` of patches.
        kind: ``vector``, ``image`` or ``sequence``.
        sizes: Rows of each part; fewer come back where there are not as many.
        seed: Decides which digits are paired.
    """
    name = settings["dataset"]
    parts = _patches(settings) if name == "sample-images" else _table_parts(name)
    if "classes" in settings:
        parts = [_of_classes(part, settings["classes"]) for part in parts]
    if "column" in settings:
        parts = [_column(x, settings["column"]) for x, _ in parts]
    if "pairs" in settings:
        rngs = [np.random.default_rng([seed, i]) for i in range(3)]
        parts = [_paired(part, rng, settings["pairs"]) for part, rng in zip(parts, rngs, strict=True)]
    train, val, test = ((_as_kind(x[:n], kind, settings), y[:n]) for (x, y), n in zip(parts, sizes, strict=True))
    return Raw((train[0], val[0], test[0]), (train[1], val[1], test[1]), classes_of(settings))


def classes_of(settings: Settings) -> int:
    """How many classes `settings` leave or make; 0 for regression."""
    if "classes" in settings:
        return len(settings["classes"])
    if "column" in settings:
        return 0
    made = {"same": 2, "sum": 0, "photograph": 2, "region": 4, "height": 0}
    asked = settings.get("pairs", settings.get("ask"))
    return made.get(str(asked), BUNDLED[settings["dataset"]].n_classes)


@functools.lru_cache(maxsize=8)
def _load(name: str) -> Rows:
    """Raw examples (n, features) and targets (n,), none of them twice (iris has a pair of twins); no network."""
    from sklearn import datasets

    # Diabetes comes pre-scaled over all its rows by default: the raw numbers, so that validation has no say in it.
    options = {"scaled": False} if name == "diabetes" else {}
    found = getattr(datasets, f"load_{name.replace('-', '_')}")(**options)
    x, y = np.asarray(found.data, np.float64), np.asarray(found.target, np.float64)
    first = np.sort(np.unique(x, axis=0, return_index=True)[1])
    return x[first], y[first]


def _table_parts(name: str) -> list[Rows]:
    x, y = _load(name)
    n_train, n_val, _ = BUNDLED[name].sizes
    order = np.random.default_rng([SPLIT_SEED, zlib.crc32(name.encode())]).permutation(len(y))
    parts = np.split(order, [n_train, n_train + n_val])
    return [(x[rows], y[rows]) for rows in parts]


def _of_classes(part: Rows, classes: tuple[int, ...]) -> Rows:
    x, y = part
    kept = np.isin(y, classes)
    new = np.full(int(max(classes)) + 1, -1)
    new[list(classes)] = np.arange(len(classes))
    return x[kept], new[y[kept].astype(np.int64)]


def _column(x: FloatArray, column: int) -> Rows:
    return np.delete(x, column, axis=1), x[:, column]


def _paired(part: Rows, rng: Rng, ask: str) -> Rows:
    """Every row with another of its part: whether both show the same, as more than half do; or their sum."""
    x, y = part
    partner = (np.arange(len(y)) + rng.integers(1, len(y), len(y))) % len(y)
    if ask == "same":
        for row in np.flatnonzero(rng.random(len(y)) < 0.5):
            partner[row] = rng.choice(np.flatnonzero((y == y[row]) & (np.arange(len(y)) != row)))
    target = (y == y[partner]).astype(np.int64) if ask == "same" else y + y[partner]
    return np.stack([x, x[partner]], 1), target


def _as_kind(x: FloatArray, kind: str, settings: Settings) -> FloatArray:
    """Rows of numbers, (n, d) or (n, 2, d), or patches (n, c, h, w), as `kind`."""
    if kind == "vector":
        return x.reshape(len(x), -1)
    if kind == "sequence":
        pixels = x[..., _hilbert(8)] if settings.get("order") == "hilbert" else x
        channels = settings.get("channels", 8)
        steps = pixels.reshape(len(x), -1, 64 // channels, channels)
        return steps.swapaxes(1, 2).reshape(len(x), steps.shape[2], -1)
    side = settings.get("side", 8)
    return x.reshape(len(x), -1, side, side)


def _hilbert(side: int) -> npt.NDArray[np.int64]:
    """Pixel numbers of a square in the order of Hilbert's curve, which keeps neighbours together."""
    path = np.zeros((1, 2), np.int64)
    size = 1
    while size < side:
        turned = path[:, ::-1]
        right, far = np.array([0, size]), np.array([2 * size - 1, size - 1])
        path = np.vstack([turned, path + right, path + size, far - turned])
        size *= 2
    return path[:, 0] * side + path[:, 1]


BLOCK = 32  # pixels; a patch lies within one block, and a block in one part


@functools.lru_cache(maxsize=2)
def _photographs() -> FloatArray:
    from sklearn import datasets

    return np.stack(datasets.load_sample_images().images) / 255.0


def _patches(settings: Settings) -> list[Rows]:
    """Patches of two photographs at half resolution; no pixel is in two parts.

    Asked is the ``photograph``, the ``region`` (which photograph, upper or lower half), or the ``height`` in it.
    """
    side, pictures = settings.get("side", 8), _photographs()
    rng = np.random.default_rng([SPLIT_SEED, zlib.crc32(b"sample-images")])
    photo, down, right = (axis.ravel() for axis in np.indices(_grid(pictures)))
    shares = np.cumsum(BUNDLED["sample-images"].sizes) / sum(BUNDLED["sample-images"].sizes)
    part_of = np.searchsorted(shares, (rng.permutation(len(photo)) + 0.5) / len(photo))
    return [
        _cut(
            rng,
            pictures,
            np.stack([photo, down, right], 1)[part_of == part],
            n,
            side,
            settings.get("ask", "photograph"),
        )
        for part, n in enumerate(BUNDLED["sample-images"].sizes)
    ]


def _grid(pictures: FloatArray) -> tuple[int, int, int]:
    return len(pictures), pictures.shape[1] // BLOCK, pictures.shape[2] // BLOCK


def _cut(rng: Rng, pictures: FloatArray, blocks: npt.NDArray[Any], n: int, side: int, ask: str) -> Rows:
    photo, *corner = blocks[rng.integers(0, len(blocks), n)].T
    down, right = (BLOCK * at + rng.integers(0, BLOCK - 2 * side + 1, n) for at in corner)
    step = np.arange(2 * side)
    full = pictures[photo[:, None, None], (down[:, None] + step)[:, :, None], (right[:, None] + step)[:, None, :]]
    x = full.reshape(n, side, 2, side, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    height = (down + side) / pictures.shape[1]
    answers = {"photograph": photo, "region": 2 * photo + (height > 0.5), "height": height}
    return x, answers[ask]
