"""Short sequences: dynamics, motifs, counting, memory, hidden states, frequencies, the order of events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._processes_base import CLASSIFICATION, Process, Sampler, labels
from metalcx.corpora.build._raw import Choice, FloatArray, Range, Rng, Settings

__all__ = ["SEQUENCES"]

Rows = tuple[FloatArray, npt.NDArray[Any]]


def dynamics(rng: Rng, settings: Settings) -> Sampler:
    """Autoregressive channels of `order`: which class's dynamics, or the next value of the first channel."""
    k, length, order = settings["n_classes"], settings["length"], settings["order"]
    # Roots inside the unit circle, one pair or one number a class, spread so that classes differ.
    radius, angle = rng.uniform(0.75, 0.95, k), np.pi * (np.arange(k) + rng.uniform(0.2, 0.8, k)) / k
    first = order * radius * np.cos(angle)
    second = -np.square(radius) * (order == 2)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y = labels(rng, n, k)
        steps = rng.normal(size=(n, length + 21, settings["channels"]))
        for t in range(2, steps.shape[1]):
            steps[:, t] += first[y, None] * steps[:, t - 1] + second[y, None] * steps[:, t - 2]
        seen, following = steps[:, 20:-1], steps[:, -1, 0]
        x = seen + settings["noise"] * rng.normal(size=seen.shape)
        return x, following if settings["task"] == "regression" else y

    return rows


def motif(rng: Rng, settings: Settings) -> Sampler:
    """Noise with one of `n_classes` random patterns of `width` steps somewhere in it."""
    k, length, channels, width = (settings[key] for key in ("n_classes", "length", "channels", "width"))
    patterns = rng.normal(size=(k, width, channels))
    patterns /= (patterns**2).mean((1, 2), keepdims=True) ** 0.5

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, start = labels(rng, n, k), rng.integers(0, length - width + 1, n)
        x = settings["noise"] * rng.normal(size=(n, length, channels))
        x[np.arange(n)[:, None], start[:, None] + np.arange(width)] += patterns[y]
        return x, y

    return rows


def counting(rng: Rng, settings: Settings) -> Sampler:
    """Symbols, one channel each: which is most frequent (the first of equals), or the share of the first.

    ``sticky`` symbols repeat.
    """
    length, symbols = settings["length"], settings["n_classes"]
    stay = 0.6 if settings["runs"] == "sticky" else 0.0

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        shares = rng.dirichlet(np.full(symbols, 4.0), n).cumsum(1)
        chosen = (rng.random((n, length, 1)) > shares[:, None, :]).sum(2).clip(0, symbols - 1)
        kept = rng.random((n, length)) < stay
        for t in range(1, length):
            chosen[:, t] = np.where(kept[:, t], chosen[:, t - 1], chosen[:, t])
        symbol = np.eye(symbols)[chosen]
        counts = symbol.sum(1)
        x = symbol + settings["noise"] * rng.normal(size=symbol.shape)
        return x, counts[:, 0] / length if settings["task"] == "regression" else counts.argmax(1)

    return rows


def adding(rng: Rng, settings: Settings) -> Sampler:
    """Numbers, and a second channel that marks `marks` of them: their sum, or in which of equal shares it falls."""
    length, marks, k = settings["length"], settings["marks"], settings["n_classes"]
    population = rng.normal(size=(4096, marks)).sum(1)
    edges = np.quantile(population, np.arange(1, k) / k)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        numbers = rng.normal(size=(n, length))
        marked = rng.random((n, length)).argsort(1) < marks
        total = (numbers * marked).sum(1)
        x = np.stack([numbers, marked + 0.0], 2) + settings["noise"] * rng.normal(size=(n, length, 2))
        return x, total if settings["task"] == "regression" else np.searchsorted(edges, total)

    return rows


def delay(rng: Rng, settings: Settings) -> Sampler:
    """A slow signal in each channel: its value `lag` steps before the end, or in which of equal shares that falls."""
    length, k, lag = settings["length"], settings["n_classes"], settings["lag"]
    channel = rng.integers(settings["channels"])
    edges = np.quantile(rng.normal(size=4096), np.arange(1, k) / k)

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        steps = rng.normal(size=(n, length, settings["channels"]))
        for t in range(1, length):
            steps[:, t] = 0.6 * steps[:, t - 1] + 0.8 * steps[:, t]
        asked = steps[:, length - 1 - lag, channel]
        x = steps + settings["noise"] * rng.normal(size=steps.shape)
        return x, asked if settings["task"] == "regression" else np.searchsorted(edges, asked)

    return rows


