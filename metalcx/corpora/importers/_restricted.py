"""Published pickles and torch files, read without running anything they name.

What comes out are dicts, lists, tuples, sets, numbers, text, bytes and numpy arrays of numbers or text. Whatever else a
file asks for is refused, with the opcode and its position; a file of a few bytes cannot ask for much memory or time.
"""

from __future__ import annotations

import bz2
import os
from pathlib import Path
from typing import Any, BinaryIO

from metalcx.corpora.importers._pickle_limits import Limits
from metalcx.corpora.importers._pickle_machine import Machine
from metalcx.corpora.importers._pickle_names import RefusedError
from metalcx.corpora.importers._torch_files import MAGIC, read_legacy, read_zip
from metalcx.errors import DataError

#: A packed file may unpack to this many times its size, and a little more.
_RATIO, _SPARE = 200, 1 << 24


class _Unpacked:
    """A bz2 stream that stops at a limit, so that a file of a few bytes does not become a full memory."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, n: int = -1) -> bytes:
        return self._count(self._stream.read(n))

    def readline(self, n: int = -1) -> bytes:
        return self._count(self._stream.readline(n))

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise RefusedError(f"it unpacks to more than {_RATIO} times its size")
        return data


def load_plain(path: Path, limits: Limits | None = None) -> Any:
    """The plain value in a pickle (as it is, or packed by bz2) or in a file of `torch.save`, told apart by content.

    Args:
        path: The file.
        limits: What it may ask for at most.

    Raises:
        DataError: If it holds anything but plain values, breaks a limit, is damaged or cannot be read.
    """
    limits = limits or Limits()
    try:
        return _load(path, limits)
    except RefusedError as refused:
        raise DataError(f"{path}: is not read, because it is not plain data: {refused}") from None
    except (EOFError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason!s:.100}); give the file as it was published") from None


def _load(path: Path, limits: Limits) -> Any:
    unpacked = _RATIO * os.path.getsize(path) + _SPARE
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head == b"PK\x03\x04":
            return read_zip(path, limits, unpacked)
        if head.startswith(b"BZh"):
            with bz2.open(file) as packed:
                return _alone(_Unpacked(packed, unpacked), limits)  # type: ignore[arg-type]
        return _alone(file, limits)


def _alone(stream: BinaryIO, limits: Limits) -> Any:
    """The only value of a stream; the magic number says that a torch file of the older format follows."""
    value = Machine(limits=limits).run(stream)
    if type(value) is int and value == MAGIC:
        return read_legacy(stream, limits)
    if stream.read(1):
        raise RefusedError("there is more after its end")
    return value
