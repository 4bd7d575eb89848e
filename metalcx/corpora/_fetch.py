"""Fetch the files of a published corpus: whole and verified under their names, or not there at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metalcx._swap import flush, locked
from metalcx.corpora._checksums import CHECKSUMS, read_checksums, sha256
from metalcx.corpora._download import download, note_of
from metalcx.corpora._known import KnownCorpus, KnownFile, raw_folder
from metalcx.errors import CorpusError

#: Called with the name of a file, the bytes that are there, and those that there will be (None where unknown).
FetchProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that is whole and in its place.

    Attributes:
        name: As in `KnownFile`.
        path: Where it is.
        address: Where it is published.
        size: Bytes.
        sha256: Hexadecimal, of the file that is there.
        downloaded: False if it was there before.
        verified: Against what: the published ``sha256`` or ``md5``; ``first fetch`` for the sha256 of an earlier fetch;
            ``size``, the published one; empty where there was nothing to verify it against.
    """

    name: str
    path: Path
    address: str
    size: int
    sha256: str
    downloaded: bool
    verified: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "path": str(self.path)}


def fetch(known: KnownCorpus, to: str | Path | None = None, progress: FetchProgress | None = None) -> list[FetchedFile]:
    """Fetch what is not there yet; what is there, fetched or put by hand, is verified and left as it is.

    The sha256 of every file is written into `CHECKSUMS` beside them, so that a file for which none is published can
    at least be held against its first download.

    Args:
        known: An entry of `known_corpora`.
        to: Folder for the files; by default `raw_folder` of its name.
        progress: Called while a file is downloaded.

    Raises:
        CorpusError: Names what failed, the address, and the full path where a file put by hand would be found.
            Files that were fetched before stay, and the part of the one that failed, with which the next call goes on.
    """
    folder = raw_folder(known.name) if to is None else Path(to).expanduser().absolute()
    done = []
    for file in known.files:
        path = folder / file.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(folder.resolve() / "fetch", "the same files"):
                done.append(_fetched(file, folder, progress))
        except CorpusError as error:
            raise CorpusError(_failure(known, file, path, str(error))) from None
        except OSError as error:
            said = f"{error.filename or path}: {error.strerror or error}"
            raise CorpusError(_failure(known, file, path, f"cannot be read or written ({said})")) from None
    return done


def _failure(known: KnownCorpus, file: KnownFile, path: Path, said: str) -> str:
    where = f"address: {file.address}; a file put by hand would be found at {path}"
    return f"{known.name}: {file.name} {said}; {where}"


def _fetched(file: KnownFile, folder: Path, progress: FetchProgress | None) -> FetchedFile:
    path, first = folder / file.name, read_checksums(folder).get(file.name)
    if downloaded := not path.exists():
        if file.by_hand:
            raise CorpusError("can be had by hand only")
        path = _download(file, path, progress)
    digest, verified = _verify(file, path, first)
    if downloaded:
        path = _into_place(path, folder / file.name)
    if first != digest:
        _record(folder, file.name, digest)
    return FetchedFile(file.name, path, file.address, path.stat().st_size, digest, downloaded, verified)


def _download(file: KnownFile, path: Path, progress: FetchProgress | None) -> Path:
    part = path.with_name(path.name + ".part")

    def tell(done: int, total: int | None) -> None:
        if progress is not None:
            progress(file.name, done, file.size if total is None else total)

    try:
        download(file.address, part, file.size, tell)
    except CorpusError as error:
        raise CorpusError(f"could not be fetched: {error}") from None
    return part


def _verify(file: KnownFile, path: Path, first: str | None) -> tuple[str, str]:
    """The sha256 of a file, and what it was verified against; a part file that fails is removed."""
    size, digest = path.stat().st_size, sha256(path)
    if wrong := _difference(file, path, size, digest, first):
        if path.name.endswith(".part"):
            _remove(path)
            raise CorpusError(f"was fetched and thrown away: {wrong}")
        raise CorpusError(f"is there, but {wrong}; move it away to fetch it anew")
    stated = {"sha256": file.sha256, "md5": file.md5, "first fetch": first, "size": file.size}
    return digest, next((name for name, value in stated.items() if value is not None), "")


def _difference(file: KnownFile, path: Path, size: int, digest: str, first: str | None) -> str | None:
    if file.size is not None and size != file.size:
        return f"it has {size:,} bytes and not the {file.size:,} that are stated"
    if file.sha256 is not None and digest != file.sha256:
        return f"its sha256 is {digest} and not {file.sha256}"
    if file.md5 is not None and (found := _md5(path)) != file.md5:
        return f"its md5 is {found} and not {file.md5}"
    if file.sha256 is None and file.md5 is None and first not in (None, digest):
        return f"its sha256 is {digest}, and {CHECKSUMS}, where you may strike it out, has {first} from the first fetch"
    return None


def _md5(path: Path) -> str:
    # An old sum that publishers state; it tells a torn file from a whole one, which is all that is asked of it here.
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _into_place(part: Path, path: Path) -> Path:
    flush(part)
    os.replace(part, path)
    flush(path.parent)
    note_of(part).unlink(missing_ok=True)
    return path


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def _record(folder: Path, name: str, digest: str) -> None:
    lines = [f"{known}  {file}\n" for file, known in sorted({**read_checksums(folder), name: digest}.items())]
    beside = folder / f".{CHECKSUMS}.tmp"
    beside.write_text("".join(lines), encoding="ascii")
    os.replace(beside, folder / CHECKSUMS)
