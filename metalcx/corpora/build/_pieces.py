"""Pieces of a build and their files: each finished piece is one `KEY.npz` that is whole or not there.

A piece is written beside its place, brought to the disk and only then given its name, so that whoever dies, at
whatever moment, leaves either no file of that name or a complete one. What dead writers leave has another name,
which no reader looks at and the next writer sweeps up.
"""

from __future__ import annotations

import os
import re
import secrets
import zipfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalcx._swap import flush
from metalcx._zip import NPZ_ERRORS
from metalcx.errors import CorpusError, DataError, MetalcxError, name_some

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Piece:
    """One unit of work of a build.

    Attributes:
        key: Name of its file: letters, digits, ``.``, ``_`` and ``-``, not starting with a sign. It has to change
            with everything that the result depends on, because a piece whose file is there is not run again.
        work: What the function is handed; anything that can be pickled. It is never read from disk.
    """

    key: str
    work: Any


def check_keys(pieces: Sequence[Piece]) -> None:
    """Refuse keys that are no file names, or that two pieces share.

    Raises:
        DataError: With the keys at fault.
    """
    wrong = [p.key for p in pieces if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", p.key)]
    if wrong:
        raise DataError(
            f"keys {name_some(wrong)} are no file names; use letters, digits, '.', '_' and '-', at most 200"
        )
    # Some file systems do not tell capital from small letters; there one of two would be taken for the other.
    counts = Counter(piece.key.lower() for piece in pieces)
    twice = [piece.key for piece in pieces if counts[piece.key.lower()] > 1]
    if twice:
        raise DataError(f"pieces share their keys, capitals aside: {name_some(twice)}; give each its own")


def piece_file(folder: Path, key: str) -> Path:
    """Where the result of the piece `key` stands once it is finished."""
    return folder / f"{key}.npz"


def write_piece(folder: Path, key: str, arrays: Arrays) -> None:
    """Write the result of a piece: afterwards the whole file is on the disk, or, after an error, none is.

    Raises:
        MetalcxError: If `arrays` holds anything but arrays of plain values.
        CorpusError: If the file cannot be written.
    """
    _check_arrays(key, arrays)
    part = folder / f".{key}.{secrets.token_hex(4)}.part"
    try:
        _write(part, arrays)
        os.replace(part, piece_file(folder, key))
        flush(folder)
    except OSError as error:
        raise CorpusError(
            f"{piece_file(folder, key)}: cannot be written ({error.strerror}); mend that and start again, "
            "what is finished is kept"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _write(part: Path, arrays: Arrays) -> None:
    # Not `np.savez`: it pickles objects, and has no room for arrays of the names of its own arguments.
    with part.open("xb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = _count(arrays)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _count(arrays: Collection[str]) -> bytes:
    """Stands in the archive's comment: a damaged list of contents may otherwise end early unnoticed."""
    return b"%d arrays" % len(arrays)


def _check_arrays(key: str, arrays: Arrays) -> None:
    if not isinstance(arrays, dict):
        raise piece_error(key, f"its function gave {type(arrays).__name__}, not a dict of arrays")
    plain = (str(n) for n, a in arrays.items() if not isinstance(a, np.ndarray) or a.dtype.hasobject)
    wrong = name_some(plain)
    if wrong:
        raise piece_error(key, f"what its function gave as {wrong} is no array of numbers, booleans or text")


def read_piece(folder: Path, key: str) -> Arrays:
    """The arrays of a finished piece.

    Raises:
        CorpusError: If the piece is not finished, or its file is damaged.
    """
    path = piece_file(folder, key)
    try:
        with np.load(path, allow_pickle=False) as found:
            if found.zip.comment != _count(found.files):
                raise ValueError("some of its arrays are missing")
            return {name: found[name] for name in found.files}
    except FileNotFoundError:
        raise CorpusError(f"{path}: there is no such file, this piece is not finished; run the build again") from None
    except NPZ_ERRORS as error:
        raise CorpusError(
            f"{path}: damaged ({error!s:.99}); remove it and build again, it alone is made anew"
        ) from error


def sweep(folder: Path) -> None:
    """Remove what dead writers left (nobody else writes there)."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def piece_error(key: str, text: str) -> MetalcxError:
    """The error that ends a build because of one piece."""
    return MetalcxError(f"piece {key!r}: {text}; mend it and start again, the pieces that are finished are kept")