def hidden_markov(rng: Rng, settings: Settings) -> Sampler:
    """Hidden states that all classes share, walked through with the transitions of the class."""
    k, length, states = settings["n_classes"], settings["length"], settings["states"]
    moves = rng.dirichlet(np.full(states, 0.4), size=(k, states)).cumsum(2)
    emitted = 1.5 * rng.normal(size=(states, settings["channels"]))

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, state = labels(rng, n, k), labels(rng, n, states)
        path = np.empty((n, length), np.int64)
        for t in range(length):
            path[:, t] = state
            state = (rng.random((n, 1)) > moves[y, state]).sum(1).clip(0, states - 1)
        return emitted[path] + settings["noise"] * rng.normal(size=(n, length, settings["channels"])), y

    return rows


def frequency(rng: Rng, settings: Settings) -> Sampler:
    """Waves of any phase: which band of frequencies, or which frequency; ``chirp`` ones rise as they go."""
    k, length = settings["n_classes"], settings["length"]
    lowest = rng.uniform(0.4, 0.6)
    rise = 0.5 if settings["wave"] == "chirp" else 0.0

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        y, inside = labels(rng, n, k), rng.random(n)
        radians = lowest + 1.6 * (y + inside) / k
        t = np.arange(length)[None, :, None]
        phase = rng.uniform(0, 2 * np.pi, size=(n, 1, settings["channels"]))
        x = np.sin(radians[:, None, None] * t * (1 + rise * t / length) + phase)
        x += settings["noise"] * rng.normal(size=x.shape)
        return x, radians if settings["task"] == "regression" else y

    return rows


def events(rng: Rng, settings: Settings) -> Sampler:
    """One event a channel, at times drawn apart: which comes first, or how long after the first the second comes.

    An event is a ``bump`` of its own time alone, or a ``step`` up to a new level.
    """
    k, length = settings["n_classes"], settings["length"]
    bump = settings["event"] == "bump"

    def rows(rng: Rng, n: int, train: bool) -> Rows:
        at = rng.random((n, length)).argsort(1)[:, :k]
        since = np.arange(length)[None, :, None] - at[:, None, :]
        shape = np.exp(-0.5 * since**2) if bump else (since >= 0) + 0.0
        x = shape + settings["noise"] * rng.normal(size=shape.shape)
        return x, at[:, 1] - at[:, 0] + 0.0 if settings["task"] == "regression" else at.argmin(1)

    return rows


def _sizes(noise: float, n_classes: int = 3, channels: Range | None = None) -> dict[str, Range | Choice]:
    own = {"channels": channels} if channels else {}
    return {"length": Range(16, 8, 64), "n_classes": Range(n_classes, 2, 8), "noise": Range(noise, 0.0, 5.0), **own}


SEQUENCES = {
    "dynamics": Process(dynamics, "sequence", {"order": Range(1, 1, 2)}, _sizes(0.2, channels=Range(2, 1, 8))),
    "motif": Process(
        motif, "sequence", {"width": Range(4, 2, 8)}, _sizes(0.5, channels=Range(2, 1, 8)), CLASSIFICATION
    ),
    "counting": Process(counting, "sequence", {"runs": Choice(("none", "sticky"))}, _sizes(0.5)),
    "adding": Process(adding, "sequence", {"marks": Range(2, 1, 4)}, _sizes(0.1)),
    "delay": Process(delay, "sequence", {"lag": Range(4, 0, 7)}, _sizes(0.4, channels=Range(2, 1, 8))),
    "hidden-markov": Process(
        hidden_markov, "sequence", {"states": Range(3, 2, 8)}, _sizes(0.5, channels=Range(2, 1, 8)), CLASSIFICATION
    ),
    "frequency": Process(
        frequency, "sequence", {"wave": Choice(("sine", "chirp"))}, _sizes(0.6, 4, channels=Range(1, 1, 8))
    ),
    "events": Process(events, "sequence", {"event": Choice(("bump", "step"))}, _sizes(0.3)),
}
