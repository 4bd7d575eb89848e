"""Runs in the order of their forecasts, with how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metalcx.decide import Ranking
from metalcx.errors import DataError
from metalcx.reports._axes import axes
from metalcx.reports._fan import BANDS, MEDIAN, OBSERVED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_ranking(ranking: Ranking, *, most: int = 20, incumbent: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the best runs, the best uppermost: expected value, central 50 and 90 % interval, probability of being best.

    Args:
        ranking: What `metalcx.decide.rank` found.
        most: How many runs.
        incumbent: A value to beat, drawn as a line.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on.

    Raises:
        DataError: If there is no run.
    """
    rows = ranking.order[:most]
    if not len(rows):
        raise DataError("there is no run to draw; give a ranking of some")
    ax = axes(ax, 6.0, 1.2 + 0.28 * len(rows))
    forecast = ranking.forecast.take(rows)
    # What is infinite, as a diverged run's value is, has no place on the axis.
    low, quarter, three, high = np.where(np.isinf(q := forecast.quantile([0.05, 0.25, 0.75, 0.95])), np.nan, q).T
    place = np.arange(len(rows))
    ax.hlines(place, low, high, color=BANDS[1][1], linewidth=3, label="90 % interval")
    ax.hlines(place, quarter, three, color=BANDS[2][1], linewidth=6, label="50 % interval")
    certain = forecast.values[:, 0, 0] == forecast.values[:, 0, -1]
    for where, kind, name in ((~certain, "o", "forecast"), (certain, "s", "known")):
        colour = MEDIAN if kind == "o" else OBSERVED
        ax.plot(
            np.where(np.isinf(forecast.mean), np.nan, forecast.mean)[where],
            place[where],
            kind,
            color=colour,
            label=name,
        )
    if incumbent is not None:
        ax.axvline(incumbent, color="#009E73", linestyle="--", linewidth=1.2, label="to beat")
    best = ranking.prob_best[rows]
    ax.set_yticks(place, [f"{run} ({_share(p)})" for run, p in zip(forecast.ids, best, strict=True)])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(f"{forecast.metric.name} (in brackets: probability of being the best of all)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")
    return ax


def _share(probability: float) -> str:
    return f"{100 * probability:.0f} %" if probability >= 0.01 or not probability else "< 1 %"
