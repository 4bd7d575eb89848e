"""Fewer points that draw the same picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves

#: Points of a curve that are drawn at most: a chart is some hundred pixels wide.
MOST_POINTS = 80


def thinned(curves: Curves, most: int = MOST_POINTS) -> Curves:
    """The measured points of each run's primary metric, at most so many, so that a line through them looks the same.

    A run with more is divided into equal stretches, of which the lowest and the highest point are kept, beside its
    first and its last: no spike is lost.

    Args:
        curves: Any runs.
        most: Points of a run at most, 4 or more.
    """
    keep = np.isfinite(curves.y)
    owner = curves.owner[keep]
    length = np.bincount(owner, minlength=len(curves)).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.int64)
    place = np.arange(len(owner)) - start[owner]
    chosen = _extremes(curves.y[keep], owner, place, length, most // 2 - 1)
    chosen |= (length[owner] <= most) | (place == 0) | (place == length[owner] - 1)
    points = np.flatnonzero(keep)[chosen]
    counts = np.bincount(owner[chosen], minlength=len(curves))
    # A diverged run keeps its infinity out of the picture: its status says it.
    return Curves(
        metric=curves.metric,
        ids=curves.ids,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        t=curves.t[points],
        values={curves.metric.name: curves.y[points]},
        status=curves.status,
        time_unit=curves.time_unit,
    )


def _extremes(
    y: npt.NDArray[np.float64],
    owner: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    stretches: int,
) -> npt.NDArray[np.bool_]:
    """Which points are the lowest or the highest of their stretch."""
    stretch = owner * stretches + place * stretches // np.maximum(length[owner], 1)
    order = np.lexsort((y, stretch))
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(stretch[order]) > 0
    chosen = np.zeros(len(y), dtype=bool)
    chosen[order[first]] = True
    chosen[order[np.append(first[1:], True)[: len(order)]]] = True
    return chosen
