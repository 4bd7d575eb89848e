"""The panel: all simple experts by name, their points together, and how they did on the support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metalcx.curves._batch import FloatArray
from metalcx.forecasters import _experts as simple
from metalcx.forecasters import _learners as learners
from metalcx.forecasters._aligned import Aligned
from metalcx.forecasters._experts import Expert

#: Every expert but med5, which is made of others.
EXPERTS: dict[str, Expert] = {
    f.__name__: f
    for f in (
        simple.last,
        simple.best,
        simple.shift,
        simple.smooth,
        simple.median,
        simple.affine,
        simple.theil_sen,
        simple.trend,
        simple.trend_shift,
        simple.ratio,
        learners.ridge,
        learners.gp,
        learners.neighbours,
        learners.match,
    )
}

#: What med5 is the median of: the best control that uses no source data.
MED5 = ("affine", "shift", "theil_sen", "gp", "ridge")

#: Where leave-one-out points come without refitting.
_CLOSED_FORM = {"ridge": learners.ridge_parts, "gp": learners.gp_parts}


def points(a: Aligned, names: Sequence[str]) -> FloatArray:
    """Points of each named expert (med5 among them) for the queries; shape (u, Q, len(names))."""
    return _table(names, {name: EXPERTS[name](a) for name in _needed(names)})


def held_out(a: Aligned, names: Sequence[str]) -> FloatArray:
    """Leave-one-out points of the support by each named expert; shape (u, K, len(names)); needs K >= 2."""
    rest = a.leave_one_out()
    closed = a.k >= 4

    def of(name: str) -> FloatArray:
        if closed and name in _CLOSED_FORM:
            return _CLOSED_FORM[name](a)[1]
        return EXPERTS[name](rest).reshape(a.future.shape)

    return _table(names, {name: of(name) for name in _needed(names)})


def _needed(names: Sequence[str]) -> list[str]:
    wanted = {*names, *(MED5 if "med5" in names else ())} - {"med5"}
    return [name for name in EXPERTS if name in wanted]


def _table(names: Sequence[str], known: dict[str, FloatArray]) -> FloatArray:
    if "med5" in names:
        known["med5"] = np.median(np.stack([known[part] for part in MED5]), 0)
    return np.stack([known[name] for name in names], -1)
