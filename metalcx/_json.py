"""JSON that others wrote, read with distrust."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str, constants: bool = False) -> Any:
    """What a JSON text says.

    Args:
        text: The text.
        constants: Whether NaN and Infinity are read, which are no JSON, but which many programs write.

    Raises:
        ValueError: If it is no JSON, nested too deeply, holds a number too large, or names a key of an object twice,
            of which readers take one or the other.
    """
    try:
        if constants:
            return json.loads(text, object_pairs_hook=_object)
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r:.60} stands there twice")
        found[name] = value
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.20} is larger than any number")
    return number


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON; use null")
