"""Runs that were stopped: what was seen of them, and what they would have become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError, name_some
from metalcx.reports._axes import axes
from metalcx.reports._fan import MEDIAN, OBSERVED, TRUTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Lines told apart by dashes as well as by colour (palette of Okabe and Ito 2008).
STYLES = ((TRUTH, "-"), (MEDIAN, "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#E69F00", (0, (5, 1))))


def plot_stops(curves: Curves, stopped: Mapping[Any, float], *, kept: Any = None, ax: Axes | None = None) -> Axes:
    """Draw runs that were stopped: whole up to there, thin beyond, with a mark where it was.

    Args:
        curves: Complete runs.
        stopped: Time at which each run was stopped, by its id.
        kept: Id of a run to compare with, such as the best that was kept; drawn black.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on.

    Raises:
        DataError: If a run is not among the curves.
    """
    ax = axes(ax)
    shown: list[float] = []
    if kept is not None:
        t, y = _points(curves, kept)
        ax.plot(t, y, color=OBSERVED, linewidth=1.8, label=f"{kept}, kept")
        shown += y[-1:].tolist()
    for i, (run, when) in enumerate(stopped.items()):
        colour, dashes = STYLES[i % len(STYLES)]
        t, y = _points(curves, run)
        seen = t <= when
        ax.plot(t, y, color=colour, linewidth=0.9, linestyle=dashes, alpha=0.6)
        ax.plot(t[seen], y[seen], color=colour, linewidth=1.8, linestyle=dashes, label=f"{run}, stopped at {when:g}")
        ax.plot(t[seen][-1:], y[seen][-1:], "x", color=colour, markersize=8, markeredgewidth=2)
        shown += [*y[-1:], *y[seen][-1:]]
    _set_limits(ax, np.array(shown), curves.metric)
    ax.set_xlabel(curves.time_unit or "t")
    ax.set_ylabel(curves.metric.name)
    ax.spines[["top", "right"]].set_visible(False)
    if kept is not None or stopped:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _points(curves: Curves, run: Any) -> tuple[np.ndarray, np.ndarray]:
    found = np.flatnonzero(np.array([i == run for i in curves.ids], dtype=bool))
    if not len(found):
        raise DataError(f"curves: no run {run!r}; they have {name_some(curves.ids)}")
    one = curves.take(found[:1])
    finite = np.isfinite(one.y)
    return one.t[finite], one.y[finite]


def _set_limits(ax: Axes, shown: np.ndarray, metric: Metric) -> None:
    """Show where runs were stopped and ended; a start far from there leaves the picture, as does what cannot be."""
    shown = shown[np.isfinite(shown)]
    reach = float(np.ptp(shown)) if len(shown) else 0.0
    if reach > 0:
        low, high = float(shown.min()) - 0.5 * reach, float(shown.max()) + 0.5 * reach
        slack = 0.05 * reach
        low = low if metric.lower is None else max(low, metric.lower - slack)
        high = high if metric.upper is None else min(high, metric.upper + slack)
        ax.set_ylim(low, high)
