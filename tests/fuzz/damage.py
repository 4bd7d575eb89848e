"""Ways to damage a file: bytes changed, taken out, put in or repeated, parts of another file, words of its format."""

from __future__ import annotations

import random
from collections.abc import Sequence

ODD = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\xed\xa0\x80")


def damaged(seeds: Sequence[bytes], tokens: Sequence[bytes], random_state: random.Random) -> bytes:
    """One of `seeds` after one to four changes."""
    data = random_state.choice(seeds)
    for _ in range(random_state.choice((1, 1, 2, 4))):
        start = random_state.randint(0, len(data))
        stop = min(len(data), start + random_state.choice((0, 0, 1, 1, 4, 16, 64)))
        data = data[:start] + _instead(data, start, stop, seeds, tokens, random_state) + data[stop:]
    return data


def _instead(
    data: bytes, start: int, stop: int, seeds: Sequence[bytes], tokens: Sequence[bytes], random_state: random.Random
) -> bytes:
    """What comes in the place of ``data[start:stop]``."""
    kind = random_state.randrange(6)
    if kind == 0:
        return b""
    if kind == 1:
        return random_state.randbytes(random_state.choice((1, 1, 2, 8)))
    if kind == 2:
        return random_state.choice([*tokens, *ODD])
    if kind == 3 and stop > start:
        return bytes([data[start] ^ 1 << random_state.randrange(8)]) + data[start + 1 : stop]
    other = random_state.choice(seeds)
    at = random_state.randint(0, len(other))
    return other[at : at + random_state.choice((1, 8, 64))] * random_state.choice((1, 1, 2, 50))
