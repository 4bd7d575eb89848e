"""Small images: gratings, blobs, textures, shapes among clutter, shifted templates, mirror symmetries."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._processes_base import CLASSIFICATION, Process, Sampler, labels
from metalcx.corpora.build._raw import Choice, FloatArray, Range, Rng, Settings

__all__ = ["IMAGES"]

Rows = tuple[FloatArray, npt.NDArray[Any]]


def gratings(rng: Rng, settings: Settings) -> Sampler:
    """Waves of any phase: which orientation, or how steep (0 to pi/2)."""
    k, side = settings["n_classes"], settings["side"]
    first = rng.uniform(0, np.pi)
    frequency = rng.uniform(0.8, 1.3)
    wave = np.sin if settings["wave"] == "sine" else lambda x: np.sign(np.sin(x))

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, steep = labels(rng, n, k), rng.uniform(0, np.pi / 2, n)
        regression = settings["task"] == "regression"
        angle = steep if regression else first + np.pi * (y + rng.uniform(-0.3, 0.3, n)) / k
        phase = frequency * rng.uniform(0.8, 1.2, n)[:, None, None] * _along(angle, side)
        plane = wave(phase + rng.uniform(0, 2 * np.pi, n)[:, None, None])
        return _coloured(rng, plane, settings), steep if regression else y

    return rows


def _along(angle: FloatArray, side: int) -> FloatArray:
    """How far each pixel lies along a direction, (n, side, side)."""
    down, right = np.mgrid[:side, :side]
    return np.cos(angle)[:, None, None] * right + np.sin(angle)[:, None, None] * down


def blobs(rng: Rng, settings: Settings) -> Sampler:
    """Up to `n_classes` soft spots: how many there are, or in which part of the picture the bright one lies."""
    k, side = settings["n_classes"], settings["side"]
    width = rng.uniform(0.7, 1.1)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        count = 1 + labels(rng, n, k)
        at = rng.uniform(0, side - 1, size=(n, k, 2))
        there = np.arange(k) < count[:, None]
        height = there * np.where(np.arange(k) == 0, 1.8, 1.0) if settings["ask"] == "where" else there * 1.0
        plane = (height[..., None, None] * _spots(at, side, width)).sum(1)
        return _coloured(rng, plane, settings), _asked(at[:, 0, 1] / side, count, settings)

    return rows


def _spots(at: FloatArray, side: int, width: float) -> FloatArray:
    far = (np.arange(side) - at[..., None]) ** 2  # (n, spots, axis, side)
    return np.exp(-(far[:, :, 0, :, None] + far[:, :, 1, None, :]) / (2 * width**2))


def _asked(across: FloatArray, count: npt.NDArray[np.int64], settings: Settings) -> npt.NDArray[Any]:
    regression = settings["task"] == "regression"
    if settings["ask"] == "count":
        return count.astype(np.float64) if regression else count - 1
    return across if regression else (across * settings["n_classes"]).astype(np.int64)


def textures(rng: Rng, settings: Settings) -> Sampler:
    """White noise through a random filter: which one. Only products of neighbours tell, no pixel by itself."""
    k, side, width = settings["n_classes"], settings["side"], settings["filter"]
    filters = rng.normal(size=(k, width, width))
    filters /= np.linalg.norm(filters, axis=(1, 2), keepdims=True)
    spectra = np.fft.rfft2(filters, (side, side))

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, k)
        plane = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(n, side, side))) * spectra[y], (side, side))
        return _coloured(rng, plane, settings), y

    return rows


SHAPES = np.array(
    [
        [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]],
        [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]],
        [[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]],
        [[0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 0]],
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]],
        [[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]],
    ],
    np.float64,
)


def shapes(rng: Rng, settings: Settings) -> Sampler:
    """One of six shapes anywhere in the picture, among single bright pixels or bright lines."""
    k, side = settings["n_classes"], settings["side"]
    known = rng.permutation(len(SHAPES))[:k]

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, k)
        plane = _clutter(rng, n, side, settings["clutter"], settings["amount"])
        corner = rng.integers(0, side - 3, size=(n, 2))
        down, right = (corner[:, axis, None] + np.arange(4) for axis in (0, 1))
        plane[np.arange(n)[:, None, None], down[:, :, None], right[:, None, :]] = SHAPES[known[y]]
        return _coloured(rng, plane, settings), y

    return rows


def _clutter(rng: Rng, n: int, side: int, clutter: str, amount: float) -> FloatArray:
    if clutter == "specks":
        return (rng.random((n, side, side)) < amount).astype(np.float64)
    lines = rng.random((n, side)) < amount
    across = rng.random(n) < 0.5
    return np.where(across[:, None, None], lines[:, :, None], lines[:, None, :]) * np.ones((n, side, side))


def templates(rng: Rng, settings: Settings) -> Sampler:
    """A smooth random pattern a class, moved around the edges by up to `shift` pixels, in varying contrast."""
    k, side, shift = settings["n_classes"], settings["side"], settings["shift"]
    low = np.exp(-0.5 * (np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side) ** 2) / 0.18**2)
    patterns = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(k, side, side))) * low, (side, side))
    patterns /= patterns.std((1, 2), keepdims=True)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, contrast = labels(rng, n, k), rng.uniform(0.4, 1.2, n)
        moved = rng.integers(-shift, shift + 1, size=(n, 2))
        down, right = ((np.arange(side) + moved[:, axis, None]) % side for axis in (0, 1))
        plane = patterns[y[:, None, None], down[:, :, None], right[:, None, :]]
        return _coloured(rng, contrast[:, None, None] * plane, settings), y

    return rows


MIRRORS = (
    lambda x: x,
    lambda x: x[:, :, ::-1],
    lambda x: x[:, ::-1, :],
    lambda x: x[:, ::-1, ::-1],
)


def mirrors(rng: Rng, settings: Settings) -> Sampler:
    """Random pictures: without symmetry, mirrored in one axis, in the other, or turned by half."""
    k, side = settings["n_classes"], settings["side"]
    chosen = rng.permutation(len(MIRRORS))[:k]

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, k)
        other, plane = rng.normal(size=(2, n, side, side))
        for label, mirror in enumerate(chosen):
            hit = y == label
            # Without symmetry the second picture is another one, so that all classes have one deviation.
            plane[hit] += other[hit] if mirror == 0 else MIRRORS[mirror](plane[hit])
        return _coloured(rng, plane / 2**0.5, settings), y

    return rows


def _coloured(rng: Rng, plane: FloatArray, settings: Settings) -> FloatArray:
    """The picture in each channel with a strength of its own, and noise; (n, channels, side, side)."""
    n, side = len(plane), plane.shape[-1]
    strength = rng.uniform(0.3, 1.2, size=(n, settings["channels"], 1, 1))
    noise = settings["noise"] * rng.normal(size=(n, settings["channels"], side, side))
    return strength * plane[:, None] + noise


UP_TO_8 = Range(4, 2, 8)


def _sizes(noise: float, n_classes: Range = UP_TO_8) -> dict[str, Range | Choice]:
    return {
        "side": Range(8, 6, 16),
        "channels": Range(1, 1, 3),
        "n_classes": n_classes,
        "noise": Range(noise, 0.0, 5.0),
    }


IMAGES = {
    "gratings": Process(gratings, "image", {"wave": Choice(("sine", "square"))}, _sizes(0.8)),
    "blobs": Process(blobs, "image", {"ask": Choice(("count", "where"))}, _sizes(0.2)),
    "textures": Process(textures, "image", {"filter": Range(3, 2, 5)}, _sizes(0.3), CLASSIFICATION),
    "shapes": Process(
        shapes,
        "image",
        {"clutter": Choice(("specks", "lines"))},
        _sizes(0.2, Range(4, 2, 6)) | {"amount": Range(0.1, 0.0, 0.5)},
        CLASSIFICATION,
    ),
    "templates": Process(templates, "image", {"shift": Range(1, 0, 4)}, _sizes(1.0), CLASSIFICATION),
    "mirrors": Process(mirrors, "image", {}, _sizes(0.2, Range(2, 2, 4)), CLASSIFICATION),
}
