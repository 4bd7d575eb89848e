"""Whatever is killed, and whenever: nothing is lost or half-written, and what is gone on with ends the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_jobs import JOBS, survive

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
HOSTS = ("optuna study",)


def tiers(quick: tuple[str, ...]) -> list[object]:
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in JOBS if name not in quick]
    return [*(name for name in quick if name not in HOSTS), *slow]


@pytest.mark.parametrize("name", tiers(("pretrain-encoder", "meta-train expert-gate", "forecast")))
def test_killed_a_few_times(tmp_path: Path, name: str) -> None:
    if name in HOSTS:
        pytest.importorskip("optuna")
    tally = survive(name, tmp_path, 3)
    assert tally.kills >= 3
    assert tally.done >= 1


@pytest.mark.soak
@pytest.mark.parametrize("name", JOBS)
def test_killed_fifty_times(tmp_path: Path, name: str) -> None:
    if name in HOSTS:
        pytest.importorskip("optuna")
    assert survive(name, tmp_path, 50, seed=1).kills >= 50
