"""Folders of corpora for the encoder benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from .made_spaces import cells, gnns, plain, published


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cells`, `nas-bench-graph`, `plain` and `nb201-finals`, made up."""
    root = tmp_path_factory.mktemp("data")
    for write in (cells, gnns, plain, published):
        write(root)
    return root
