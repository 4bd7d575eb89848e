"""Six further tasks for the judgement of histories, of families that no decision was made with in view.

Everything about `metalcx.histories` was decided before these were drawn: they are judged by what learned from the seven
tasks of `history_tasks.py`, once. Three tables, three sets of pictures.
"""

from __future__ import annotations

import numpy as np
from history_tasks import IMAGE, SIDE, TABLE, HistoryTask, Rng, Rows


def bends(rng: Rng, n: int) -> Rows:
    """Friedman's first function (Friedman 1991) of five of ten inputs, in fifths of its values."""
    from sklearn.datasets import make_friedman1

    x, value = make_friedman1(n, 10, noise=0.8, random_state=int(rng.integers(2**31)))
    return x, _fifths(value)


def roll(rng: Rng, n: int) -> Rows:
    """Where on a rolled-up sheet a point lies, in fifths of its length, hidden in ten dimensions."""
    from sklearn.datasets import make_swiss_roll

    x, place = make_swiss_roll(n, noise=1.5, random_state=int(rng.integers(2**31)))
    turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    return np.hstack([x / x.std(0), rng.normal(size=(n, 7))]) @ turn, _fifths(place)


def sums(rng: Rng, n: int) -> Rows:
    """Whether the squares of ten inputs add up to more than their median (Hastie et al. 2009, eq. 10.2)."""
    from sklearn.datasets import make_hastie_10_2

    x, side = make_hastie_10_2(n, random_state=int(rng.integers(2**31)))
    return x, (side > 0).astype(np.int64)


def rotations(rng: Rng, n: int) -> Rows:
    """Pieces of scikit-learn's two photographs, turned by none, one, two or three quarters."""
    from sklearn.datasets import load_sample_images

    photographs = [image.mean(2)[::8, ::8] / 255.0 for image in load_sample_images().images]
    y, plane = rng.integers(0, 4, n), np.empty((n, SIDE, SIDE))
    for i in range(n):
        photograph = photographs[rng.integers(len(photographs))]
        down, right = (rng.integers(0, extent - SIDE + 1) for extent in photograph.shape)
        piece = photograph[down : down + SIDE, right : right + SIDE]
        plane[i] = np.rot90((piece - piece.mean()) / (piece.std() + 0.05), y[i])
    return plane[:, None], y


def clocks(rng: Rng, n: int) -> Rows:
    """A long and a short hand: in which eighth the long one points."""
    y = rng.integers(0, 8, n)
    angle = np.stack([(y + rng.uniform(0.1, 0.9, n)) / 8, rng.random(n)]) * 2 * np.pi
    grid = np.arange(SIDE) - (SIDE - 1) / 2
    down, right = grid[None, :, None], grid[None, None, :]
    plane = np.zeros((n, SIDE, SIDE))
    for hand, length in zip(angle, (5.0, 3.5), strict=True):
        along = np.cos(hand)[:, None, None] * down + np.sin(hand)[:, None, None] * right
        aside = np.cos(hand)[:, None, None] * right - np.sin(hand)[:, None, None] * down
        plane += np.exp(-(aside**2) - np.maximum(along - length, 0.0) ** 2 - np.maximum(-along, 0.0) ** 2)
    return (plane + 0.5 * rng.normal(size=plane.shape))[:, None], y


#: Places of the pips of a die, by the number that it shows, in units of half its width.
PIPS = (
    [(0, 0)],
    [(-1, -1), (1, 1)],
    [(-1, -1), (0, 0), (1, 1)],
    [(-1, -1), (-1, 1), (1, -1), (1, 1)],
    [(-1, -1), (-1, 1), (0, 0), (1, -1), (1, 1)],
    [(-1, -1), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 1)],
)


def dice(rng: Rng, n: int) -> Rows:
    """A die of any place, size and slant, with specks: its number."""
    y, plane = rng.integers(0, 6, n), np.zeros((n, SIDE, SIDE))
    down, right = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    for i in range(n):
        size, slant = rng.uniform(2.2, 3.6), rng.uniform(-0.6, 0.6)
        turn = size * np.array([[np.cos(slant), -np.sin(slant)], [np.sin(slant), np.cos(slant)]])
        pips = np.array(PIPS[y[i]]) @ turn + (SIDE - 1) / 2 + rng.uniform(-1, 1, 2)
        specks = rng.uniform(0, SIDE, (rng.integers(0, 3), 2))
        for height, marks in ((1.0, pips), (0.5, specks)):
            for a, b in marks:
                plane[i] += height * np.exp(-((down - a) ** 2 + (right - b) ** 2) / 0.8)
    return (plane + 0.2 * rng.normal(size=plane.shape))[:, None], y


def _fifths(value: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.quantile(value, [0.2, 0.4, 0.6, 0.8]), value)


FRESH = (
    HistoryTask("bends", "make-friedman1", TABLE, bends, 800),
    HistoryTask("roll", "make-swiss-roll", TABLE, roll, 800),
    HistoryTask("sums", "make-hastie-10-2", TABLE, sums, 800),
    HistoryTask("rotations", "sample-images", IMAGE, rotations, 600),
    HistoryTask("clocks", "drawn-clocks", IMAGE, clocks, 600),
    HistoryTask("dice", "drawn-dice", IMAGE, dice, 600),
)
