"""Each rule of `check_forecaster` catches a forecaster that breaks it, and forecasters that keep them all pass."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pytest

from metalcx import forecasters
from metalcx.curves import Curves
from metalcx.errors import DataError, MetalcxError
from metalcx.forecasters import BaseForecaster, Baseline
from metalcx.protocol import Forecast
from metalcx.testing import RULES, ForecasterRuleError, check_forecaster, synthetic_curves

EXPERTS = ["last", "best", "shift", "median", "affine", "theil_sen", "trend", "ridge", "gp", "neighbours", "med5"]

#: Forecasters in single precision, whose arithmetic differs a little from batch to batch.
SINGLE_PRECISION = 1e-4

#: Forecasters that fit for every request: all rules in the slow tier, two of them always.
SLOW = {"PowerLaw", "SRM"}


def constructible() -> list[str]:
    """Names of all forecasters that need no argument; those to come join by themselves."""
    found = []
    for name in forecasters.__all__:
        kind = getattr(forecasters, name)
        if not inspect.isclass(kind) or inspect.isabstract(kind) or not hasattr(kind, "forecast"):
            continue
        try:
            inspect.signature(kind).bind()
        except TypeError:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("expert", EXPERTS)
def test_experts_keep_every_rule(expert: str) -> None:
    report = check_forecaster(Baseline(expert))
    assert dict(report.rules) == dict(RULES)


OTHERS = [name for name in constructible() if name != "Baseline"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in OTHERS])
def test_forecasters_keep_every_rule(name: str) -> None:
    check_forecaster(getattr(forecasters, name)(), tolerance=SINGLE_PRECISION)


@pytest.mark.parametrize("name", sorted(SLOW & set(OTHERS)))
def test_slow_forecasters_keep_the_first_rules(name: str) -> None:
    check_forecaster(getattr(forecasters, name)(), rules=["order", "zero_support"])


def test_every_forecaster_that_needs_no_argument_is_tried() -> None:
    assert "Baseline" in constructible()
    assert "BaseForecaster" not in constructible()


@pytest.mark.parametrize("seed", [1, 2])
def test_other_curves_too(seed: int) -> None:
    check_forecaster(Baseline("med5"), seed=seed)


# A correct forecaster wrapped, so that each broken one below differs in the one thing its rule is about.


@dataclass(frozen=True)
class Wrapped:
    inner: Any = Baseline("shift")  # noqa: RUF009 - frozen

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        return replace(self, inner=self.inner.adapt(support, steps=steps, seed=seed))

    def forecast(self, queries: Curves, at: Any) -> Forecast:
        return self.inner.forecast(queries, at)


def moved(forecast: Forecast, by: Any) -> Forecast:
    """`forecast` moved by a number or one a run."""
    by = np.broadcast_to(np.asarray(by, dtype=float), len(forecast))[:, None]
    return replace(forecast, point=forecast.point + by, values=forecast.values + by[..., None])


BREAKERS: dict[str, Callable[[], Any]] = {}


def breaks(rule: str) -> Callable[[type], type]:
    def register(kind: type) -> type:
        BREAKERS[rule] = kind
        return kind

    return register


@breaks("batch")
class CentresOnTheBatch(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 0.01 * np.nanmean(queries.padded().first) if len(queries) else 0.0)


@breaks("order")
class SortsByLength(Wrapped):
    def forecast(self, queries, at):
        sorted_ = np.argsort(queries.t_last)
        forecast = super().forecast(queries, at)
        return replace(forecast, point=forecast.point[sorted_], values=forecast.values[sorted_])


@breaks("padding")
class AveragesOverPadding(Wrapped):
    def forecast(self, queries, at):
        padded = queries.padded()
        return moved(super().forecast(queries, at), 0.01 * np.nan_to_num(padded.y.mean(1) - padded.last))


@breaks("times")
class ScalesByTheHorizonAsked(Wrapped):
    def forecast(self, queries, at):
        forecast = super().forecast(queries, at)
        return moved(forecast, 1e-3 * forecast.t.max(initial=0.0))


@breaks("look_ahead")
class TakesTheEndOfTheGrid(Wrapped):
    """The last t of a run says when it will stop, although its last values are not measured yet."""

    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 1e-3 * queries.t_last)


class RemembersWhatItSaw(Wrapped):
    seen = 0.0

    def forecast(self, queries, at):
        shift = type(self).seen
        if len(queries):
            type(self).seen = 0.01 * float(np.nanmean(queries.padded().last))
        return moved(super().forecast(queries, at), shift)


class NormalisesByTheBatchsLastValues(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 0.01 * np.nanmax(queries.padded().last) if len(queries) else 0.0)


@breaks("ids")
class MakesTextOfIds(Wrapped):
    def forecast(self, queries, at):
        forecast = super().forecast(queries, at)
        return replace(forecast, ids=np.array([str(i) for i in forecast.ids], dtype=object))


class ReadsTheNames(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), [1e-3 * len(str(i)) for i in queries.ids])


@breaks("at_forms")
class KnowsOneNumberOnly(Wrapped):
    def forecast(self, queries, at):
        return super().forecast(queries, at if isinstance(at, dict) else float(np.max(at)))


@breaks("no_queries")
class NeedsAQuery(Wrapped):
    def forecast(self, queries, at):
        queries.y.max()
        return super().forecast(queries, at)


@breaks("inputs")
class ClipsInPlace(Wrapped):
    def forecast(self, queries, at):
        np.minimum(queries.y, 0.3, out=queries.y)
        return super().forecast(queries, at)


@breaks("protocol")
class KnowsNoSteps:
    inner = Baseline("last")

    def adapt(self, support):
        return self.inner.adapt(support)

    def forecast(self, queries, at):
        return self.inner.forecast(queries, at)


@breaks("adapt")
class AdaptsInPlace(Wrapped):
    def adapt(self, support, *, steps=None, seed=0):
        object.__setattr__(self, "inner", self.inner.adapt(support))
        return self


class SharesAList(Wrapped):
    """A new object, but what it learnt is written where the old one looks, too."""

    def __init__(self, inner=None, known=None):
        object.__setattr__(self, "known", [Baseline("shift")] if known is None else known)

    def adapt(self, support, *, steps=None, seed=0):
        self.known[0] = self.known[0].adapt(support)
        return type(self)(known=self.known)

    def forecast(self, queries, at):
        return self.known[0].forecast(queries, at)


@breaks("zero_support")
class WantsSupport(Wrapped):
    def adapt(self, support, *, steps=None, seed=0):
        if not len(support):
            raise ValueError("no runs")
        return super().adapt(support)


class DiffersWithoutSupport(Wrapped):
    def adapt(self, support, *, steps=None, seed=0):
        return Baseline("shift" if len(support) else "trend").adapt(support)


@breaks("one_support")
class DividesByDegreesOfFreedom(Wrapped):
    def adapt(self, support, *, steps=None, seed=0):
        float(1 // (len(support) - 1))
        return super().adapt(support)


@breaks("one_point")
class WantsTwoPoints(Wrapped):
    def forecast(self, queries, at):
        padded = queries.padded()
        slope = np.where(padded.length == 1, np.nan, 0.0)
        return moved(super().forecast(queries, at), slope)


@breaks("diverged_support")
class AveragesInfinities(Wrapped):
    extra = 0.0

    def adapt(self, support, *, steps=None, seed=0):
        adapted = super().adapt(support)
        object.__setattr__(adapted, "extra", 1e-3 * float(support.y.mean()) if len(support) else 0.0)
        return adapted

    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), self.extra)


@breaks("constant")
class DividesBySpread(Wrapped):
    def forecast(self, queries, at):
        y = queries.padded().y
        with np.errstate(all="ignore"):
            return moved(super().forecast(queries, at), np.where(np.ptp(y, axis=1) == 0, np.nan, 0.0))


@breaks("irregular")
class CountsEpochs(Wrapped):
    def forecast(self, queries, at):
        if not (queries.t == np.round(queries.t)).all():
            raise KeyError("no such epoch")
        return super().forecast(queries, at)


@breaks("several_metrics")
class WantsOneColumn(Wrapped):
    def forecast(self, queries, at):
        (column,) = queries.values.values()
        del column
        return super().forecast(queries, at)


@breaks("no_config")
class WantsTheLearningRate(Wrapped):
    def forecast(self, queries, at):
        queries.config["lr"]
        return super().forecast(queries, at)


@breaks("short_support")
class InterpolatesOnly(Wrapped):
    end = np.inf

    def adapt(self, support, *, steps=None, seed=0):
        adapted = super().adapt(support)
        object.__setattr__(adapted, "end", support.t.max(initial=-np.inf) if len(support) else np.inf)
        return adapted

    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), np.where(queries.t_last > self.end, np.nan, 0.0))


@breaks("quantiles")
class ForgetsToReverse(Wrapped):
    def forecast(self, queries, at):
        forecast = super().forecast(queries, at)
        return forecast if queries.metric.goal == "max" else replace(forecast, values=forecast.values[..., ::-1])


@breaks("mean")
class TakesTheMeanFromElsewhere(Wrapped):
    def forecast(self, queries, at):
        forecast = super().forecast(queries, at)
        return replace(forecast, point=np.where(forecast.t > 13.0, queries.metric.worst, forecast.point))


@breaks("bounds")
class ForgetsToClip(Wrapped):
    def forecast(self, queries, at):
        free = replace(queries.metric, lower=None, upper=None)
        forecast = self.inner.forecast(replace(queries, metric=free, metrics=(free,)), at)
        return replace(forecast, metric=queries.metric)

    def adapt(self, support, *, steps=None, seed=0):
        free = replace(support.metric, lower=None, upper=None)
        return super().adapt(replace(support, metric=free, metrics=(free,)))


@breaks("finite")
class TakesTheLogarithm(Wrapped):
    def forecast(self, queries, at):
        y = queries.padded().last
        with np.errstate(all="ignore"):
            return moved(super().forecast(queries, at), 0.0 * np.log(1.0 - y) if len(queries) else 0.0)


@breaks("mirror")
class TreatsLossesApart(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 0.05 if queries.metric.goal == "max" else 0.0)


@breaks("observed")
class SmoothsThePast(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 1e-3)


@breaks("diverged_query")
class CarriesOnAfterDivergence(Wrapped):
    def forecast(self, queries, at):
        running = np.full(len(queries), "running", dtype=object)
        kept = queries.take(queries.padded().length > 0)
        forecast = super().forecast(replace(kept, status=running[: len(kept)]), at)
        rows = np.minimum(np.arange(len(queries)), len(kept) - 1)
        return replace(forecast.take(rows), ids=queries.ids)


@breaks("time_unit")
class TakesAHundredSteps(Wrapped):
    def forecast(self, queries, at):
        forecast = super().forecast(queries, at)
        return moved(forecast, 0.1 * np.exp(-forecast.t[:, 0] / 100.0) if len(forecast) else 0.0)


@breaks("determinism")
class DrawsWithoutASeed(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), 1e-3 * np.random.default_rng().random())


@breaks("extreme")
class AddsAConstant(Wrapped):
    def forecast(self, queries, at):
        return moved(super().forecast(queries, at), -1e-3 * queries.metric.sign)


@breaks("metric_kept")
class ForecastsAnother(Wrapped):
    def forecast(self, queries, at):
        return replace(super().forecast(queries, at), metric=replace(queries.metric, name="something"))


def test_what_is_caught_is_what_the_broken_ones_changed() -> None:
    check_forecaster(Wrapped())


def test_every_rule_has_a_forecaster_that_breaks_it() -> None:
    assert set(BREAKERS) == set(RULES)


@pytest.mark.parametrize("rule", sorted(BREAKERS))
def test_rule_catches(rule: str) -> None:
    with pytest.raises(ForecasterRuleError) as caught:
        check_forecaster(BREAKERS[rule](), rules=[rule])
    assert list(caught.value.failures) == [rule]
    message = str(caught.value)
    assert rule in message
    assert RULES[rule] in message
    assert "Look at:" in message


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (RemembersWhatItSaw, "look_ahead"),
        (NormalisesByTheBatchsLastValues, "look_ahead"),
        (SharesAList, "adapt"),
        (DiffersWithoutSupport, "zero_support"),
        (ReadsTheNames, "ids"),
    ],
)
def test_rule_catches_other_ways_to_break_it(broken: type, rule: str) -> None:
    with pytest.raises(ForecasterRuleError, match=rule):
        check_forecaster(broken(), rules=[rule])


def test_failure_names_runs_got_and_expected() -> None:
    with pytest.raises(AssertionError) as caught:
        check_forecaster(CentresOnTheBatch(), rules=["batch"])
    assert re.search(r"run 'q\d' at t=20: .* is [\d.e-]+, expected [\d.e-]+", str(caught.value))
    assert isinstance(caught.value, MetalcxError)


def test_all_broken_rules_are_told_at_once_with_the_first_exception_as_cause() -> None:
    with pytest.raises(ForecasterRuleError) as caught:
        check_forecaster(WantsSupport(), rules=["zero_support", "finite", "ids"])
    assert set(caught.value.failures) == {"zero_support", "finite"}
    assert "raised ValueError: no runs" in caught.value.failures["finite"]
    assert isinstance(caught.value.__cause__, ValueError)


def test_report_lists_the_rules_that_were_picked() -> None:
    report = check_forecaster(Baseline("last"), rules=["order", "ids"])
    assert list(report.rules) == ["order", "ids"]
    assert set(report.seconds) == {"order", "ids"}
    assert RULES["order"] in str(report)
    assert "Baseline keeps 2 rules" in str(report)


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(DataError, match=r"'colour'.*'batch'"):
        check_forecaster(Baseline("last"), rules=["colour"])


def test_synthetic_curves_depend_on_the_seed_alone() -> None:
    one, same, other = (synthetic_curves(3, 7, seed=seed, irregular=True) for seed in (1, 1, 2))
    assert np.array_equal(one.y, same.y)
    assert not np.array_equal(one.y, other.y)
    assert (np.diff(one.t)[np.diff(one.owner) == 0] > 0).all()
    assert len(one) == 3
    assert list(one.length) == [7, 7, 7]


def test_base_forecaster_is_abstract() -> None:
    with pytest.raises(TypeError):
        BaseForecaster()  # type: ignore[abstract]
