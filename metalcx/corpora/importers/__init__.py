"""From the formats in which others publish curves, and from people's own logs, to corpora."""

from __future__ import annotations

from pathlib import Path

from metalcx.corpora.importers import _baker, _lcbench, _lcdb, _lemur, _nas_bench_201, _nas_bench_nlp, _taskset
from metalcx.corpora.importers._base import Importer as Importer
from metalcx.corpora.importers._base import ImportOptions as ImportOptions
from metalcx.corpora.importers._base import ImportReport as ImportReport
from metalcx.corpora.importers._base import write_imported
from metalcx.corpora.importers._people import PEOPLE
from metalcx.errors import DataError, name_some

__all__ = ["IMPORTERS", "ImportOptions", "ImportReport", "Importer", "import_corpus"]

#: Format -> importer. Each importer's module loads what is heavy only when it reads.
IMPORTERS: dict[str, Importer] = {
    **PEOPLE,
    "baker": _baker.read,
    "lcbench": _lcbench.read,
    "lcdb": _lcdb.read,
    "lemur": _lemur.read,
    "nas-bench-201": _nas_bench_201.read,
    "nas-bench-nlp": _nas_bench_nlp.read,
    "taskset": _taskset.read,
}


def import_corpus(format: str, src: str | Path, dst: str | Path, options: ImportOptions | None = None) -> ImportReport:
    """Convert what was published or logged at `src` to the corpus folder `dst`.

    Args:
        format: A key of `IMPORTERS`.
        src: File or folder in the original layout.
        dst: The corpus; an older one there is replaced when the new one is whole and valid.
        options: What the source does not say of itself.

    Raises:
        DataError: On an unknown format, or a source that is not of it.
        CorpusError: If `dst` is something else than a corpus or cannot be written.
    """
    if format not in IMPORTERS:
        raise DataError(f"no importer reads {format!r}; there are {name_some(sorted(IMPORTERS), len(IMPORTERS))}")
    return write_imported(IMPORTERS[format], Path(src), Path(dst), options or ImportOptions())
