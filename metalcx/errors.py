"""Everything metalcx raises on purpose, under one root.

An error says what was wrong, where, and the mend. Errors about what a person handed in also inherit
`ValueError`, so that code which knows nothing of metalcx can catch them.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "CorpusError",
    "DataError",
    "LeakError",
    "MetalcxError",
    "MissingDependencyError",
    "ModelError",
    "name_some",
]


class MetalcxError(Exception):
    """Root of all errors raised by metalcx."""


class DataError(MetalcxError, ValueError):
    """Curves, tables or arguments that cannot be used as they are."""


class CorpusError(DataError):
    """A corpus folder that breaks the format: names the file, the row and the column."""


class LeakError(DataError):
    """A split that would let a target family, or a group, be seen on both sides."""


class ModelError(MetalcxError, ValueError):
    """A folder that is not a model, is incomplete, or does not fit what is asked of it."""


class MissingDependencyError(MetalcxError, ImportError):
    """An optional package is needed; the message gives the exact command that installs it."""


def name_some(items: Iterable[object], limit: int = 5) -> str:
    """Name up to `limit` offenders for an error message: ``'a', 'b' and 3 more``."""
    items = list(items)
    shown = ", ".join(_short(repr(getattr(item, "item", lambda item=item: item)())) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
