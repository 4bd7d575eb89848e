"""Curves and models to save."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx import hub


@pytest.fixture
def curves() -> mx.Curves:
    """Six finished runs, of which r2 diverged, and two running ones, with awkward hyperparameters."""
    rows = [
        (f"r{run}", step, np.inf if (run, step) == (2, 5) else 1 - 0.8 * np.exp(-step / (3 + run)))
        for run in range(8)
        for step in range(1, 21 if run < 6 else 9)
    ]
    runs = pd.DataFrame(
        {
            "run": [f"r{run}" for run in range(8)],
            "arch": ["a", None] * 4,
            "lr": [0.1, np.nan, np.inf, 0.2, 0.1, 0.1, 0.3, 0.4],
            "depth": range(8),
            "act": ["relu", None] * 4,
            "nesterov": [True, False] * 4,
            "mixed": ["x", 1, 2.5, None, True, "y", "z", 3],
        }
    )
    metric = mx.Metric("acc", "max", 0.0)
    return mx.Curves.from_frame(pd.DataFrame(rows, columns=["run", "t", "value"]), metric, runs)


@pytest.fixture
def base(tiny: ModuleType, tmp_path: Path) -> Path:
    """A saved base model."""
    hub.save(tiny.Tiny(width=0.2), tmp_path / "base", name="tiny-base", metrics={"error": 0.5})
    return tmp_path / "base"


@pytest.fixture
def adapted(tiny: ModuleType, base: Path, curves: mx.Curves, tmp_path: Path) -> Path:
    """A saved delta beside the base."""
    model = hub.load(base).adapt(curves.finished())
    hub.save_adapted(model, base, tmp_path / "adapted")
    return tmp_path / "adapted"
