"""Where a forecaster of a transfer study fails worst, with the reason, and how well its quantiles are calibrated.

    python benchmarks/failures.py PATH/TO/CORPORA --out .work/ode --folds 5 --forecaster metalcx-ensemble \\
        --to benchmarks/results/ode

`--out` is the folder of `metalcx bench transfer`, whose trained models are read. Of each target task the first draw is
forecast again, at K = 5 and 20. Writes `calibration.csv` and `.png` (beside metalcx and med5), `failures.md`, and a
picture of each of the worst tasks: the queries missed by most, with what was seen and how they went on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from metalcx.bench._study import Study, Unit
from metalcx.bench.transfer._run import STATIC, folds_of
from metalcx.bench.transfer._trained import TRAINED, Pools, train
from metalcx.curves import Curves
from metalcx.protocol import LEVELS, Forecast, Forecaster
from metalcx.reports import plot_calibration, plot_fan
from metalcx.transfer._tasks import PreparedTask, cut_times, draw

SIZES, CUTS, WORST, SHOWN = (5, 20), (0.1, 0.2, 0.4), 8, 3


@dataclass(frozen=True)
class Asked:
    """The queries of a task at one K and cut, and what was forecast."""

    forecaster: str
    task: PreparedTask
    k: int
    cut: float
    support: Curves
    queries: Curves
    forecast: Forecast

    @property
    def misses(self) -> np.ndarray:
        """Error of each query's final, in the task's unit of error."""
        return np.abs(self.forecast.mean - self.queries.final) / self.task.scale

    @property
    def below(self) -> np.ndarray:
        """Share of truths at or below each quantile, shape (levels,)."""
        return (self.queries.final[:, None] <= self.forecast.values[:, 0] + 1e-9 * self.task.scale).mean(0)


def asked(study: Study, names: list[str]) -> Iterator[Asked]:
    """All of them, a held-out family after the other."""
    tasks = study.tasks()
    pools = Pools(study, tasks)
    for fold, families in enumerate(folds_of(study, tasks)):
        bases = {n: train(Unit(n, 0, fold, families), pools) if n in TRAINED else STATIC[n]() for n in names}
        for number, task in enumerate(tasks):
            if task.family in families and study.is_target(task):
                for name, base in bases.items():
                    yield from _of_task(name, base, task, number)


def _of_task(name: str, base: Forecaster, task: PreparedTask, number: int) -> Iterator[Asked]:
    drawn = draw(task, max(SIZES), (number, 0))
    queries = task.curves.take(drawn.queries)
    for k in SIZES:
        support = task.curves.take(drawn.support[:k])
        model = base.adapt(support)
        for cut in CUTS:
            forecast = model.forecast(queries.truncate(cut_times(queries, cut)), queries.t_last[:, None])
            yield Asked(name, task, k, cut, support, queries, forecast)


def reason(found: Asked) -> str:
    """What the queries that were missed by most have in common, by what their curves show."""
    worst = np.argsort(found.misses)[-max(len(found.misses) // 10, 3) :]
    queries = found.queries.take(worst)
    seen = queries.truncate(cut_times(queries, found.cut))
    final, last, best = queries.final, seen.final, np.array([run.y.max() for run in queries])
    reach = np.ptp(found.task.curves.y)
    finals = found.task.final
    told = []
    if found.task.scale < 0.06 * np.ptp(finals):
        told.append(
            f"finals lie close together (their unit of error is {found.task.scale / np.ptp(finals):.1%} of their range)"
        )
    if ((best - final) > 0.1 * reach).mean() > 0.3:
        told.append("they fall back from their best before the end")
    flat = np.array([np.ptp(run.y) < 0.05 * reach for run in seen])
    if (flat & (final - last > 0.2 * reach)).mean() > 0.3:
        told.append("what is seen of them is flat, and they rise later")
    if (final - last < 0.02 * reach).mean() > 0.5 and (found.forecast.mean[worst] - final > 0).mean() > 0.5:
        told.append("they hardly rise any more, where the support did")
    support = found.support.final
    if ((final < support.min()) | (final > support.max())).mean() > 0.5:
        told.append("they end outside what the support showed")
    return "; ".join(told) or "no common reason: single runs that go another way than those of like prefix"


def draw_worst(found: Asked, model_name: str, path: Path) -> None:
    """The queries missed by most, each a fan at its end."""
    figure = Figure(figsize=(3.2 * SHOWN, 2.8), layout="constrained")
    for ax, i in zip(figure.subplots(1, SHOWN), np.argsort(found.misses)[::-1][:SHOWN], strict=True):
        run = found.queries.take([i])
        seen = run.truncate(cut_times(run, found.cut))
        plot_fan(found.forecast.take([i]), run.ids[0], observed=seen, truth=run, ax=ax)
        ax.set_title(f"missed by {found.misses[i]:.1f}", fontsize=9)
    figure.suptitle(f"{found.task.name}, K = {found.k}, cut {found.cut:g}: {model_name}", fontsize=9)
    figure.savefig(path, dpi=80)


def write_calibration(shares: pd.DataFrame, to: Path) -> None:
    """Table and picture: means over tasks, K = 5 on the left."""
    shares.to_csv(to / "calibration.csv", index=False, float_format="%.4f")
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    for ax, k in zip(figure.subplots(1, len(SIZES)), SIZES, strict=True):
        own = shares[shares["K"] == k].set_index("forecaster").drop(columns="K")
        plot_calibration({str(name): row.to_numpy() for name, row in own.iterrows()}, ax=ax)
        ax.set_title(f"K = {k}")
    figure.savefig(to / "calibration.png", dpi=80)


def calibrated(name: str, shares: pd.DataFrame) -> list[str]:
    """The first lines of the page."""
    lines = [f"# Calibration of {name}, and where it fails worst", ""]
    lines += ["Share of finals inside the central interval, mean over tasks, cuts and the queries of one draw:", ""]
    lines += ["| | K | 50 % | 80 % | 95 % |", "|---|---|---|---|---|"]
    for row in shares.itertuples(index=False):
        below = dict(zip(np.round(LEVELS, 3), row[2:], strict=True))
        inside = [below[high] - below[round(1 - high, 3)] for high in (0.75, 0.9, 0.975)]
        lines.append(f"| {row[0]} | {row[1]} | " + " | ".join(f"{share:.3f}" for share in inside) + " |")
    return [*lines, "", "![calibration](calibration.png)", ""]


#: What the page says of its second part.
FAILURES = (
    "## The worst tasks",
    "",
    "Of each task its worst K (5, 20) and cut, by the error over that of med5; of those the worst. Errors are in the",
    "unit of the task (its finals' inter-quartile range); reasons are those of the tenth of queries missed by most.",
    "",
)


def main() -> None:
    """Forecast again, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True, help="folder of the transfer study")
    parser.add_argument("--folds", type=int)
    parser.add_argument("--forecaster", default="graph-ode")
    parser.add_argument("--to", type=Path, required=True, help="folder of the page")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    study = Study(given.data, given.out, extra=False, folds=given.folds)
    names = list(dict.fromkeys([given.forecaster, "metalcx", "med5"]))
    rows, own, control = [], [], {}
    for found in asked(study, names):
        rows.append(
            {"forecaster": found.forecaster, "K": found.k, "task": found.task.name} | dict(enumerate(found.below))
        )
        key = found.task.name, found.k, found.cut
        if found.forecaster == given.forecaster:
            own.append((key, found))
        elif found.forecaster == "med5":
            control[key] = float(found.misses.mean())
    by_task = pd.DataFrame(rows).groupby(["forecaster", "K", "task"]).mean()
    shares = by_task.groupby(["forecaster", "K"]).mean().reset_index()
    write_calibration(shares.rename(columns={i: f"q{level:g}" for i, level in enumerate(LEVELS)}), given.to)
    own.sort(key=lambda pair: -pair[1].misses.mean() / control[pair[0]])
    worst = list({key[0]: (key, found) for key, found in reversed(own)}.values())[::-1]
    worst.sort(key=lambda pair: -pair[1].misses.mean() / control[pair[0]])
    lines = [*calibrated(given.forecaster, shares), *FAILURES]
    for (name, k, cut), found in worst[:WORST]:
        picture = f"{name.replace('/', '-')}.png"
        draw_worst(found, given.forecaster, given.to / picture)
        error = float(found.misses.mean())
        lines += [
            f"### {name}, K = {k}, cut {cut:g}",
            "",
            f"Error {error:.3g}, med5's {control[name, k, cut]:.3g}: {reason(found)}.",
            "",
            f"![{name}]({picture})",
            "",
        ]
    (given.to / "failures.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
