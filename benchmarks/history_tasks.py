"""Data of the networks whose histories are judged: scikit-learn's digits and what is made of them, tables and pictures
that are generated. Each is a `metalcx.corpora.build.Data`: float32, standardised by the training part.

The generators are not those of the `smallnets` corpus, so that models which learned from it are judged on what they
never saw; the digits are one family with its digits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build import Data

FloatArray = npt.NDArray[np.float64]
Rows = tuple[FloatArray, npt.NDArray[np.int64]]
Rng = np.random.Generator

EPOCHS = 40


@dataclass(frozen=True)
class HistoryTask:
    """One dataset.

    Attributes:
        name: Of the task and its dataset.
        family: Unit of hold-out.
        domain: ``img-classification`` or ``tabular-classification``.
        draw: Rows of all parts, (n, ...) and classes.
        n_train: Training rows.
        n_val: Validation rows.
    """

    name: str
    family: str
    domain: str
    draw: Callable[[Rng, int], Rows]
    n_train: int
    n_val: int = 400

    @property
    def kind(self) -> str:
        return "image" if self.domain.startswith("img") else "vector"

    def make(self) -> Data:
        """The arrays; training rows alone decide on scales. There is no test part: peaks are of validation."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        x, y = self.draw(rng, self.n_train + self.n_val)
        axes = (0, 1, 2, 3) if x.ndim == 4 else (0,)
        mean, deviation = (getattr(x[: self.n_train], what)(axes, keepdims=True) for what in ("mean", "std"))
        x = ((x - mean) / np.where(deviation > 1e-9, deviation, 1.0)).astype(np.float32)
        parts = np.split(x, [self.n_train, self.n_train + self.n_val])
        labels = np.split(y.astype(np.int64), [self.n_train, self.n_train + self.n_val])
        return Data(parts[0], labels[0], parts[1], labels[1], parts[2], labels[2], int(y.max()) + 1)


def _digits(rng: Rng, n: int) -> Rows:
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = rng.permutation(len(found.target))[:n]
    return found.images[rows][:, None] / 16.0, found.target[rows].astype(np.int64)


def noisy_digits(rng: Rng, n: int) -> Rows:
    x, y = _digits(rng, n)
    return x + 0.25 * rng.normal(size=x.shape), y


def merged_digits(rng: Rng, n: int) -> Rows:
    """Ten digits as three classes (by remainder), pixels as a table, some of them missing."""
    x, y = _digits(rng, n)
    return (x * (rng.random(x.shape) > 0.35)).reshape(n, -1), y % 3


def clusters(rng: Rng, n: int) -> Rows:
    from sklearn.datasets import make_classification

    return make_classification(
        n, 24, n_informative=8, n_redundant=6, n_classes=4, n_clusters_per_class=3, class_sep=1.3, flip_y=0.03,
        random_state=int(rng.integers(2**31)),
    )  # fmt: skip


def quantiles(rng: Rng, n: int) -> Rows:
    """Rings around the origin of five dimensions, hidden in twelve."""
    from sklearn.datasets import make_gaussian_quantiles

    x, y = make_gaussian_quantiles(n_samples=n, n_features=5, n_classes=4, random_state=int(rng.integers(2**31)))
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    return np.hstack([x, 0.7 * rng.normal(size=(n, 7))]) @ turn, y


SIDE = 12


def outlines(rng: Rng, n: int) -> Rows:
    """One of six outlines: circle, square, diamond, cross, triangle, two bars; any size and place, in noise."""
    y = rng.integers(0, 6, n)
    r = rng.uniform(2.5, 4.5, n)[:, None, None]
    centre = rng.uniform(4.0, SIDE - 5.0, (2, n, 1, 1))
    down, right = np.arange(SIDE)[None, :, None] - centre[0], np.arange(SIDE)[None, None, :] - centre[1]
    box = np.maximum(abs(down), abs(right))
    triangle = np.maximum(2 * abs(right) - down - r, down - r) + r
    far = np.maximum(box - r, 0.0)
    distance = np.stack(
        [
            abs(np.hypot(down, right) - r),
            abs(box - r),
            abs(abs(down) + abs(right) - 1.2 * r),
            np.minimum(abs(down), abs(right)) + far,
            abs(triangle - r),
            abs(abs(right) - r / 2) + far,
        ]
    )[y, np.arange(n)]
    return (np.exp(-(distance**2)) + 0.35 * rng.normal(size=distance.shape))[:, None], y


#: Segments of ten figures on a seven-segment display: top, middle, bottom, and the four sides.
SEGMENTS = np.array(
    [
        [1, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 1], [1, 1, 1, 0, 1, 1, 0], [1, 1, 1, 0, 1, 0, 1],
        [0, 1, 0, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1, 1], [1, 0, 0, 0, 1, 0, 1],
        [1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 1],
    ]
)  # fmt: skip


def figures(rng: Rng, n: int) -> Rows:
    """Figures of a seven-segment display, moved about, over bright lines."""
    y = rng.integers(0, 10, n)
    glyph = np.zeros((10, 9, 6))
    for segment, place in enumerate(
        [np.s_[0, 1:5], np.s_[4, 1:5], np.s_[8, 1:5], np.s_[1:4, 0], np.s_[1:4, 5], np.s_[5:8, 0], np.s_[5:8, 5]]
    ):
        glyph[(slice(None), *place)] = SEGMENTS[:, segment].reshape(-1, 1)
    plane = np.zeros((n, 12, 12))
    plane += 0.8 * (rng.random((n, 12, 1)) < 0.1) + 0.8 * (rng.random((n, 1, 12)) < 0.1)
    for i, (down, right) in enumerate(zip(rng.integers(0, 4, n), rng.integers(1, 6, n), strict=True)):
        plane[i, down : down + 9, right : right + 6] += glyph[y[i]]
    return (plane + 0.2 * rng.normal(size=plane.shape))[:, None], y


def relations(rng: Rng, n: int) -> Rows:
    """A cross and a ring: which lies left of, right of, above or below the other."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    y, plane = rng.integers(0, 4, n), np.zeros((n, 12, 12))
    for i in range(n):
        apart, aside = rng.integers(4, 8), rng.integers(-2, 3)
        step = np.array([(aside, apart), (aside, -apart), (apart, aside), (-apart, aside)][y[i]])
        low, high = np.maximum(0, -step), np.minimum(9, 9 - step)
        first = np.array([rng.integers(a, b + 1) for a, b in zip(low, high, strict=True)])
        for mark, (down, right) in ((cross, first), (ring, first + step)):
            plane[i, down : down + 3, right : right + 3] += mark
    return (plane + 0.25 * rng.normal(size=plane.shape))[:, None], y


IMAGE, TABLE = "img-classification", "tabular-classification"

TASKS = (
    HistoryTask("noisy-digits", "digits", IMAGE, noisy_digits, 500),
    HistoryTask("merged-digits", "digits", TABLE, merged_digits, 800),
    HistoryTask("clusters", "make-classification", TABLE, clusters, 800),
    HistoryTask("quantiles", "make-gaussian-quantiles", TABLE, quantiles, 800),
    HistoryTask("outlines", "drawn-outlines", IMAGE, outlines, 500),
    HistoryTask("figures", "drawn-figures", IMAGE, figures, 600),
    HistoryTask("relations", "drawn-relations", IMAGE, relations, 600),
)
