"""Invertible scaling of values: inside a forecaster everything is oriented, centred and free of units."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metalcx.curves._batch import FloatArray
from metalcx.curves._metric import Metric


@dataclass(frozen=True, slots=True)
class Scaling:
    """``scaled = (sign * value - centre) / unit``, so that higher is better and 1 is a typical step.

    `unit` is rounded to a power of two and the sign is exact, so dividing and multiplying by them
    loses nothing: `inverse(forward(x))` equals x to the last bit where `centre` is 0, and to
    rounding of the subtraction elsewhere. An increasing set of scaled quantiles of a ``min`` metric
    comes back decreasing: `quantiles` restores their order.
    """

    sign: float = 1.0
    centre: float = 0.0
    unit: float = 1.0

    @classmethod
    def of(cls, metric: Metric, centre: float = 0.0, unit: float = 1.0) -> Scaling:
        """Scaling for values of `metric` around `centre` (in the metric's own unit)."""
        usable = unit > 0 and math.isfinite(unit)
        return cls(metric.sign, metric.sign * centre, 2.0 ** min(round(math.log2(unit)), 1023) if usable else 1.0)

    def forward(self, values: FloatArray) -> FloatArray:
        """Metric's unit -> scaled; same shape."""
        return (self.sign * values - self.centre) / self.unit

    def inverse(self, scaled: FloatArray) -> FloatArray:
        """Scaled -> metric's unit; same shape."""
        return self.sign * (scaled * self.unit + self.centre)

    def quantiles(self, scaled: FloatArray) -> FloatArray:
        """Scaled quantiles, ascending along the last axis at symmetric levels -> ascending in the metric's unit."""
        values = self.inverse(scaled)
        return values[..., ::-1] if self.sign < 0 else values
