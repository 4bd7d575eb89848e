"""One vocabulary for the operations of all search spaces: each is described by what its word and attributes say."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalcx.graphs._lexicon import FILLERS, KINDS, LETTERS, NAMED, SIZES, TEXTS, TRAITS

_HASHED = tuple(f"word_{i}" for i in range(8))

FEATURES: tuple[str, ...] = (*KINDS, *TRAITS, "shared", *SIZES, *_HASHED)
"""The columns of `describe`: kinds and traits (0 or 1), ``shared``, sizes, and a hash of what is not known."""

_LARGEST = 4.0
_LONGEST = 200  # characters of a text that are read
_NOTHING = ("none", "linear", "identity")  # as the value of an attribute: no activation, no norm
_KERNEL = re.compile(r"(\d+)x(\d+)")
_LETTERED = re.compile(rf"(?<![^\W\d_])([{''.join(LETTERS)}])(\d+(?:\.\d+)?)(?![^\W_])")
_DIMENSIONS = re.compile(r"(?<=[^\W\d_])[123]d(?![^\W\d_])", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LETTER_RUN = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]*[a-z]+|[A-Z]+|.")


def _columns() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {part: set() for part in FILLERS.split()}
    for column, parts in (KINDS | TRAITS).items():
        for part in parts.split():
            found.setdefault(part, set()).add(column)
    return {part: frozenset(columns) for part, columns in found.items()}


_COLUMNS = _columns()
_NAMED = frozenset(NAMED.split())
_ALIASES = {alias: size for size, (aliases, _) in SIZES.items() for alias in aliases.split()}


def describe(nodes: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    """The operations of a graph by their attributes, the same columns for every search space.

    What an operation is, is read off the parts of its word (``sep_conv_5x5`` is a separable convolution with a kernel
    of 5, ``lif1.0_conv3x3`` a spiking one) and off its attributes, which override the word. Of a word, or a part of
    it, that is not known, a hash is in the last columns, so that two such words differ; an operation of which no
    part is known is of the kind ``other``. No node is refused: attributes that are not known or make no sense are
    left out, a size that is not known is 0.

    Args:
        nodes: Dicts as in `ArchGraph.nodes`; of several graphs one after the other if you like.

    Returns:
        Of shape (nodes, len(FEATURES)), columns as in `FEATURES`. Kinds and traits are 0 or 1; a size x is
        log2(1 + x), scaled per column and at most 4; hashed columns are in [-1, 1].
    """
    rows = b"".join([_row(node) for node in nodes])
    return np.frombuffer(rows, np.float32).reshape(len(nodes), len(FEATURES)).copy()


def _row(node: Mapping[str, Any]) -> bytes:
    try:
        return _remembered(tuple(node.items()))
    except TypeError:  # a list among the attributes
        return _written(node)


@lru_cache(maxsize=1 << 16)
def _remembered(items: tuple[tuple[str, Any], ...]) -> bytes:
    return _written(dict(items))


def _written(node: Mapping[str, Any]) -> bytes:
    marks, written, unknown = _read(_text(node))
    sizes = written | _attributes(node)
    sizes.setdefault("kernel_width", sizes.get("kernel", 0.0))
    row = dict.fromkeys(marks if marks & KINDS.keys() else marks | {"other"}, 1.0)
    row |= {size: min(math.log2(1 + value) / SIZES[size][1], _LARGEST) for size, value in sizes.items()}
    row |= {"shared": 1.0} if _size(node.get("shared")) == 1 else {}
    row |= zip(_HASHED, _hashed(unknown), strict=True)
    return np.array([row.get(column, 0.0) for column in FEATURES], np.float32).tobytes()


def _text(node: Mapping[str, Any]) -> str:
    """The word, and attributes that are words."""
    texts = [text for text in map(node.get, TEXTS) if isinstance(text, str) and text.lower() not in _NOTHING]
    word = node.get("op")
    return " ".join([word if isinstance(word, str) else "", *texts])[:_LONGEST]


def _attributes(node: Mapping[str, Any]) -> dict[str, float]:
    """Sizes that the attributes give; of a list the first side, and the last is the width of a kernel."""
    found: dict[str, float] = {}
    for key, value in node.items():
        sides = value if isinstance(value, (list, tuple)) and value else [value]
        ends = [_size(sides[0]), _size(sides[-1])]
        name = _ALIASES.get(key) if isinstance(key, str) else None
        if name is not None and ends[0] is not None:
            found[name] = ends[0]
            if name == "kernel" and len(sides) > 1 and ends[1] is not None:
                found["kernel_width"] = ends[1]
    return found


def _size(value: Any) -> float | None:
    """A number from 0 on, as large as floats go; None for anything else."""
    if not isinstance(value, (int, float)) or not value >= 0 or value == math.inf:
        return None
    return float(min(value, 1e300))


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[frozenset[str], dict[str, float], list[str]]:
    """Columns that a text marks, sizes that it gives, and parts of it that are not known."""
    sizes, rest = _numbers(text)
    parts = [part for run in _LETTER_RUN.findall(rest) for part in _parts(run)]
    marks = frozenset[str]().union(*(_COLUMNS.get(part, ()) for part in parts))
    unknown = [part for part in parts if part not in _COLUMNS or part in _NAMED]
    return marks, sizes, unknown if parts else [text]  # signs alone are a word as well


def _numbers(text: str) -> tuple[dict[str, float], str]:
    """Sizes written into a word, and the word without its numbers."""
    sizes: dict[str, float] = {}
    kernels = [(float(a), float(b)) for a, b in _KERNEL.findall(text)]
    if kernels:
        sizes = {"kernel": max(a for a, _ in kernels), "kernel_width": max(b for _, b in kernels)}
        # conv_7x1_1x7 is two layers.
        sizes |= {"layers": float(len(kernels))} if len(kernels) > 1 else {}
    text = _DIMENSIONS.sub(" ", _KERNEL.sub(" ", text))
    sizes |= {LETTERS[letter]: float(number) for letter, number in _LETTERED.findall(text)}
    text = _LETTERED.sub(" ", text)
    level = _NUMBER.search(text)
    return sizes | ({"level": float(level[0])} if level else {}), _NUMBER.sub(" ", text)


def _parts(run: str) -> Iterable[str]:
    """Known parts that make up a run of letters (maxpool, ConvBNReLU); else those of its humps, known or not."""
    whole = _cover(run.lower())
    humps = [] if whole else [hump.lower() for hump in _CAMEL.findall(run)]
    return whole or (part for hump in humps for part in _cover(hump) or [hump])


def _cover(letters: str) -> list[str]:
    """Known parts that put together are these letters, the longest first part winning; none where there are none."""
    reached: dict[int, list[str]] = {0: []}
    for start in range(len(letters)):
        for end in range(len(letters), start, -1) if start in reached else ():
            if letters[start:end] in _COLUMNS:
                reached.setdefault(end, [*reached[start], letters[start:end]])
    return reached.get(len(letters), [])


def _hashed(parts: Sequence[str]) -> list[float]:
    if not parts:
        return [0.0] * len(_HASHED)
    digest = hashlib.blake2b(" ".join(parts).encode("utf-8", "replace"), digest_size=len(_HASHED)).digest()
    return [byte / 127.5 - 1 for byte in digest]
