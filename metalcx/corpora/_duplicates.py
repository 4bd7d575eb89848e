"""Runs whose curves are identical to the last bit: repeated exports, networks stuck at one class."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.errors import DataError

IntArray = npt.NDArray[np.int64]
_Bits = npt.NDArray[np.uint64]


def first_of_identical(curves: Curves, metrics: Iterable[str] | None = None) -> IntArray:
    """Position of the first run with the same curve (its own where there is none before), shape (n,).

    Curves are the same if their times and values are, NaN and infinities included; configuration, status and
    group do not matter.

    Args:
        curves: Runs of one task.
        metrics: Columns of `Curves.values` that must agree; the primary metric by default.

    Raises:
        DataError: If a column is not there.
    """
    names = [curves.metric.name] if metrics is None else list(metrics)
    missing = [name for name in names if name not in curves.values]
    if missing:
        raise DataError(f"no values {missing}; these curves hold {sorted(curves.values)}")
    columns = [_bits(column) for column in (curves.t, *(curves.values[name] for name in names))]
    first = _first_of_equal_hash(curves, columns)
    # Equal hashes are all but surely equal curves; the points themselves make it certain.
    differs = _differs(curves, columns, first)
    return np.where(differs, np.arange(len(curves)), first)


def duplicated(curves: Curves, metrics: Iterable[str] | None = None) -> npt.NDArray[np.bool_]:
    """Whether an earlier run has the same curve, shape (n,); ``curves.take(~duplicated(curves))`` keeps one of each."""
    return np.asarray(first_of_identical(curves, metrics) != np.arange(len(curves)))


def _first_of_equal_hash(curves: Curves, columns: list[_Bits]) -> IntArray:
    within = (np.arange(len(curves.t)) - curves.offsets[:-1][curves.owner]).astype(np.uint64)
    mixed = _mix(within)
    for column in columns:
        mixed = _mix(mixed ^ column)
    # Sums of unsigned integers wrap around, so differences of running sums are exact sums of each run.
    running = np.concatenate([[np.uint64(0)], np.cumsum(mixed, dtype=np.uint64)])
    total = running[curves.offsets[1:]] - running[curves.offsets[:-1]]
    key = _mix(total ^ _mix(curves.length.astype(np.uint64)))
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _differs(curves: Curves, columns: list[_Bits], first: IntArray) -> npt.NDArray[np.bool_]:
    length = curves.length
    differs: npt.NDArray[np.bool_] = np.asarray(length != length[first])
    owner = curves.owner[~differs[curves.owner]]
    points = np.flatnonzero(~differs[curves.owner])
    partner = points - curves.offsets[owner] + curves.offsets[first[owner]]
    for column in columns:
        differs[owner[column[points] != column[partner]]] = True
    return differs


def _bits(values: npt.NDArray[np.float64]) -> _Bits:
    """The bits of each value, one pattern for every NaN and one for both zeros."""
    plain = np.where(np.isnan(values), np.nan, values) + 0.0
    return np.asarray(plain, dtype=np.float64).view(np.uint64)


def _mix(x: _Bits) -> _Bits:
    """Finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): every bit in changes every bit out."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
