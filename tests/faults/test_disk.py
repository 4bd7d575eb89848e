"""On a full disk the error says so, nothing half-written stays, and with room again the work ends as it would have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_jobs import JOBS, Survivor, beside

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")

#: Bytes that a file may have: some of the files fit, others do not.
LIMITS = (0, 1000, 4000, 20_000)
OURS = [name for name in JOBS if name != "optuna study"]


@pytest.mark.parametrize(
    "name",
    [name if name in ("adapt", "pretrain-encoder") else pytest.param(name, marks=pytest.mark.slow) for name in OURS],
)
def test_a_full_disk(tmp_path: Path, name: str) -> None:
    survivor = Survivor(name, tmp_path)
    failed = 0
    for limit in LIMITS:
        folder = tmp_path / f"limit{limit}"
        folder.mkdir()
        for given in ("recipe.toml", "runs.csv"):  # what the work reads was there before the disk was full
            if (tmp_path / "unbroken" / given).exists():
                (folder / given).write_bytes((tmp_path / "unbroken" / given).read_bytes())
        (ended,) = beside(name, folder, 1, limit)
        if ended is None:
            survivor.check(folder, done=True)
            continue
        failed += 1
        assert "File too large" in ended[1], ended
        left = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "out.work" not in p.parts]
        assert not [p for p in left if p.endswith((".part", ".tmp"))], left
        survivor.check(folder, done=False)
        assert beside(name, folder, 1) == [None]
        survivor.check(folder, done=True)
    assert failed
