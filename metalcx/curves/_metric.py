"""A metric is declared, never guessed from its name."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError

FloatArray = npt.NDArray[np.float64]


def _is_finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, direction and bounds of what a curve measures.

    Args:
        name: Column name, such as ``val_loss``.
        goal: ``"max"`` if higher is better, ``"min"`` if lower is better.
        lower: Smallest possible value, or None where there is none.
        upper: Largest possible value, or None where there is none.
        unit: Free text such as ``fraction`` or ``nat``.

    Raises:
        DataError: On an unknown goal, or bounds that are not numbers in ascending order.
    """

    name: str
    goal: Literal["max", "min"]
    lower: float | None = None
    upper: float | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise DataError("a metric needs a name, as in val_loss:min:0")
        if self.goal not in ("max", "min"):
            raise DataError(f"metric {self.name!r}: goal {self.goal!r} is unknown; declare 'max' or 'min'")
        for side in ("lower", "upper"):
            value = getattr(self, side)
            if value is not None and not isinstance(value, numbers.Real):
                raise DataError(f"metric {self.name!r}: {side} bound {value!r} is not a number; leave it out instead")
            if value is not None and not _is_finite(value):
                raise DataError(f"metric {self.name!r}: {side} bound {value!r} is not finite; leave it out instead")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise DataError(
                f"metric {self.name!r}: lower bound {self.lower} is not below upper bound {self.upper}; leave one out"
            )

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Read ``name:goal[:lower[:upper]]``, as on the command line.

        An empty bound means none: ``accuracy:max::1``.
        """
        name, *rest = text.split(":")
        if not rest:
            raise DataError(f"metric {text!r} has no goal; write name:goal[:lower[:upper]], as in val_loss:min:0")
        if len(rest) > 3:
            raise DataError(
                f"metric {text!r} has too many parts; write name:goal[:lower[:upper]], as in val_loss:min:0"
            )
        try:
            bounds = [float(part) if part else None for part in rest[1:]] + [None, None]
        except ValueError:
            raise DataError(f"metric {text!r}: a bound is not a number; write name:goal[:lower[:upper]]") from None
        return cls(name, rest[0], bounds[0], bounds[1])  # type: ignore[arg-type]

    def __str__(self) -> str:
        """``name:goal[:lower[:upper]]``, as `parse` reads it; a unit follows in brackets."""
        bounds = ["" if bound is None else repr(float(bound)) for bound in (self.lower, self.upper)]
        text = ":".join([self.name, self.goal, *bounds]).rstrip(":")
        return text if self.unit is None else f"{text} ({self.unit})"

    @property
    def sign(self) -> float:
        """+1 where higher is better, -1 where lower is."""
        return 1.0 if self.goal == "max" else -1.0

    @property
    def worst(self) -> float:
        """The value of a diverged run: the bound in the bad direction, or an infinity."""
        bound = self.lower if self.goal == "max" else self.upper
        return -self.sign * math.inf if bound is None else bound

    def mirrored(self) -> Metric:
        """The metric of the negated values: the other goal, the bounds swapped and negated."""
        lower = None if self.upper is None else -self.upper
        upper = None if self.lower is None else -self.lower
        return replace(self, goal="min" if self.goal == "max" else "max", lower=lower, upper=upper)

    def clip(self, values: FloatArray) -> FloatArray:
        """`values` moved inside the bounds; same shape."""
        if self.lower is None and self.upper is None:
            return values
        return np.asarray(np.clip(values, self.lower, self.upper), dtype=np.float64)

    def outside(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Where finite `values` break the bounds by more than rounding of single precision."""
        values = np.asarray(values, dtype=np.float64)
        bad = np.zeros(values.shape, dtype=bool)
        for bound, side in ((self.lower, -1.0), (self.upper, 1.0)):
            if bound is not None:
                bad |= side * (values - bound) > 1e-6 * max(1.0, abs(bound))
        return np.asarray(bad & np.isfinite(values), dtype=np.bool_)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the form of `corpus.json`."""
        return {"name": self.name, "goal": self.goal, "lower": self.lower, "upper": self.upper, "unit": self.unit}
