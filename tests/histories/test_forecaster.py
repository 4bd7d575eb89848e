from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from metalcx.curves import Curves
from metalcx.decide import StopPolicy, rank
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.histories import Calibration, HistoryForecaster, TraitTable, peak_so_far
from metalcx.histories._calibration import Kernel
from metalcx.histories._inputs import Lessons, inputs_of, stretched
from metalcx.histories._traits import CIRCUMSTANCES, TRAITS
from metalcx.protocol import Forecaster
from metalcx.testing import RULES, check_forecaster

from .made import made_runs

CHANCE = 0.1
assert CIRCUMSTANCES[0] == "chance"


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    parts = []
    for seed in range(4):
        curves, table = made_runs(40, seed=100 + seed)
        peaks = peak_so_far(curves).padded()
        traits = np.stack([table.at(i, 2.0) for i in curves.ids])
        seen = peaks.at(np.array([2.0]))[:, 0]
        x = inputs_of(traits, CHANCE + 0.9 * traits[:, 0], seen, np.full(40, 0.1))
        name = np.full(40, f"family{seed}", dtype=object)
        parts.append((x, stretched((peaks.last - CHANCE) / 0.9), name))
    x, z, name = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Calibration.learn(Lessons(x, z, name, name), Kernel())


@pytest.fixture(scope="module")
def runs() -> tuple[Curves, TraitTable]:
    curves, table = made_runs(40, seed=1)
    return peak_so_far(curves), table


@pytest.fixture
def model(calibration: Calibration, runs: tuple[Curves, TraitTable]) -> HistoryForecaster:
    return HistoryForecaster(Baseline("med5"), calibration, runs[1])


def test_it_keeps_the_rules_of_forecasters(calibration: Calibration) -> None:
    """On curves whose histories it does not know, it is what forecasts curves."""
    check_forecaster(HistoryForecaster(Baseline("med5"), calibration, TraitTable()))


@pytest.mark.parametrize("blend", [False, True])
def test_it_keeps_the_rules_where_histories_are_known(calibration: Calibration, blend: bool) -> None:
    _, known = made_runs(8, seed=3)
    rows = list(known.rows.values())
    # Ids of the runs on which forecasters are tried.
    ids = [f"{p}{i}" for p in "qs" for i in range(8)]
    table = TraitTable({run: rows[i % 8] for i, run in enumerate(ids)})
    # Histories are looked up by id and by time: other ids and another unit of time have other histories.
    rules = set(RULES) - {"ids", "time_unit"}
    check_forecaster(HistoryForecaster(Baseline("med5"), calibration, table, blend=blend), rules=rules)


def test_histories_order_runs_that_curves_do_not(model: HistoryForecaster, runs: tuple[Curves, TraitTable]) -> None:
    whole = runs[0]
    peak = whole.padded().last
    early = whole.take(np.arange(10, 40)).truncate(2.0)
    for each in (model, model.adapt(whole.take(np.arange(10)))):
        by_history = kendalltau(each.forecast(early, 20.0).mean, peak[10:]).statistic
        by_curve = kendalltau(each.curve.forecast(early, 20.0).mean, peak[10:]).statistic
        assert by_history > by_curve + 0.2


def test_the_mixture_goes_with_what_errs_less(model: HistoryForecaster, runs: tuple[Curves, TraitTable]) -> None:
    whole, table = runs
    known, early = whole.take(np.arange(10)), whole.take(np.arange(10, 40)).truncate(2.0)
    mixed = replace(model, blend=True).adapt(known).forecast(early, 20.0).mean
    alone, curve = model.adapt(known).forecast(early, 20.0).mean, model.curve.adapt(known).forecast(early, 20.0).mean
    assert np.abs(mixed - alone).mean() < np.abs(mixed - curve).mean()
    # Histories that say nothing leave the word to the curve.
    rng = np.random.default_rng(0)
    shuffled = TraitTable(
        dict(zip(table.rows, [list(table.rows.values())[i] for i in rng.permutation(40)], strict=True))
    )
    lost = replace(model, blend=True, histories=shuffled).adapt(known).forecast(early, 20.0).mean
    useless = replace(model, histories=shuffled).adapt(known).forecast(early, 20.0).mean
    assert np.abs(lost - curve).mean() < np.abs(lost - useless).mean()


