"""Corpora by name: those that come with metalcx, and those in the folders that METALCX_DATA names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from metalcx._resources import bundled, bundled_names
from metalcx._swap import readable
from metalcx.corpora._checksums import read_checksums
from metalcx.corpora._corpus import Corpus, read_manifest
from metalcx.corpora._format import FILES, MANIFEST
from metalcx.errors import CorpusError, name_some

DATA_VARIABLE = "METALCX_DATA"


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """What is known of a named corpus without opening its tables.

    Attributes:
        name: The name to ask for it by: that of its folder.
        path: The folder.
        origin: ``bundled`` or ``METALCX_DATA``.
        licence: Licence of the data.
        citation: What to cite.
        redistributable: False if nothing learned from it may ship.
        time_unit: What t counts.
        n_tasks: Tasks.
        n_runs: Runs.
        n_points: Points.
        checksums: File -> sha256 as its `CHECKSUMS` states them; empty where none are stated.
        problem: Why it cannot be used, or None.
        n_bytes: Size of its files on disk.
    """

    name: str
    path: Path
    origin: str
    licence: str = ""
    citation: str = ""
    redistributable: bool = False
    time_unit: str = ""
    n_tasks: int = 0
    n_runs: int = 0
    n_points: int = 0
    checksums: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    n_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "path": str(self.path)}


def list_corpora() -> list[CorpusInfo]:
    """All named corpora, sorted by name; a bundled one hides another of its name. A broken one has a `problem`."""
    found: dict[str, CorpusInfo] = {}
    for name, path, origin in _named():
        found.setdefault(name, _info(name, path, origin))
    return [found[name] for name in sorted(found)]


def find_corpus(name_or_path: str | Path) -> Path:
    """The folder of a corpus given by folder or by name; a folder that holds a corpus goes first.

    Raises:
        CorpusError: If it is neither; names what there is.
    """
    path = readable(Path(name_or_path))
    if (path / MANIFEST).is_file():
        return Path(name_or_path).expanduser().resolve()
    for name, folder, _ in _named():
        if name == str(name_or_path):
            return folder
    if path.is_dir():
        raise CorpusError(f"{path}: holds no {MANIFEST}, so it is no corpus; give the folder in which that file is")
    names = sorted({name for name, _, _ in _named()})
    there = f"named corpora are {name_some(names, 20)}" if names else "there are no named corpora"
    raise CorpusError(
        f"{str(name_or_path)!r} is neither a corpus folder nor a named corpus; {there}. "
        f"Set {DATA_VARIABLE} to a folder of corpora to name those in it"
    )


def open_corpus(name_or_path: str | Path) -> Corpus:
    """Open a corpus given by folder or by name; see `find_corpus`."""
    return Corpus.open(find_corpus(name_or_path))


def _named() -> Iterator[tuple[str, Path, str]]:
    for name in bundled_names("datasets"):
        folder = bundled("datasets", name)
        if folder is not None and (folder / MANIFEST).is_file():
            yield name, folder, "bundled"
    for root in filter(None, os.environ.get(DATA_VARIABLE, "").split(os.pathsep)):
        for folder in sorted(Path(root).expanduser().glob("[!.]*")):
            if (readable(folder) / MANIFEST).is_file():
                yield folder.name, folder.resolve(), DATA_VARIABLE


def _info(name: str, path: Path, origin: str) -> CorpusInfo:
    folder = readable(path)
    try:
        said = read_manifest(folder)
    except CorpusError as error:
        return CorpusInfo(name, path, origin, problem=str(error), n_bytes=disk_size(folder))
    return CorpusInfo(
        name,
        path,
        origin,
        said.licence,
        said.citation,
        said.redistributable,
        said.time_unit,
        said.n_tasks,
        said.n_runs,
        said.n_points,
        read_checksums(folder),
        n_bytes=disk_size(folder),
    )


def disk_size(folder: Path) -> int:
    """Bytes of the files of a corpus folder."""
    return sum((folder / name).stat().st_size for name in FILES if (folder / name).is_file())
