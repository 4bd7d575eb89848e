"""Finished runs that a model is adapted to while others go on."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves


def support_of(curves: Curves, most: int | None) -> Curves:
    """Finished runs to adapt to, in their order among the curves.

    What was stopped does not tell how a run ends: a censored run is learned from only where none completed, as where
    every run goes on until it has reached a target.

    Args:
        curves: Runs of one task.
        most: So many at most: completed ones first, spread evenly over the order of their last values, the best among
            them; None for all.
    """
    left_out = ["running", "censored"] if (curves.status == "completed").any() else ["running"]
    finished = np.flatnonzero(~np.isin(curves.status, left_out))
    if most is None or len(finished) <= most:
        return curves.take(finished)
    best_first = finished[np.argsort(-curves.metric.sign * curves.final[finished], kind="stable")]
    completed = curves.status[best_first] == "completed"
    chosen = _spread(best_first[completed], most)
    others = _spread(best_first[~completed], most - len(chosen))
    return curves.take(np.sort(np.concatenate([chosen, others])))


def _spread(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many of `rows`, evenly, the first among them."""
    return rows if len(rows) <= most else rows[np.arange(most) * len(rows) // max(most, 1)]


def usual_end(curves: Curves) -> float:
    """How long a run is: the median last time of completed runs, or of censored ones where none completed; else NaN.

    Where all ended for another reason, such as a target reached, that is how long a run is.
    """
    ended = "completed" if (curves.status == "completed").any() else "censored"
    last = curves.t_last[curves.status == ended]
    return float(np.median(last)) if len(last) else float("nan")


def fingerprint(curves: Curves) -> str:
    """Tells sets of finished runs apart."""
    digest = hashlib.sha256(repr([*map(str, curves.ids), *curves.status]).encode())
    for array in (curves.offsets, curves.t, curves.y):
        digest.update(array.tobytes())
    return digest.hexdigest()
