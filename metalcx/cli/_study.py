"""One task, forecast by a model that never saw it, beside the truth: what `metalcx demo` shows."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError
from metalcx.protocol import Forecast, Forecaster

if TYPE_CHECKING:
    from metalcx.corpora import Task
    from metalcx.reports import Report

#: Times at which a query's remaining curve is forecast; the last is the run's end.
STEPS = 40
#: Fan charts in the picture.
PANELS = 9

COLUMNS = ("run", "last seen", "true final", "forecast", "80 % interval", "inside", "error", "of last value", "of med5")


@dataclass(frozen=True)
class Study:
    """One task, forecast and compared.

    Attributes:
        task: The task.
        model: Name of the model.
        cut: Share of each query that was seen.
        support: The curves adapted to.
        seen: Queries as they were at the cut, n runs.
        truth: The same queries whole.
        forecast: At `STEPS` times a query, the last of them its end.
        med5: Points of med5 at the end, shape (n,).
        left_out: Runs that had diverged or were too short to be cut.
    """

    task: Task
    model: str
    cut: float
    support: Curves
    seen: Curves
    truth: Curves
    forecast: Forecast
    med5: FloatArray
    left_out: int

    @property
    def final(self) -> FloatArray:
        """True value at each query's end, shape (n,)."""
        return self.truth.final

    @property
    def last(self) -> FloatArray:
        """Last value seen, shape (n,)."""
        return self.seen.padded().last

    def interval(self, width: float = 0.8) -> FloatArray:
        """Central interval at the end, shape (n, 2)."""
        levels = [(1 - width) / 2, (1 + width) / 2]
        return np.stack([self.forecast.quantile(level)[:, -1] for level in levels], -1)

    def errors(self) -> dict[str, FloatArray]:
        """Absolute errors at the end of each query, by method, each of shape (n,).

        As in the transfer protocol, values worse than ``init - 3 (best - init)`` count as that, with init the median
        first and best the best value: one run that blew up does not decide a mean.
        """
        from metalcx.reports import floor_of

        sign, floor = self.task.metric.sign, floor_of(self.truth)
        points = {"forecast": self.forecast.mean[:, -1], "last value": self.last, "med5": self.med5}
        final = np.maximum(sign * self.final, floor)
        return {name: np.abs(np.maximum(sign * point, floor) - final) for name, point in points.items()}

    def coverage(self) -> float:
        """Share of true finals inside the 80 % interval."""
        low, high = self.interval().T
        return float(((low <= self.final) & (self.final <= high)).mean())

    def heading(self) -> str:
        """What was done, in two lines."""
        kind, n = self.task.dataset, len(self.truth)
        return (
            f"{self.model}, adapted to {len(self.support)} completed runs of {self.task.name} (data: {kind}, "
            f"{self.task.metric.name}, goal {self.task.metric.goal}),\n"
            f"forecasts the end of {n} other runs from their first {100 * self.cut:.0f} %."
        )

    @property
    def decimals(self) -> int:
        """Digits after the point that show an ordinary error with about three figures."""
        usual = float(np.median(self.errors()["med5"]))
        return int(np.clip(2 - np.floor(np.log10(usual)), 2, 6)) if usual > 0 else 4

    def rows(self, limit: int | None = None) -> list[list[str]]:
        """Table rows: up to `limit` queries (all by default), best true final first, then the mean over all."""
        errors, interval, mean = self.errors(), self.interval(), self.forecast.mean[:, -1]

        def cell(value: float) -> str:
            return f"{value:.{self.decimals}f}"

        shown = np.arange(min(limit or len(self.truth), len(self.truth)))
        shown = shown[np.argsort(-self.task.metric.sign * self.final[shown], kind="stable")]
        table = []
        for i in shown:
            low, high = interval[i]
            values = [cell(v[i]) for v in (self.last, self.final, mean)]
            inside = "yes" if low <= self.final[i] <= high else "no"
            misses = [cell(e[i]) for e in errors.values()]
            table.append([str(self.truth.ids[i]), *values, f"{cell(low)} to {cell(high)}", inside, *misses])
        means = [cell(e.mean()) for e in errors.values()]
        table.append([f"mean of all {len(self.truth)}", "", "", "", "", f"{100 * self.coverage():.0f} %", *means])
        return table

    def summary(self) -> str:
        """What came out, in words."""
        mean = {name: float(e.mean()) for name, e in self.errors().items()}
        others = []
        for name in ("last value", "med5"):
            gain = f", gain {100 * (1 - mean['forecast'] / mean[name]):+.1f} %" if mean[name] else ""
            others.append(f"{name} {mean[name]:.{self.decimals}f}{gain}")
        text = (
            f"Mean error {mean['forecast']:.{self.decimals}f} ({'; '.join(others)}). "
            f"The 80 % interval holds {100 * self.coverage():.0f} % of the true finals."
        )
        if self.left_out:
            text += f" Left out, because diverged or shorter than four points: {self.left_out}."
        return textwrap.fill(text, 110)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        errors, interval = self.errors(), self.interval()
        runs = [
            {
                "run": run,
                "last_seen": self.last[i],
                "final": self.final[i],
                "forecast": self.forecast.mean[i, -1],
                "interval_80": interval[i].tolist(),
                "error": {name: e[i] for name, e in errors.items()},
            }
            for i, run in enumerate(self.truth.ids)
        ]
        return {
            "model": self.model,
            "task": self.task.name,
            "support": list(self.support.ids),
            "cut": self.cut,
            "mean_error": {name: e.mean() for name, e in errors.items()},
            "coverage_80": self.coverage(),
            "left_out": self.left_out,
            "runs": runs,
        }

    def draw(self, file: Any) -> None:
        """Write fan charts of the first queries as PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from metalcx.reports import plot_fan

        n = min(PANELS, len(self.truth))
        columns = min(3, n)
        lines = -(-n // columns)
        figure = Figure(figsize=(4.2 * columns, 2.9 * lines + 0.9), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(lines, columns, squeeze=False)
        for i, ax in enumerate(axes.flat):
            if i >= n:
                ax.set_axis_off()
                continue
            plot_fan(self.forecast, self.truth.ids[i], observed=self.seen, truth=self.truth, ax=ax)
            # Ticks stay: panels share no axis. Names of the axes are said once a row and column.
            ax.set_ylabel(ax.get_ylabel() if i % columns == 0 else "")
            ax.set_xlabel(ax.get_xlabel() if i + columns >= n else "")
        title = f"{self.task.name}: {self.model} after {len(self.support)} completed runs"
        figure.suptitle(f"{title}, from the first {100 * self.cut:.0f} %")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
        figure.savefig(file, format="png")


def report_on(study: Study, seed: int) -> Report:
    """The page of a task as it stood when its queries were cut; what it says of trust and stopping is of whole runs."""
    from dataclasses import replace

    from metalcx.decide import MOST_SUPPORT, StopPolicy
    from metalcx.reports import leave_out, replay_finished, report

    whole = Curves.concat([study.support, study.truth])
    found = report(
        Curves.concat([study.support, study.seen]),
        study.model,
        at=float(np.median(whole.t_last)),
        title=f"{study.task.name}, from the first {100 * study.cut:.0f} %",
        orders=0,
        seed=seed,
    )
    return replace(
        found,
        left_out=leave_out(whole, found.base, found.origin.name, most=MOST_SUPPORT, seed=seed),
        saved=replay_finished(whole, StopPolicy(found.base), seed=seed),
    )


def run_study(task: Task, model: str, k: int, cut: float, seed: int) -> Study:
    """Draw `k` completed runs as support, adapt, and forecast all others that share no group with them.

    Raises:
        DataError: If the task has too few runs.
    """
    from metalcx import hub
    from metalcx.forecasters import Baseline

    curves = task.curves()
    support, queries, left_out = _draw(curves, k, seed, task.name)
    truth, known = curves.take(queries), curves.take(support)
    n_seen = np.clip(np.round(cut * truth.length).astype(np.int64), 2, truth.length - 1)
    t_cut = truth.t[truth.offsets[:-1] + n_seen - 1]
    seen = truth.truncate(t_cut)
    at = t_cut[:, None] + (truth.t_last - t_cut)[:, None] * (np.arange(1, STEPS + 1) / STEPS)
    at[:, -1] = truth.t_last
    methods: tuple[Forecaster, Forecaster] = (hub.load(model), Baseline("med5"))
    forecast, med5 = (method.adapt(known, seed=seed).forecast(seen, at=at) for method in methods)
    return Study(task, model, cut, known, seen, truth, forecast, med5.mean[:, -1], left_out)


def _draw(curves: Curves, k: int, seed: int, name: str) -> tuple[IntArray, IntArray, int]:
    """Positions of support and queries in random order, and how many runs are fit for neither."""
    from metalcx.corpora import group_codes

    order = np.random.default_rng(seed).permutation(len(curves)).astype(np.int64)
    measured = curves.padded().length
    fit = order[
        (curves.status[order] != "diverged") & (measured[order] >= 4) & (measured[order] == curves.length[order])
    ]
    support = fit[curves.status[fit] == "completed"][:k]
    code = group_codes(curves)
    rest = fit[~np.isin(code[fit], code[support])]
    if len(support) < k or not len(rest):
        raise DataError(
            f"{name}: has too few completed runs for a support of {k} and something to forecast; lower --support"
        )
    return support, rest, len(curves) - len(fit)
