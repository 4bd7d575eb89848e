"""Numbers that were right once stay what they are; `python tests/golden/write.py` writes them anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from .cases import BELIEFS, CASES, EMBEDDINGS, FORECASTS, beliefs, embeddings, forecasts, spread

NUMBERS = ["mean", "q0.05", "q0.5", "q0.95"]


@pytest.mark.parametrize("name", CASES)
def test_forecasts(name: str) -> None:
    known = pd.read_csv(FORECASTS)
    known = known[known["forecaster"] == name].reset_index(drop=True)
    found = forecasts(name)
    assert len(known) == len(found) > 0
    assert known[["task", "run", "t"]].to_numpy().tolist() == found[["task", "run", "t"]].to_numpy().tolist()
    scale = found["task"].map(spread).to_numpy()[:, None]
    off = np.abs(known[NUMBERS].to_numpy() - found[NUMBERS].to_numpy()) / scale
    assert off.max() <= CASES[name].tolerance, f"{name} moved by {off.max():.2g} spreads"


def test_forecasters_differ() -> None:
    """A golden file whose rows were all the same would hold nothing."""
    rows = pd.read_csv(FORECASTS).pivot_table(index="forecaster", columns=["task", "run", "t"], values="mean")
    assert list(rows.index) == sorted(CASES)
    assert len(rows.round(8).drop_duplicates()) == len(rows)


def test_embeddings() -> None:
    np.testing.assert_allclose(pd.read_csv(EMBEDDINGS), embeddings(), rtol=1e-4, atol=1e-5)


def test_beliefs() -> None:
    np.testing.assert_allclose(pd.read_csv(BELIEFS), beliefs(), rtol=1e-4, atol=1e-4)
