"""What a file may ask for at most: bytes at once, opcodes, and the size and depth of what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from metalcx.corpora.importers._pickle_names import RefusedError


@dataclass(frozen=True)
class Limits:
    """What a file may ask for at most.

    Attributes:
        text: Bytes of one text, number or array.
        opcodes: Instructions of one pickle.
        depth: Containers within containers.
        values: Values of the result, those that are shared counted once for each place they stand in.
    """

    text: int = 1 << 30
    opcodes: int = 1 << 32
    depth: int = 64
    values: int = 1 << 31


class Bounded:
    """A stream that gives no more at once than one value may have, and never asks for memory before it has data."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit, self._at = stream, limit, 0

    def read(self, n: int) -> bytes:
        """The next `n` bytes."""
        if not 0 <= n <= self._limit:
            raise RefusedError(f"a value of {n} bytes is announced, more than the limit of {self._limit}")
        if n <= 1 << 20:
            data = self._stream.read(n)
            self._at += len(data)
            return data
        parts: list[bytes] = []
        left = n
        while left and (part := self._stream.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        self._at += n - left
        return b"".join(parts)

    def readline(self) -> bytes:
        """The next line."""
        line = self._stream.readline(min(self._limit, 1 << 24))
        self._at += len(line)
        return line

    def tell(self) -> int:
        """Bytes read so far."""
        return self._at


def check_size(value: Any, limits: Limits) -> None:
    """Refuse a value that holds itself, is nested too deep, or is huge once shared parts are written out.

    Raises:
        RefusedError: If so.
    """
    known: dict[int, tuple[int, int]] = {}  # of each finished container: values in it, and its depth
    open_: set[int] = set()
    todo = [value]
    while todo:
        container = todo[-1]
        parts = _parts(container)
        waiting = [] if id(container) in open_ else [part for part in parts if id(part) not in known]
        if any(part is container or id(part) in open_ for part in waiting) or len(open_) > limits.depth:
            raise RefusedError(f"a container holds itself, or more than {limits.depth} are nested")
        if waiting:
            open_.add(id(container))
            todo += waiting
            continue
        todo.pop()
        open_.discard(id(container))
        inner = [known[id(part)] for part in parts if id(part) in known]
        size = sum((size for size, _ in inner), _count(container))
        depth = 1 + max((depth for _, depth in inner), default=0)
        if size > limits.values or depth > limits.depth:
            raise RefusedError(
                f"it unfolds to more than {limits.values} values, or is nested deeper than {limits.depth}"
            )
        known[id(container)] = size, depth


def _parts(value: Any) -> list[Any]:
    if type(value) is dict:
        return [part for part in value.values() if type(part) in (dict, list, tuple)]
    return [part for part in value if type(part) in (dict, list, tuple)] if type(value) in (list, tuple) else []


def _count(value: Any) -> int:
    return 1 + (len(value) if type(value) in (dict, list, tuple) else 0)
