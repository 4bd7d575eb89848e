"""Forecasts that are asked for, as rows that a learned model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.forecasters._aligned import Aligned, align
from metalcx.forecasters._gate_inputs import GateInputs, gate_inputs
from metalcx.forecasters._memory import remembered


@dataclass(frozen=True)
class Requests:
    """b requests; see `GateInputs`.

    Attributes:
        x: Features, shape (b, N_FEATURES).
        offsets: Experts' points less the centre, in anchors, shape (b, len(GATED)).
        centre: Oriented, shape (b, 1).
        anchor: Unit of answers, oriented, positive, shape (b, 1).
    """

    x: FloatArray
    offsets: FloatArray
    centre: FloatArray
    anchor: FloatArray

    @classmethod
    def of(cls, rows: Mapping[str, FloatArray], first: int = 0) -> Requests:
        """Those of `rows_of` from `first` on."""
        x, offsets, centre, anchor = (rows[name][first:] for name in ("x", "offsets", "centre", "anchor"))
        return cls(x, offsets, centre[:, None], anchor[:, None])

    def values(self, scaled: FloatArray) -> FloatArray:
        """From anchors around the centre, shape (b, ...), to oriented values."""
        return self.centre + self.anchor * scaled


@remembered
def requests(support: PaddedCurves, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray) -> Requests:
    """Describe forecasts of queries `rows` of `prefix` at `times`, both of shape (b,)."""
    a = align(support, prefix, rows, times)
    return Requests.of(rows_of(a, gate_inputs(a)))


def rows_of(a: Aligned, inputs: GateInputs) -> dict[str, FloatArray]:
    """What the gate reads of each row of an alignment, by name."""
    return {name: a.rows(getattr(inputs, name)) for name in ("x", "offsets", "centre", "anchor")}
