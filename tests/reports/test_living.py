"""The live page in a browser, over trainings that are really running: it shows all, follows, and does not grow."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("tensorboard", reason="tensorboard is not installed")

from browsing import CHROMIUM
from living_page import survey

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.mark.parametrize(
    "count", [pytest.param(40, marks=pytest.mark.slow), pytest.param(1000, marks=pytest.mark.soak)]
)
def test_trainings_are_followed_to_their_end(tmp_path, count):
    figures = survey(tmp_path, count)
    first, settled, last = figures[0], *figures[-2:]
    assert settled["runs"] == count
    assert settled["updates"] > 3
    # A run costs what is known of it: at most a tenth of a megabyte here, a twentieth there.
    assert settled["server_mb"] - first["server_mb"] < 150 + 0.1 * count
    assert settled["page_mb"] < 20 + 0.05 * count
    # With nothing new, nothing grows.
    assert last["server_mb"] - settled["server_mb"] < 20
    assert last["page_mb"] - settled["page_mb"] < 5
    assert last["page_nodes"] <= 1.1 * settled["page_nodes"]
