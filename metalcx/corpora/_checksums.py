"""`CHECKSUMS` beside a corpus: the sha256 of its files, in the form that `sha256sum -c` reads."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from metalcx.corpora._format import FILES

CHECKSUMS = "CHECKSUMS"


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: str | Path) -> Path:
    """Write `CHECKSUMS` for the five files of a corpus folder; returns its path."""
    folder = Path(folder)
    target = folder / CHECKSUMS
    lines = [f"{sha256(folder / name)}  {name}\n" for name in FILES]
    beside = folder / f".{CHECKSUMS}.tmp"
    beside.write_text("".join(lines), encoding="ascii")
    os.replace(beside, target)
    return target


def read_checksums(folder: str | Path) -> dict[str, str]:
    """File -> sha256 as `CHECKSUMS` states them; empty where there is no such file or line."""
    file = Path(folder) / CHECKSUMS
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    found = (re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in lines)
    return {match[2]: match[1] for match in found if match}


def checksum_problems(folder: str | Path) -> list[tuple[str, str]]:
    """(file, message) of every file that is not what `CHECKSUMS` states; none where nothing is stated."""
    folder = Path(folder)
    stated = read_checksums(folder)
    if (folder / CHECKSUMS).is_file() and not set(FILES) <= set(stated):
        return [(CHECKSUMS, f"states no sha256 of {sorted(set(FILES) - set(stated))}; write it again")]
    return [
        (name, f"its sha256 is not the one in {CHECKSUMS}; restore the file, or write the checksums again")
        for name, digest in stated.items()
        if name in FILES and (not (folder / name).is_file() or sha256(folder / name) != digest)
    ]
