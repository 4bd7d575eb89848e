"""The panel: all simple experts by name, their points together, and how they did on the support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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

#: Points of queries and, without refitting, leave-one-out points of the support.
Fitted = dict[str, tuple[FloatArray, FloatArray]]

_FITTED = {"ridge": learners.ridge_parts, "gp": learners.gp_parts}

#: Where leave-one-out points come with less work than an expert a run.
_LEFT_OUT: dict[str, Expert] = {
    "theil_sen": simple.theil_sen_left_out,
    "trend": lambda a: simple.trend(replace(a, query=a.past)),
    "trend_shift": simple.trend_shift_left_out,
}

#: Support size from which leave-one-out points come in closed form.
CLOSED = 4


def fitted(a: Aligned, names: Sequence[str]) -> Fitted:
    """What `points` and `held_out` of the named experts both need, and is dear; nothing below `CLOSED`."""
    return {name: _FITTED[name](a) for name in _needed(names) if name in _FITTED and a.k >= CLOSED}


def points(a: Aligned, names: Sequence[str], known: Fitted | None = None) -> FloatArray:
    """Points of each named expert (med5 among them) for the queries; shape (u, Q, len(names)).

    Args:
        a: What is asked.
        names: Which.
        known: What `fitted` said of it, if that was asked.
    """
    known = known or {}
    return _table(names, {name: known[name][0] if name in known else EXPERTS[name](a) for name in _needed(names)})


def held_out(a: Aligned, names: Sequence[str], known: Fitted | None = None) -> FloatArray:
    """Leave-one-out points of the support by each named expert; shape (u, K, len(names)); needs K >= 2."""
    rest, known = a.leave_one_out(), fitted(a, names) if known is None else known

    def of(name: str) -> FloatArray:
        if name in known:
            return known[name][1]
        if a.k >= CLOSED and name in _LEFT_OUT:
            return _LEFT_OUT[name](a)
        return EXPERTS[name](rest).reshape(a.future.shape)

    return _table(names, {name: of(name) for name in _needed(names)})


def _needed(names: Sequence[str]) -> list[str]:
    wanted = {*names, *(MED5 if "med5" in names else ())} - {"med5"}
    return [name for name in EXPERTS if name in wanted]


def _table(names: Sequence[str], known: dict[str, FloatArray]) -> FloatArray:
    if "med5" in names:
        known["med5"] = np.median(np.stack([known[part] for part in MED5]), 0)
    return np.stack([known[name] for name in names], -1)
