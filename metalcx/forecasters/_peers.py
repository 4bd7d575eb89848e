"""The support as a query sees it: how far each run is from it, what was missed of it, and where it went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import BoolArray, FloatArray, IntArray
from metalcx.forecasters._aligned import Aligned, Shapes
from metalcx.forecasters._gate_inputs import GateInputs
from metalcx.forecasters._traits import Traits

#: Distances by which support runs are told apart: level at the cut, shape of the prefix, configuration, architecture.
RELATIONS = ("level", "shape", "config", "arch")

#: Those that the curves do not tell.
BESIDE = ("config", "arch")

#: Places after the cut at which a support run's course is read, in units of log time (`_ode_inputs.log_time`).
COURSE = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Peers:
    """K support runs beside each of b requests.

    Attributes:
        relation: Distances, at least 0, 0 where one of both is not known, shape (b, K, len(RELATIONS)).
        missed: By how much each came out above what med5 said of it, in anchors, shape (b, K).
        evidence: How much of what was missed runs of like configuration, or architecture, tell of each other: 1 for
            all, 0 for nothing, below 0 for worse than that, shape (b, len(BESIDE)).
        known: Whether configuration, or architecture, can be compared, shape (b, len(BESIDE)).
    """

    relation: FloatArray
    missed: FloatArray
    evidence: FloatArray
    known: FloatArray


@dataclass(frozen=True)
class Distances:
    """How far support runs are from queries, and from each other, but for their curves.

    Attributes:
        between: Shape (b, K, len(BESIDE)), 0 where one of both is not known.
        known: Whether a query, and two support runs at least, are known, shape (b, len(BESIDE)).
        within: Between the support runs of each of the u pairs, shape (u, K, K, len(BESIDE)); u = 1 if alike for all.
    """

    between: FloatArray
    known: BoolArray
    within: FloatArray

    @classmethod
    def of(cls, query: Traits, support: Traits, rows: IntArray) -> Distances:
        """Those of requests, the bth about query `rows[b]`."""
        known = np.stack([comparable(query, support, name) for name in BESIDE], -1)
        return cls(distances(query, support)[rows], known[rows], distances(support, support)[None])


def peers(a: Aligned, inputs: GateInputs, beside: Distances) -> Peers:
    """Bring the support to each of b requests.

    Args:
        a: Curves of both.
        inputs: What the gate knows of them.
        beside: What their curves do not tell.
    """
    missed = inputs.missed[a.place[0]] / a.rows(inputs.anchor)[:, None]
    told = np.stack([evidence(inputs.missed, beside.within[..., i]) for i in range(len(BESIDE))], -1)
    return Peers(
        np.concatenate([a.rows(_curve_distances(a)), beside.between], -1),
        np.arcsinh(np.clip(missed, -20.0, 20.0)),
        told[a.place[0]] * beside.known,
        beside.known.astype(np.float64),
    )


def distances(one: Traits, other: Traits) -> FloatArray:
    """Root mean squared difference of configurations and of architectures, shape (n, K, len(BESIDE)).

    Architectures are compared in units of the typical distance in `other`; those that are not known are at 0.
    """
    arch = rms(one.arch, other.arch)
    typical = _typical(rms(other.arch, other.arch), other.known)
    both = one.known[:, None] & other.known
    placed = one.placed[:, None] & other.placed
    config = rms(one.points, other.points) if one.points.shape[1] == other.points.shape[1] else np.zeros(placed.shape)
    return np.stack([np.where(placed, config, 0.0), np.where(both, np.arcsinh(arch / typical), 0.0)], -1)


def evidence(missed: FloatArray, distance: FloatArray) -> FloatArray:
    """Share of what was missed of each run that the others tell, those at little distance most, shape (u,).

    Args:
        missed: Shape (u, K).
        distance: Between support runs, shape (u or 1, K, K).
    """
    u, k = missed.shape
    if k < 3:
        return np.zeros(u)
    apart = ~np.eye(k, dtype=bool)
    width = np.median(distance[:, apart], 1)[:, None, None] / 2
    exponent = np.where(apart, -0.5 * np.square(distance / np.where(width > 0, width, 1.0)), -np.inf)
    # The nearest counts, however far it is.
    near = np.exp(exponent - exponent.max(2, keepdims=True))
    told = ((near / near.sum(2, keepdims=True)) @ missed[..., None])[..., 0]
    plain = (missed.sum(1, keepdims=True) - missed) / (k - 1)
    wrong, before = np.abs(missed - told).sum(1), np.abs(missed - plain).sum(1)
    return np.clip(1.0 - wrong / np.where(before > 0, before, 1.0), -1.0, 1.0) * (before > 0)


def gone(support: PaddedCurves, cut: FloatArray, unit: FloatArray) -> FloatArray:
    """How far support runs went after each cut: at the places of `COURSE`, and in the end; shape (c, K, places + 1).

    Args:
        support: K runs.
        cut: Times, shape (c,).
        unit: Of log time, shape (c,).
    """
    if not len(support):
        return np.zeros((len(cut), 0, len(COURSE) + 1))
    times = (cut[:, None] + np.nan_to_num(unit, nan=1.0)[:, None] * np.expm1(np.array(COURSE))).ravel()
    start = support.at(np.tile(cut, (len(support), 1))).T
    there = support.at(np.tile(times, (len(support), 1))).reshape(len(support), len(cut), -1)
    return (
        np.concatenate([np.moveaxis(there, 0, 1), np.tile(support.last[:, None], (len(cut), 1, 1))], 2)
        - start[..., None]
    )


def courses(gone: FloatArray) -> FloatArray:
    """That in units of how far they typically went in the end, (..., K, places + 1) -> (..., K, places)."""
    typical = np.abs(gone[..., -1]).mean(-1) if gone.shape[-2] else np.ones(gone.shape[:-2])
    unit = np.where(typical > 0, typical, 1.0)[..., None, None]
    return np.arcsinh(np.clip(gone[..., :-1] / unit, -20.0, 20.0))


def _curve_distances(a: Aligned) -> FloatArray:
    """Level and shape at the cut, shape (u, Q, K, 2)."""
    x, xq = a.past.last, a.query.last
    wide = np.abs(x - np.median(x, 1, keepdims=True)).mean(1)[:, None, None] if a.k else np.ones((len(a.t), 1, 1))
    gap = np.abs(xq[:, :, None] - x[:, None])
    level = np.arcsinh(gap / np.where(wide > 0, wide, 1.0)) * (wide > 0)
    own, theirs = _unit_shape(a.query), _unit_shape(a.past)
    shape = np.sqrt(np.square(own[:, :, None] - theirs[:, None]).mean(-1))
    return np.stack([level, shape], -1)


def _unit_shape(shapes: Shapes) -> FloatArray:
    """Means of a prefix less its last value, the farthest of them at 1 or -1; 0 where it is flat."""
    own = shapes.means - shapes.last[..., None]
    reach = np.abs(own).max(-1, keepdims=True)
    # Rounding of a flat prefix is no shape.
    return np.where(reach > 1e-9 * np.abs(shapes.last)[..., None], own / np.where(reach > 0, reach, 1.0), 0.0)


def rms(one: FloatArray, other: FloatArray) -> FloatArray:
    """Root mean squared difference, shape (n, K), without an array of (n, K, columns)."""
    columns = max(one.shape[1], 1)
    squared = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2.0 * one @ other.T
    return np.sqrt(np.maximum(squared, 0.0) / columns)


def _typical(distance: FloatArray, known: BoolArray) -> float:
    pairs = distance[np.ix_(known, known)][np.triu_indices(int(known.sum()), 1)]
    pairs = pairs[pairs > 1e-6]
    return float(np.median(pairs)) if len(pairs) else 1.0


def comparable(query: Traits, support: Traits, name: str) -> BoolArray:
    """Whether a query and two support runs at least are known, shape (n,)."""
    return known_of(query, name) & bool(known_of(support, name).sum() >= 2)


def comparable_left_out(support: Traits, name: str) -> BoolArray:
    """Whether a support run and two of the others at least are known, shape (K,)."""
    known = known_of(support, name)
    return known & (known.sum() - known >= 2)


def known_of(traits: Traits, name: str) -> BoolArray:
    """Of which runs configuration, or architecture, is known, shape (n,)."""
    return traits.placed if name == "config" else traits.known
