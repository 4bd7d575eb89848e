"""Published corpora that people can get: what each holds, under which licence, from where, and our role for it."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from metalcx.corpora._registry import DATA_VARIABLE
from metalcx.errors import CorpusError, name_some

ROLES = {
    "meta-train": "may teach what ships",
    "benchmark": "trained on inside a benchmark only",
    "encoder": "teaches encoders of architectures",
}


@dataclass(frozen=True, slots=True)
class KnownFile:
    """One file of a published corpus.

    Attributes:
        name: Where it is put, relative to the folder of the corpus.
        address: Where it is published; a page for people if `by_hand`.
        size: Bytes, where published.
        sha256: Hexadecimal, where published.
        md5: Hexadecimal, where published.
        by_hand: True if no program can fetch it, such as behind a page that asks.
    """

    name: str
    address: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    by_hand: bool = False

    def row(self) -> tuple[str, str, str, str]:
        """Name, bytes, checksum and address in words, as cards and the command `show` have them."""
        stated = {"sha256": self.sha256, "md5": self.md5}
        checksum = next((f"{kind} {value}" for kind, value in stated.items() if value), "not published")
        return self.name, "not published" if self.size is None else f"{self.size:,}", checksum, self.address


@dataclass(frozen=True, slots=True)
class KnownCorpus:
    """A published corpus.

    Attributes:
        name: The name to ask for it by.
        title: What it is.
        holds: Tasks, runs and metrics, in words.
        time_unit: What t counts, in words.
        licence: Licence of the data, or a word that none is stated.
        citation: What to cite.
        role: What it is to metalcx, a key of `ROLES`.
        redistributable: False if nothing learned from it may ship.
        home: Page of its authors.
        files: What is fetched.
        format: What ``metalcx corpus import`` calls its layout; None where nothing reads it.
        source: What the importer is given, relative to the folder of the files.
        note: What else is to be known.
    """

    name: str
    title: str
    holds: str
    time_unit: str
    licence: str
    citation: str
    role: str
    redistributable: bool
    home: str
    files: tuple[KnownFile, ...] = field(repr=False)
    format: str | None = None
    source: str = ""
    note: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person has to get any of it."""
        return any(file.by_hand for file in self.files)

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where that of any is not published."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(filter(None, sizes))

    def import_command(self, folder: Path) -> str | None:
        """The command that makes a corpus of the files in `folder`; None where nothing reads them."""
        return self.format and f"metalcx corpus import {self.format} {folder / self.source} {self.name}"

    def facts(self, folder: Path) -> dict[str, str]:
        """What cards and the command `show` say of it beside what it holds, in order; `folder` holds its files."""
        return {
            "time unit": self.time_unit,
            "licence": self.licence,
            "may ship what is learned from it": "yes" if self.redistributable else "no",
            "cite": self.citation,
            "role for metalcx": f"{self.role}: {ROLES[self.role]}",
            "home": self.home,
            "get it": "by hand, from the address below" if self.by_hand else f"metalcx corpus fetch {self.name}",
            "import it": self.import_command(folder) or "nothing in metalcx reads it yet",
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "by_hand": self.by_hand, "size": self.size, "files": [asdict(f) for f in self.files]}


@functools.cache
def known_corpora() -> tuple[KnownCorpus, ...]:
    """All of `known.toml`, which travels inside the package, sorted by name."""
    text = resources.files("metalcx.corpora").joinpath("known.toml").read_text(encoding="utf-8")
    return tuple(sorted((_corpus(said) for said in tomllib.loads(text)["corpus"]), key=lambda known: known.name))


def find_known(name: str) -> KnownCorpus:
    """The published corpus of that name.

    Raises:
        CorpusError: If there is none; names those that there are.
    """
    found = {known.name: known for known in known_corpora()}
    if name not in found:
        raise CorpusError(f"{name!r} is no published corpus that metalcx knows; there are {name_some(found, 40)}")
    return found[name]


def raw_folder(name: str) -> Path:
    """Where files of a published corpus are put unless a folder is given: below `METALCX_DATA`, else in the cache."""
    first = next(filter(None, os.environ.get(DATA_VARIABLE, "").split(os.pathsep)), None)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "metalcx"
    return (Path(first) if first else cache).expanduser().absolute() / "raw" / name


def _corpus(said: Mapping[str, Any]) -> KnownCorpus:
    files = tuple(file for group in said["files"] for file in _files(group))
    return KnownCorpus(**{**said, "files": files})


def _files(group: Mapping[str, Any]) -> Iterator[KnownFile]:
    one = {key: value for key, value in group.items() if key != "each"}
    for value in group.get("each", ("",)):
        filled = {key: one[key].replace("{}", str(value)) for key in ("name", "address")}
        yield KnownFile(**{**one, **filled})
