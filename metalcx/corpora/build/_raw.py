"""Rows of the three parts before anything is scaled, and what settings may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError

__all__ = ["Choice", "FloatArray", "Range", "Raw", "Rng", "Settings", "Sizes", "checked"]

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator
Settings = Mapping[str, Any]


class Sizes(NamedTuple):
    """Rows of each part."""

    train: int
    val: int
    test: int


@dataclass(frozen=True)
class Raw:
    """Training, validation and test rows in the units of their source, in this order.

    Attributes:
        x: Examples of each part, (n, d), (n, c, h, w) or (n, length, channels).
        y: Class numbers, or numbers to predict, of each part, shape (n,).
        n_classes: Classes; 0 for regression.
    """

    x: tuple[FloatArray, FloatArray, FloatArray]
    y: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
    n_classes: int


class Range(NamedTuple):
    """A number: its default and the least and largest that make sense; whole where the default is."""

    default: float
    low: float
    high: float

    def check(self, value: Any) -> Any:
        """`value`, or DataError."""
        kinds = (int,) if isinstance(self.default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.low <= value <= self.high:
            whole = "a whole number" if kinds == (int,) else "a number"
            raise DataError(f"is {value!r}; give {whole} from {self.low} to {self.high}")
        return value


class Choice(NamedTuple):
    """One of a few words or numbers, the first of them by default."""

    options: tuple[Any, ...]

    @property
    def default(self) -> Any:
        """What holds where nothing is said."""
        return self.options[0]

    def check(self, value: Any) -> Any:
        """`value`, or DataError."""
        if value not in self.options:
            raise DataError(f"is {value!r}; give one of {', '.join(map(str, self.options))}")
        return value


def checked(where: str, key: str, allowed: Range | Choice, value: Any) -> Any:
    """`value` where `allowed` allows it; otherwise DataError that names the section, the key and the mend."""
    try:
        return allowed.check(value)
    except DataError as error:
        raise DataError(f"{where}: {key} {error}") from None
