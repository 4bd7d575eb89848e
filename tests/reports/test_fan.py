"""A fan chart shows the quantiles it was given, from the last point seen on, and hides nothing of them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import plot_fan


@pytest.fixture(params=["max", "min"])
def study(request):
    """Truth, what was seen of it, and a forecast at 10 times."""
    t = np.arange(1, 31)
    rows = [(f"r{i}", s, 1 - 0.8 * np.exp(-s / (3 + i))) for i in range(8) for s in t]
    table = pd.DataFrame(rows, columns=["run", "t", "value"])
    if request.param == "min":
        table["value"] = 1 - table["value"]
    truth = mx.Curves.from_frame(table, mx.Metric("y", request.param))
    seen = truth.take([6, 7]).truncate(6)
    forecast = Baseline("med5").adapt(truth.take(range(6))).forecast(seen, at=np.linspace(8, 30, 10))
    return truth, seen, forecast


def bands(ax):
    """Widest first: (x, low, high) of each band."""
    found = []
    for band in ax.collections:
        x, y = band.get_paths()[0].vertices.T
        keep = np.unique(x)
        found.append((keep, [y[x == v].min() for v in keep], [y[x == v].max() for v in keep]))
    return found


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_bands_are_the_quantiles_and_start_at_the_last_point_seen(study):
    truth, seen, forecast = study
    ax = plot_fan(forecast, "r7", observed=seen, truth=truth)
    assert len(bands(ax)) == 3
    for (x, low, high), width in zip(bands(ax), (0.95, 0.8, 0.5), strict=True):
        np.testing.assert_allclose(x, [6, *forecast.t[1]])
        np.testing.assert_allclose(low[1:], forecast.quantile((1 - width) / 2)[1])
        np.testing.assert_allclose(high[1:], forecast.quantile((1 + width) / 2)[1])
        assert low[0] == high[0] == pytest.approx(seen.final[1])
    drawn = lines(ax)
    np.testing.assert_allclose(drawn["median forecast"][1:, 1], forecast.median[1])
    np.testing.assert_allclose(drawn["observed"][:, 1], seen.take([1]).y)
    np.testing.assert_allclose(drawn["truth"][:, 1], truth.take([7]).y[5:])


def test_the_order_of_times_does_not_matter(study):
    truth, seen, _ = study
    at = np.array([30.0, 8.0, 20.0])
    model = Baseline("med5").adapt(truth.take(range(6)))
    one, other = (plot_fan(model.forecast(seen, at=a), "r6", observed=seen) for a in (at, np.sort(at)))
    np.testing.assert_array_equal(lines(one)["median forecast"], lines(other)["median forecast"])


def test_everything_forecast_is_inside_the_picture(study):
    truth, seen, forecast = study
    low, high = plot_fan(forecast, "r6", observed=seen, truth=truth).get_ylim()
    assert low < forecast.quantile(0.025)[0].min()
    assert forecast.quantile(0.975)[0].max() < high
    assert low < truth.take([6]).y.min() < truth.take([6]).y.max() < high


def test_a_giant_first_loss_does_not_squash_the_fan(study):
    _, seen, forecast = study
    values = seen.y.copy()
    values[0] = 1e6
    huge = mx.Curves(seen.metric, seen.ids, seen.offsets, seen.t, {"y": values}, seen.status)
    low, high = plot_fan(forecast, "r6", observed=huge).get_ylim()
    spread = np.ptp(np.append(forecast.quantile([0.025, 0.975])[0], seen.final[0]))
    assert high - low < 4 * spread


def test_one_run_needs_no_name_and_no_context(study):
    _, _, forecast = study
    ax = plot_fan(forecast.take([1]))
    assert set(lines(ax)) == {"median forecast"}
    assert ax.get_title() == "r7"
    ax.figure.savefig(io.BytesIO(), format="png")


def test_given_axes_are_used(study):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert plot_fan(study[2], "r6", ax=ax) is ax


def test_pyplot_keeps_no_figure(study):
    import sys

    plot_fan(study[2], "r6")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_runs_that_are_not_there_are_named(study):
    truth, seen, forecast = study
    with pytest.raises(DataError, match="forecast: no run 'r0'; it has 'r6', 'r7'"):
        plot_fan(forecast, "r0")
    with pytest.raises(DataError, match="forecast: no run None"):
        plot_fan(forecast)
    with pytest.raises(DataError, match="truth: no run 'r7'"):
        plot_fan(forecast, "r7", observed=seen, truth=truth.take([6]))


def test_a_diverged_forecast_draws_without_complaint(study, recwarn):
    truth, _, _ = study
    values = truth.y.copy()
    values[truth.offsets[7] + 3] = np.inf
    rows = np.r_[0 : truth.offsets[7] + 4]
    table = pd.DataFrame({"run": truth.ids[truth.owner][rows], "t": truth.t[rows], "value": values[rows]})
    broken = mx.Curves.from_frame(table, truth.metric).take([7])
    forecast = Baseline("last").forecast(broken, at=[10.0, 20.0])
    assert np.isinf(forecast.values).all()
    plot_fan(forecast, observed=broken).figure.savefig(io.BytesIO(), format="png")
    assert [str(w.message) for w in recwarn] == []


def test_panels_that_share_an_axis_show_what_each_needs(study):
    from matplotlib.figure import Figure

    truth, seen, forecast = study
    alone = [plot_fan(forecast, run, observed=seen, truth=truth).get_ylim() for run in seen.ids]
    for panels in (seen.ids, seen.ids[::-1]):
        axes = Figure().subplots(1, 2, sharey=True)
        for run, ax in zip(panels, axes, strict=True):
            plot_fan(forecast, run, observed=seen, truth=truth, ax=ax)
        assert axes[0].get_ylim() == (min(low for low, _ in alone), max(high for _, high in alone))
