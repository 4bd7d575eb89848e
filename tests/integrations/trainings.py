"""Curves and earlier runs that the tests of all hosts share."""

from __future__ import annotations

import numpy as np
from strategies import make

from metalcx.curves import Curves, Metric
from metalcx.forecasters import Baseline

LOSS = Metric("val_loss", "min", 0.0)
#: Quick, and enough to tell a run that learns from one that does not.
MODEL = Baseline("shift")
EPOCHS = 10


def losses(final: float, epochs: int = EPOCHS) -> list[float]:
    """Losses of epochs 1 to `epochs` that fall from about 1 to `final`."""
    t = np.arange(1, epochs + 1)
    return [float(y) for y in final + (1 - final) * np.exp(-t * 9 / epochs)]


def earlier(metric: Metric = LOSS, finals: tuple[float, ...] = (0.02, 0.03, 0.04, 0.05, 0.06)) -> Curves:
    """Completed runs; for a metric that grows, one less their losses."""
    t = np.arange(1.0, EPOCHS + 1)
    parts = [(t, np.array(losses(f)) if metric.goal == "min" else 1 - np.array(losses(f))) for f in finals]
    return make(metric, parts, ids=[f"earlier {i}" for i in range(len(finals))])
