"""Reliability diagrams: how often what was forecast at a level came true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError
from metalcx.protocol import LEVELS
from metalcx.reports._axes import COLOURS, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "os^Dvx+"


def plot_calibration(shares: Mapping[str, npt.ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Draw, for each forecaster, the share of truths at or below each quantile; on the diagonal it is right.

    A line that is flatter than the diagonal is of intervals that are too narrow, a steeper one of too wide ones, one
    above it of forecasts that are too high (Gneiting et al. 2007, section 3.1).

    Args:
        shares: Name -> share of truths at or below the quantile of each of `metalcx.protocol.LEVELS`.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on.

    Raises:
        DataError: If there is nothing to draw, or not a share for each level.
    """
    if not shares:
        raise DataError("no forecaster to draw; give a share for each level of at least one")
    ax = axes(ax, 4.5, 4.5)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="calibrated")
    for i, (name, given) in enumerate(shares.items()):
        observed = np.asarray(given, dtype=np.float64)
        if observed.shape != LEVELS.shape:
            raise DataError(f"{name}: {observed.shape} shares for {len(LEVELS)} levels; give one for each")
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        ax.plot(LEVELS, observed, color=colour, marker=marker, label=name, linewidth=1.2, markersize=3)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="level of the quantile", ylabel="share of truths at or below it")
    ax.set_aspect("equal")
    ax.legend(loc="upper left", frameon=False)
    return ax
