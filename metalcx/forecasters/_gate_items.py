"""Requests with their answers: what the expert gate learns from, in meta-training and in adaptation alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.forecasters._aligned import Aligned, align
from metalcx.forecasters._gate_inputs import gate_inputs
from metalcx.forecasters._memory import remembered

Float32 = npt.NDArray[np.float32]

#: Cuts at which the support's own runs are held out.
SUPPORT_CUTS = (0.1, 0.2, 0.4)


#: Most support runs that are held out one at a time; the time that takes grows with the square of their number.
MOST_LEFT_OUT = 32


@dataclass(frozen=True)
class Items:
    """Requests, one a row.

    Attributes:
        x: Features, shape (b, N_FEATURES).
        offsets: Experts' points less the centre, in anchors, shape (b, len(GATED)).
        y: True value less the centre, in anchors, shape (b,).
        weight: Turns a loss in anchors into one relative to med5's error, shape (b,).
    """

    x: Float32
    offsets: Float32
    y: Float32
    weight: Float32

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def concat(cls, parts: Sequence[Items]) -> Items:
        """Rows of all parts, one after another."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Items:
        """The rows at `index`."""
        return Items(*(getattr(self, f.name)[index] for f in fields(Items)))


def items(a: Aligned, truth: FloatArray, scale: float) -> Items:
    """Items of the requests of `a`.

    Args:
        a: Aligned requests, b of them.
        truth: What came of them, oriented, shape (b,).
        scale: Error below a fiftieth of which does not matter, oriented.
    """
    inputs = gate_inputs(a)
    centre, anchor = a.rows(inputs.centre), a.rows(inputs.anchor)
    typical = float(np.abs(truth - centre).mean()) + 0.02 * scale
    y = np.clip((truth - centre) / anchor, -1e3, 1e3)
    columns = (a.rows(inputs.x), a.rows(inputs.offsets), y, anchor / typical)
    return Items(*(np.ascontiguousarray(c, dtype=np.float32) for c in columns))


def left_out(k: int) -> npt.NDArray[np.int64]:
    """Which of K support runs are held out one at a time: all of them, or as many as say enough, shape (L,)."""
    return np.sort(np.random.default_rng(0).permutation(k)[:MOST_LEFT_OUT])


@remembered
def support_items(support: PaddedCurves, cuts: Sequence[float] = SUPPORT_CUTS) -> Items:
    """Support runs, cut, as queries of the others: of K >= 3 those of `left_out`, once a cut, in their order."""
    model = support.take(np.full(len(cuts), middle_of(support)))
    line, left = np.arange(len(cuts)), left_out(len(support))
    prefix = model.truncate(cut_times(support, cuts))
    pairs = [align(support, prefix.take([i]), np.zeros(1, dtype=np.int64), model.t_last[[i]]) for i in line]
    scale = spread(support.last)
    return Items.concat([items(a.leave_one_out(left), a.future[0, left], scale) for a in pairs])


def middle_of(support: PaddedCurves) -> int:
    """The run that ends in the middle."""
    return int(np.argsort(support.t_last, kind="stable")[len(support) // 2])


def cut_times(support: PaddedCurves, cuts: Sequence[float] = SUPPORT_CUTS) -> FloatArray:
    """When support runs are cut: after these shares of the points of the run that ends in the middle; shape (cuts,)."""
    middle = middle_of(support)
    length = int(support.length[middle])
    seen = np.clip(np.round(np.array(cuts) * length), 1, max(length - 1, 1)).astype(np.int64)
    return support.t[middle, seen - 1]


def spread(final: FloatArray) -> float:
    """A positive unit of what differences between finals matter."""
    q05, q25, q75, q95 = np.quantile(final, [0.05, 0.25, 0.75, 0.95])
    wide = float(max(q75 - q25, (q95 - q05) / 4.0))
    return wide if wide > 0 else 1.0
