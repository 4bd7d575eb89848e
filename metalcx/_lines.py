"""Files of JSON lines to which processes append at once and of which a kill spoils at most the last line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metalcx._json import loads
from metalcx.errors import DataError

_PIECE = 1 << 12


def append_lines(path: str | Path, items: Iterable[Mapping[str, Any]]) -> None:
    """Write a line an item at the end, all or none of them, and so that those of two processes do not mix.

    What a writer that was cut off left of a last line goes.

    Raises:
        DataError: If the file cannot be written.
    """
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode()
    if not lines:
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            _lock(handle)
            _append(handle, lines)
        finally:
            os.close(handle)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose a place that you may write to") from None


def _lock(handle: int) -> None:
    """Keep others out until the file is closed, where the system knows how."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
    except (ImportError, OSError):
        return


def _append(handle: int, lines: bytes) -> None:
    """All of `lines` behind the last whole line, or nothing: a full disk takes the first half of a line."""
    size = os.fstat(handle).st_size
    tail = _tail(handle, size)
    if tail and not _is_object(tail):
        size -= len(tail)
        os.ftruncate(handle, size)
    lines = b"\n" + lines if tail and _is_object(tail) else lines
    try:
        if os.write(handle, lines) < len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(handle, size)
        raise


def _tail(handle: int, size: int) -> bytes:
    """What stands behind the last line's end: of a writer that was cut off, or a person's last line."""
    tail = b""
    while size > 0 and b"\n" not in tail:
        start = max(0, size - _PIECE)
        tail, size = _read_at(handle, start, size - start) + tail, start
    return tail.rpartition(b"\n")[2]


def _read_at(handle: int, start: int, n: int) -> bytes:
    os.lseek(handle, start, os.SEEK_SET)
    return os.read(handle, n)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(loads(line.decode("utf-8")), dict)
    except ValueError:
        return False


def read_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line; nothing if there is no file. A last line cut off by a kill is left out.

    One that lacks only its line break is whole: `append_lines` keeps it too.

    Raises:
        DataError: Names the file and the line that is no JSON object.
    """
    try:
        *lines, last = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file that you may read") from None
    for number, line in enumerate([*lines, last] if _is_object(last) else lines, 1):
        if not line.strip():
            continue
        try:
            held = loads(line.decode("utf-8"))
        except ValueError as error:
            raise bad_line(path, number, error) from None
        if not isinstance(held, dict):
            raise bad_line(path, number, "holds no JSON object")
        yield number, held


def bad_line(path: str | Path, number: int, why: object) -> DataError:
    """The error that names a line."""
    return DataError(f"{path}, line {number}: {why}; delete that line, or give another file")
