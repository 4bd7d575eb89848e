"""What one model computed from its inputs alone, kept for other models that are asked the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import numpy as np

from metalcx.curves import PaddedCurves

P = ParamSpec("P")
T = TypeVar("T")

_kept: ContextVar[dict[bytes, Any] | None] = ContextVar("kept", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Keep results of `remembered` functions until the block ends: judging many models then costs little more than one.

    Memory grows with what is asked; nobody may change an array that such a function returns.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """A pure function of curves and arrays that computes nothing twice within `remembering`."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        kept = _kept.get()
        if kept is None or kwargs:
            return function(*args, **kwargs)
        key = _digest(function.__qualname__, args)
        if key not in kept:
            kept[key] = function(*args, **kwargs)
        found: T = kept[key]
        return found

    return wrapper


def _digest(name: str, args: tuple[Any, ...]) -> bytes:
    digest = hashlib.blake2b(name.encode())
    for arg in args:
        parts = (arg.t, arg.y, arg.length, arg.diverged) if isinstance(arg, PaddedCurves) else (np.asarray(arg),)
        for part in parts:
            digest.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    return digest.digest()
