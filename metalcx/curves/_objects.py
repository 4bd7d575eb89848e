"""Anything at all in one row: of ids that are tuples numpy would make a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


def objects(values: Iterable[Any]) -> npt.NDArray[np.object_]:
    """`values` as an object array of shape (n,), each as it is; an array that is one already is not copied."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        return values.astype(object, copy=False)
    items = list(values)
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array