def test_nothing_after_the_cut_is_read(model: HistoryForecaster, runs: tuple[Curves, TraitTable]) -> None:
    whole, table = runs
    changed = {
        run: (times, np.concatenate([values[:1], 1 - values[1:]])) for run, (times, values) in table.rows.items()
    }
    known, early = whole.take(np.arange(5)), whole.take(np.arange(5, 20)).truncate(3.0)
    later = whole.take(np.arange(5, 20))
    y = later.y.copy()
    y[later.t > 3.0] = 1.0
    disturbed = replace(later, values={later.metric.name: y}).truncate(3.0)
    expected = model.adapt(known).forecast(early, 20.0)
    other = replace(model, histories=TraitTable(changed)).adapt(known).forecast(disturbed, 20.0)
    np.testing.assert_array_equal(other.values, expected.values)


def test_a_peak_never_falls(model: HistoryForecaster, runs: tuple[Curves, TraitTable]) -> None:
    early = runs[0].truncate(4.0)
    forecast = model.forecast(early, [3.0, 6.0, 20.0])
    best = early.padded().y.max(1)
    assert (forecast.values[:, 1:] >= best[:, None, None]).all()
    assert (forecast.values[:, 0] == forecast.values[:, 0, :1]).all()  # seen already
    assert (forecast.values <= 1.0).all()


def test_percent_and_mirrored_metrics_are_the_same_forecast(
    model: HistoryForecaster, runs: tuple[Curves, TraitTable]
) -> None:
    whole = runs[0]
    metric = replace(whole.metric, upper=100.0)
    percent = replace(whole, metric=metric, metrics=(metric,), values={metric.name: 100 * whole.y})
    cases = ((whole, lambda v: v), (percent, lambda v: v / 100), (whole.mirrored(), lambda v: -v))
    found = [
        back(replace(model, blend=True).adapt(c.take(np.arange(8))).forecast(c.take([20, 30]).truncate(2.0), 20.0).mean)
        for c, back in cases
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)


def test_where_lower_is_better_the_curve_is_asked_once(
    model: HistoryForecaster, runs: tuple[Curves, TraitTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    early, calls, inner = runs[0].take([20]).truncate(2.0), [], Baseline.forecast
    monkeypatch.setattr(Baseline, "forecast", lambda *given: calls.append(given) or inner(*given))
    model.forecast(early, 20.0)
    once = len(calls)
    model.forecast(early.mirrored(), 20.0)
    assert len(calls) == 2 * once


def test_runs_without_a_history_are_the_curves_matter(
    model: HistoryForecaster, runs: tuple[Curves, TraitTable]
) -> None:
    whole = runs[0]
    early = whole.take(np.arange(10, 14)).truncate(2.0)
    some = TraitTable({run: model.histories.rows[run] for run in early.ids[:2]})
    found = replace(model, histories=some).forecast(early, 20.0)
    by_curve = model.curve.forecast(early, 20.0)
    np.testing.assert_array_equal(found.values[2:], by_curve.values[2:])
    np.testing.assert_allclose(found.values[:2], model.forecast(early, 20.0).values[:2], atol=1e-9)


def test_it_ranks_and_stops(model: HistoryForecaster, runs: tuple[Curves, TraitTable]) -> None:
    whole = runs[0]
    assert isinstance(model, Forecaster)
    early = whole.take(np.arange(10, 40)).truncate(2.0)
    ranking = rank(model.adapt(whole.take(np.arange(10))).forecast(early, 20.0))
    top = whole.padded().last[10:][ranking.order[:5]]
    assert top.mean() > np.quantile(whole.padded().last[10:], 0.75)
    both = Curves.concat([whole.take(np.arange(10)), early])
    decisions = StopPolicy(model, threshold=0.05).decide(both)
    stopped = np.array([d.stop for d in decisions])
    assert 5 < stopped.sum() < 30
    assert whole.padded().last[10:][stopped].max() < whole.padded().last[10:].max()


def test_peak_so_far() -> None:
    curves, _ = made_runs(3)
    y = curves.y.copy()
    y[20] = np.inf  # the first run's last point
    status = curves.status.copy()
    status[0] = "diverged"
    broken = replace(curves, values={"val_accuracy": y}, status=status)
    peaks = peak_so_far(broken)
    assert (peaks.metric.name, peaks.status[0]) == ("peak_accuracy", "completed")
    for i, one in enumerate(peaks):
        own = y[i * 21 : (i + 1) * 21]
        np.testing.assert_array_equal(one.y, np.maximum.accumulate(np.where(np.isfinite(own), own, -1)))
    with pytest.raises(DataError, match="both bounds"):
        peak_so_far(curves.mirrored())


def test_traits_are_read_by_name() -> None:
    assert TRAITS[0] == "own"
