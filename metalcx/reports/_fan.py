"""Fan charts: what was seen of a run, how it may go on, and, where known, how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError, name_some
from metalcx.protocol import Forecast
from metalcx.reports._axes import axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Central intervals, widest first, and their blues: told apart by lightness alone, so that they survive print and
#: every kind of colour vision. Lines are from the palette of Okabe and Ito (2008).
BANDS = ((0.95, "#dbe9f4"), (0.80, "#b0d0e8"), (0.50, "#7fb2d8"))
MEDIAN, OBSERVED, TRUTH = "#0072B2", "#000000", "#D55E00"


def plot_fan(
    forecast: Forecast,
    run: object | None = None,
    *,
    observed: Curves | None = None,
    truth: Curves | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the forecast of one run: median and central 50, 80 and 95 % bands over the times asked for.

    Args:
        forecast: A forecast at several times.
        run: The run's id; may be left out where the forecast is of one run.
        observed: Curves in which the run ends where the forecast began; the fan grows from its last point.
        truth: Curves in which the run is whole; drawn dashed from the cut on.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on.

    Raises:
        DataError: If the run is not in the forecast or in the curves.
    """
    ax = axes(ax)
    i = _position(forecast.ids, run, "forecast")
    one = forecast.take([i])
    order = np.argsort(one.t[0])
    t, seen = one.t[0][order], _points(observed, one.ids[0], "observed")
    # The fan grows from the last point seen.
    join = (float(seen[0][-1]), float(seen[1][-1])) if len(seen[0]) else None
    _draw_bands(ax, one, t, order, join)
    if truth is not None:
        _draw_truth(ax, _points(truth, one.ids[0], "truth"), join)
    if join is not None:
        ax.plot(*seen, color=OBSERVED, linewidth=1.8, solid_capstyle="round", label="observed")
        ax.plot(*join, "o", color=OBSERVED, markersize=3.5)
    _set_limits(ax, one, seen[1])
    ax.set_title(str(one.ids[0]), fontsize="medium")
    ax.set_xlabel(getattr(observed, "time_unit", None) or "t")
    ax.set_ylabel(forecast.metric.name)
    if not (one.t[0, -1:] % 1).any():
        # Epochs and steps: the end is a whole number, whatever lies between.
        _count_wholes(ax)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.02)
    return ax


def _draw_bands(ax: Axes, one: Forecast, t: FloatArray, order: Any, join: tuple[float, float] | None) -> None:
    def line(level: float) -> tuple[FloatArray, FloatArray]:
        values = np.atleast_2d(one.quantile(level).reshape(1, -1))[0][order]
        return (t, values) if join is None else (np.append(join[0], t), np.append(join[1], values))

    for width, colour in BANDS:
        (x, low), (_, high) = line((1 - width) / 2), line((1 + width) / 2)
        ax.fill_between(x, low, high, color=colour, linewidth=0, label=f"{100 * width:.0f} % interval")
    ax.plot(*line(0.5), color=MEDIAN, linewidth=1.8, label="median forecast")


def _draw_truth(ax: Axes, points: tuple[FloatArray, FloatArray], join: tuple[float, float] | None) -> None:
    t, y = points
    later = t >= join[0] if join is not None else np.ones(len(t), dtype=bool)
    ax.plot(t[later], y[later], color=TRUTH, linewidth=1.5, linestyle=(0, (4, 2)), label="truth")


def _count_wholes(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _set_limits(ax: Axes, one: Forecast, seen: FloatArray) -> None:
    """Show the fan and the truth whole, and of what was seen as much as does not squash them.

    A loss may begin a hundred times above its end: then the first points leave the picture.
    """
    drawn = [line.get_ydata() for line in ax.lines if line.get_color() != OBSERVED]
    shown = np.concatenate([np.ravel(one.quantile([0.025, 0.975])), *map(np.asarray, drawn), seen[-1:]])
    shown = shown[np.isfinite(shown)]
    if not len(shown):
        return
    low, high = float(shown.min()), float(shown.max())
    reach = (high - low) or abs(high) or 1.0
    past = seen if len(seen) else shown
    low, high = max(min(low, float(past.min())), low - reach), min(max(high, float(past.max())), high + reach)
    margin = 0.05 * ((high - low) or reach)
    low, high = low - margin, high + margin
    if any(other is not ax and other.has_data() for other in ax.get_shared_y_axes().get_siblings(ax)):
        # Panels with one axis show what each of them needs.
        low, high = min(low, *ax.get_ylim()), max(high, *ax.get_ylim())
    ax.set_ylim(low, high)


def _position(ids: Any, run: object | None, what: str) -> int:
    if run is None and len(ids) == 1:
        return 0
    found = np.flatnonzero(np.array([i == run for i in ids], dtype=bool))
    if not len(found):
        raise DataError(f"{what}: no run {run!r}; it has {name_some(ids)}")
    return int(found[0])


def _points(curves: Curves | None, run: object, what: str) -> tuple[FloatArray, FloatArray]:
    """Finite points of one run."""
    if curves is None:
        return np.empty(0), np.empty(0)
    one = curves.take([_position(curves.ids, run, what)])
    finite = np.isfinite(one.y)
    return one.t[finite], one.y[finite]
