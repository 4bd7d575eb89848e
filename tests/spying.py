"""A forecaster that remembers what it was adapted to and asked about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from metalcx.curves import Curves
from metalcx.forecasters import Baseline
from metalcx.protocol import At, Forecast


@dataclass(frozen=True)
class Spy:
    """Forecasts as a baseline does; `seen` is shared by all that are adapted from it.

    Attributes:
        inner: The baseline.
        known: Runs that this one was adapted to.
        seen: (known runs, queries) of every forecast.
    """

    inner: Baseline = field(default_factory=lambda: Baseline("shift"))
    known: Curves | None = None
    seen: list[tuple[Curves | None, Curves]] = field(default_factory=list)

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Spy:
        return replace(self, inner=self.inner.adapt(support, steps=steps, seed=seed), known=support)

    def forecast(self, queries: Curves, at: At) -> Forecast:
        self.seen.append((self.known, queries))
        return self.inner.forecast(queries, at)


def saturating(n: int = 24, points: int = 20, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """(t, y) of n noisy runs that rise to levels of their own."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, points + 1)
    return [(t, level - 0.5 * np.exp(-t / 4) + 0.004 * rng.normal(size=points)) for level in rng.uniform(0.5, 0.9, n)]
