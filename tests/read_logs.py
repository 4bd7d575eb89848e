"""Import logs and read the corpus back."""

from __future__ import annotations

from pathlib import Path

from metalcx.corpora import Corpus
from metalcx.corpora.importers import ImportOptions, ImportReport, import_corpus
from metalcx.curves import Curves, Metric

LOSS = Metric("val_loss", "min", 0.0)


def read(format: str, src: Path, metric: Metric | None = LOSS, **options) -> tuple[ImportReport, dict[str, Curves]]:
    """The report, and the curves of each run by its name."""
    dst = src.parent / f"made from {src.name}"
    report = import_corpus(format, src, dst, ImportOptions(metric, **options))
    corpus = Corpus.open(dst)
    columns = [m.name for m in corpus.metrics] + ["seconds"] * corpus.has("seconds")
    found = {str(one.ids[0]): one for task in corpus for one in task.curves(columns)}
    assert (report.runs, report.points) == (len(found), sum(len(one.t) for one in found.values()))
    return report, found


def opened(src: Path) -> Corpus:
    """The corpus that `read` made."""
    return Corpus.open(src.parent / f"made from {src.name}")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
