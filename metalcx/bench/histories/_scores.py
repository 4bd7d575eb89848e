"""Scores of every way to rank runs by their peak accuracy after a few epochs, on the recorded histories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import pandas as pd

from metalcx.bench._tau import tau
from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.histories import HistoryCorpus, HistoryForecaster, peak_so_far
from metalcx.histories._calibration import Calibration
from metalcx.histories._traits import TRAITS
from metalcx.protocol import Forecast, Forecaster

CUTS = (0.05, 0.1, 0.2)
SUPPORT = 10
DRAWS = 5

#: Ours; the first is the one that is judged.
OURS = ("history", "history, K=0", "history and curve")
#: What a few epochs say without proxies or other datasets.
PLAIN = ("last", "best", "ema", "vote", "one more epoch", "best of one more")
#: Accuracy of proxies as they are.
RAW = ("probe", "concat", "mean", "consensus")
#: Forecasters of curves, by the peak so far and by the accuracy itself.
CURVES = ("med5", "affine", "metalcx-base")


@dataclass(frozen=True, eq=False)
class JudgedTask:
    """One task's runs at one cut.

    Attributes:
        name: Of the task.
        family: Of its dataset.
        cut: Share of the budget.
        end: The budget.
        curves: All runs that had not diverged by the cut.
        rows: Their histories at the cut, by the names of the traits, and ``vote``.
    """

    name: str
    family: str
    cut: float
    end: float
    curves: Curves
    rows: pd.DataFrame

    @property
    def t(self) -> float:
        """Epochs seen."""
        return float(round(self.cut * self.end))

    @cached_property
    def peaks(self) -> FloatArray:
        """The truth: best validation accuracy of each run."""
        return peak_so_far(self.curves).padded().y.max(1)

    def plain(self) -> dict[str, FloatArray]:
        """Estimates that need no support, by name."""
        seen = self.curves.padded()
        times = np.array([self.t, self.t + 1.0])
        last, later = seen.at(times).T
        best, best_later = peak_so_far(self.curves).padded().at(times).T
        chance = self.rows["chance"].to_numpy(np.float64)
        raw = {n: chance + (1 - chance) * self.rows[n].to_numpy(np.float64) for n in RAW}
        return {
            "last": last,
            "best": best,
            "ema": self.curves.padded("ema_accuracy").at(times)[:, 0],
            "vote": self.rows["votes"].to_numpy(np.float64),
            "one more epoch": later,
            "best of one more": best_later,
            **raw,
        }


def judged_tasks(data: HistoryCorpus) -> Iterator[JudgedTask]:
    """Every task at every cut."""
    for task in data.corpus:
        curves = task.curves(("val_accuracy", "ema_accuracy", "seconds"))
        end = float(curves.t_last.max())
        for cut in CUTS:
            t = float(round(cut * end))
            alive = np.flatnonzero((curves.status != "diverged") | (curves.t_last > t))
            runs = curves.take(alive)
            yield JudgedTask(task.name, task.family, cut, end, runs, _history_rows(data, task.name, runs, t))


def _history_rows(data: HistoryCorpus, task: str, runs: Curves, t: float) -> pd.DataFrame:
    numbers = pd.Series(data.corpus.runs["run"].to_numpy(), index=data.corpus.runs["name"].to_numpy())
    wanted = numbers.loc[list(runs.ids)].to_numpy()
    at = data.rows[data.rows["t"] == t].set_index("run").loc[wanted]
    votes = data.votes(task, wanted, t)
    return at[list(TRAITS)].assign(votes=votes, recording=at["recording"], proxies=at["proxies"]).reset_index(drop=True)


def calibrations(taught: HistoryCorpus) -> Callable[[str], Calibration]:
    """What the corpus teaches without a family; for all families that it has not, it is learned once."""
    known = set(taught.corpus.tasks["family"])
    learned = cache(lambda family: taught.calibration(holdout=[family]))
    return lambda family: learned(family if family in known else "")


def history_forecasters(data: HistoryCorpus, calibration: Calibration, curve: Forecaster) -> dict[str, Forecaster]:
    """Ours, by name, not adapted."""
    alone = HistoryForecaster(curve, calibration, data.table)
    return dict(zip(OURS, (alone, alone, replace(alone, blend=True)), strict=True))


def estimates(
    judged: JudgedTask, ours: Mapping[str, Forecaster], others: Mapping[str, Forecaster], draw: int
) -> dict[str, tuple[IntArray, FloatArray, Forecast | None]]:
    """Estimate of each query's peak by method, on one draw of a support.

    Returns:
        Positions of the queries, estimates, and the forecast where there is one.
    """
    n = len(judged.curves)
    order = np.random.default_rng([draw, sum(judged.name.encode())]).permutation(n)
    known, asked = np.sort(order[:SUPPORT]), np.sort(order[SUPPORT:])
    found: dict[str, tuple[IntArray, FloatArray, Forecast | None]] = {
        name: (asked, value[asked], None) for name, value in judged.plain().items()
    }
    peaks = peak_so_far(judged.curves)
    finished = replace(judged.curves, status=np.full(n, "completed", dtype=object))
    for name, model in {**ours, **others}.items():
        adapted = model if name.endswith("K=0") else model.adapt(peaks.take(known))
        forecast = adapted.forecast(peaks.take(asked).truncate(judged.t), judged.end)
        found[name] = asked, forecast.mean, forecast
        if name in others:
            raw = _finite(finished)
            value = model.adapt(raw.take(known)).forecast(raw.take(asked).truncate(judged.t), judged.end)
            found[f"{name}, accuracy"] = asked, value.mean, None
    return found


def _finite(curves: Curves) -> Curves:
    """Curves of accuracies that stand still once a run has diverged."""
    y = np.where(np.isfinite(curves.y), curves.y, np.nan)
    return replace(curves, values={**curves.values, curves.metric.name: y})


def scores(estimate: FloatArray, peak: FloatArray, forecast: Forecast | None) -> dict[str, float]:
    """Kendall's tau, regret of the best by estimate and of the best of three, error of the peak, coverage."""
    order = np.argsort(-estimate, kind="stable")
    row = {"n": len(peak), "tau": tau(estimate, peak), "error": float(np.abs(estimate - peak).mean())}
    row |= {f"regret@{k}": float(peak.max() - peak[order[:k]].max()) for k in (1, 3)}
    if forecast is not None:
        low, high = forecast.quantile(0.1), forecast.quantile(0.9)
        row["cov80"] = float(((low - 1e-9 <= peak) & (peak <= high + 1e-9)).mean())
    return row
