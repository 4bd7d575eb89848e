from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metalcx.corpora import Corpus
from metalcx.corpora.importers import ImportOptions, ImportReport, import_corpus

Convert = Callable[..., tuple[Corpus, ImportReport]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """``convert(format, src, **options)``: the corpus that an import writes, and its report."""

    def run(format: str, src: Path, **options: Any) -> tuple[Corpus, ImportReport]:
        report = import_corpus(format, src, tmp_path / "corpus", ImportOptions(**options))
        return Corpus.open(report.path), report

    return run
