"""What a Parquet file says of its own pages, read before pyarrow allocates what they ask for.

pyarrow makes room for a page of whatever size its header states, so that a file of a few hundred bytes fills gigabytes,
and it ends the whole process when statistics in a footer contradict each other and are asked for. Here footer and page
headers are read as they are, in Thrift's compact protocol (``parquet.thrift`` of apache/parquet-format gives the
numbers of the fields), and a file whose pages do not fit into it is refused.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

#: Bytes of a page at most, once unpacked. Writers aim at one megabyte, and a cell of text may make it longer.
MAX_PAGE = 1 << 28
#: Bytes of a footer at most.
MAX_FOOTER = 1 << 27
_HEADER = 1 << 16


class Chunk(NamedTuple):
    """A column of a row group: its name, where its pages are, and its least and largest value as bytes, if stated."""

    column: str
    start: int
    size: int
    values: int
    least: bytes | None
    largest: bytes | None


Groups = tuple[tuple[Chunk, ...], ...]


@dataclass(frozen=True)
class _Opened:
    """An open file; the same file opened again is equal, so that what was read of it is known.

    What is at its path may be another one by now: a corpus is replaced while others read it.
    """

    size: int
    identity: tuple[int, int, int]
    file: IO[bytes] = field(compare=False)


def row_groups(file: IO[bytes]) -> Groups:
    """The chunks of each row group of an open Parquet file, as its footer states them.

    Raises:
        ValueError: If it has no whole footer.
        OSError: If it cannot be read.
    """
    return _row_groups(_opened(file))


def check_pages(file: IO[bytes], group: int | None = None, column: str | None = None) -> None:
    """See that the pages of a row group and column, or of all, are inside their chunks and of ordinary size.

    Raises:
        ValueError: If one is not.
        OSError: If the file cannot be read.
    """
    opened = _opened(file)
    for number in range(len(_row_groups(opened))) if group is None else (group,):
        _check_group(opened, number, column)


def same_file(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one that stands at a path."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


def _opened(file: IO[bytes]) -> _Opened:
    found = os.fstat(file.fileno())
    return _Opened(found.st_size, (found.st_mtime_ns, found.st_dev, found.st_ino), file)


@lru_cache(maxsize=64)
def _row_groups(opened: _Opened) -> Groups:
    with _damaged():
        footer = _footer(opened.file, opened.size)
        return tuple(tuple(_chunk(column[3]) for column in group[1]) for group in footer[4])


@lru_cache(maxsize=4096)
def _check_group(opened: _Opened, group: int, column: str | None) -> None:
    with _damaged():
        for chunk in _row_groups(opened)[group]:
            if column is None or f"{chunk.column}.".startswith(f"{column}."):
                _check(opened.file, chunk, opened.size)


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    """What numbers and names that are not there raise, as an error that says what that means."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, RecursionError, UnicodeDecodeError):
        raise ValueError("its footer or a page's header is damaged") from None


def _footer(file: IO[bytes], size: int) -> dict[int, Any]:
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or length > min(size - 8, MAX_FOOTER):
        raise ValueError("it does not end in a footer")
    file.seek(size - 8 - length)
    return _Compact(file.read(length)).struct()


def _chunk(about: dict[int, Any]) -> Chunk:
    stated = about.get(12, {})
    start = min(about[9], about.get(11) or about[9])
    return Chunk(
        ".".join(name.decode("utf-8") for name in about[3]),
        start,
        about[7],
        about[5],
        stated.get(6, stated.get(2)),
        stated.get(5, stated.get(1)),
    )


def _check(file: IO[bytes], chunk: Chunk, size: int) -> None:
    place, end, left = chunk.start, chunk.start + chunk.size, chunk.values
    if not 4 <= place <= end <= size:
        raise ValueError("it lies outside of the file")
    while left > 0 and place < end:
        file.seek(place)
        header = _Compact(file.read(_HEADER))
        about = header.struct()
        unpacked, packed = about[2], about[3]
        place += header.at + packed
        if packed < 0 or place > end or not 0 <= unpacked <= MAX_PAGE:
            raise ValueError(f"a page states {packed} bytes, unpacked {unpacked}")
        left -= about.get(5, about.get(8, {})).get(1, 0)


class _Compact:
    """Values of Thrift's compact protocol, one after another: integers, bytes, lists, and structs by number."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._signed()
            found[number] = head & 15 == 1 if head & 15 in (1, 2) else self._value(head & 15)
        return found

    def _value(self, kind: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._byte()
            return [self._value(head & 15) for _ in range(self._count(head >> 4 if head >> 4 < 15 else self._varint()))]
        if kind == 11:
            n = self._count(self._varint())
            kinds = self._byte() if n else 0
            return [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(n)]
        if kind == 12:
            return self.struct()
        raise ValueError("its footer or a page's header is damaged")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, n: int) -> bytes:
        self.at += self._count(n)
        return self.data[self.at - n : self.at]

    def _count(self, n: int) -> int:
        if n > len(self.data) - self.at:
            raise ValueError("its footer or a page's header is damaged")
        return n

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 63:
                return found

    def _signed(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
