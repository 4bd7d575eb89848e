"""`requirements/lowest.txt` is what `.ci/lowest.py` makes of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(not (ROOT / ".ci" / "lowest.py").is_file(), reason="an sdist may leave it out")
def test_the_list_of_oldest_versions_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "requirements" / "lowest.txt").read_text(encoding="utf-8") == made
