"""Summaries of `results/searches/*_raw.csv`: small tables with intervals or ranges over seeds.

python benchmarks/searches_tables.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results" / "searches"
DRAWS = 2000

HEAD = """# Searches with and without forecasts

Recorded runs, trained again point by point; written by `python benchmarks/searches_tables.py` from the raw figures.
All forecasters learn from the runs of the search itself; none saw another task. SRM is the paper's ordinary least
squares, med5 the median of five simple experts. Baker et al. report about 2x for f-Hyperband over Hyperband (40 runs of
Hyperband, eta 3, Delta .95), up to 7x with models of earlier runs, 3.8x for the stop rule in MetaQNN (Delta .99) and 3
to 6x in simulated settings.
"""

HALVING = """
## Hyperband, f-Hyperband and ASHA

The first five tasks of each corpus with at least 250 runs of 20 to 150 points; pools of up to 600 runs, each started
once; eta 3, R at most 27 units, Delta .95, models of f-Hyperband made once of 100 runs, ASHA with 8 workers. Speed-up:
points of training all runs to the end over points spent, geometric mean over tasks. Regret: of the run that was kept,
over q95 - q05 of finals, mean over tasks. Found: share of tasks in which the best run was trained to its end. Mean over
seeds [lowest, highest seed].
"""

BY_TASK = """
## f-Hyperband over Hyperband, by task

Points of Hyperband over points of f-Hyperband, same order of runs; regret of either. Mean over seeds [lowest, highest].
One in three of each rung has to reach it, so that no more than 1.67x (R = 27) or 1.83x (R = 20) could be saved, if all
others were stopped after their first unit.
"""

LAYERS = """
## MetaQNN's networks: Q-learning and random search

All recorded networks of a task, none trained twice; rate .01, discount 1, 100 replays, epsilon in the paper's
proportions. Delta .99, burn-in 100. Until best / top 1 %: compute until the best network, or the first of the best 1 %,
was trained to its end, in whole trainings of one network; median over seeds with a 95 % bootstrap interval, infinite
where it was stopped. Saved: compute of the same search without the rule over that with it, all networks / until the
best (median of pairs).
"""


def spread(values: pd.Series) -> tuple[float, float, float]:
    """Mean, lowest and highest."""
    return float(values.mean()), float(values.min()), float(values.max())


def bootstrap(values: np.ndarray) -> tuple[float, float, float]:
    """Median and its 95 % percentile interval, infinities included."""
    drawn = np.random.default_rng(0).choice(values, (DRAWS, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975], method="nearest")
    return float(np.median(values)), float(low), float(high)


def told(figure: tuple[float, float, float], digits: int = 3) -> str:
    mean, low, high = ("nan" if np.isnan(x) else f"{x:.{digits}g}" for x in figure)
    return f"{mean} [{low}, {high}]"


def halving(raw: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a (corpus, method), and f-Hyperband over Hyperband by task."""
    raw = raw.assign(corpus=raw.task.str.split("/").str[0], gain=-np.log(raw.spent), found=np.isfinite(raw.until_best))
    plain = raw[raw.method == "Hyperband"].set_index(["task", "seed"]).spent
    raw["ratio"] = np.log(plain.reindex(pd.MultiIndex.from_frame(raw[["task", "seed"]])).to_numpy() / raw.spent)
    rows = []
    for corpus, part in [*raw.groupby("corpus"), ("all", raw)]:
        for method, own in part.groupby("method", sort=False):
            n = own.groupby("seed").task.nunique()
            seeds = n.index[n == own.task.nunique()]
            by_seed = own[own.seed.isin(seeds)].groupby("seed")
            row = {"corpus": corpus, "method": method, "tasks": own.task.nunique(), "seeds": len(seeds)}
            row["speed_up"] = told(exponential(spread(by_seed.gain.mean())))
            row["over_hyperband"] = told(exponential(spread(by_seed.ratio.mean())))
            row["regret"] = told(spread(by_seed.regret.mean()))
            row["found"] = told(spread(by_seed.found.mean()))
            rows.append(row)
    return pd.DataFrame(rows), by_task(raw)


def exponential(figure: tuple[float, float, float]) -> tuple[float, float, float]:
    a, b, c = (float(np.exp(x)) for x in figure)
    return a, b, c


def by_task(raw: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for task, part in raw.groupby("task"):
        regret = part.groupby("method").regret.mean()
        row = {"task": task, "seeds": part.seed.nunique(), "regret_hyperband": f"{regret['Hyperband']:.3g}"}
        for method, own in part[part.method.str.startswith("f-")].groupby("method", sort=False):
            name = method.removeprefix("f-Hyperband, ")
            row[name] = told(exponential(spread(own.ratio)))
            row[f"regret, {name}"] = f"{regret[method]:.3g}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("-")


def layers(raw: pd.DataFrame) -> pd.DataFrame:
    """One row a (task, method)."""
    rows = []
    for (task, method), own in raw.groupby(["task", "method"], sort=False):
        own, runs = own.set_index("seed"), int(own.runs.iloc[0])
        row = {"task": task, "method": method, "seeds": len(own)}
        row["all"] = told(bootstrap(runs * own.spent.to_numpy()), 4)
        for name in ("best", "top"):
            row[f"until_{name}"] = told(bootstrap(runs * own[f"until_{name}"].to_numpy()), 4)
        row["found"] = f"{np.isfinite(own.until_best).mean():.2f}"
        row["regret"] = f"{own.regret.mean():.3g}"
        plain = raw[(raw.task == task) & (raw.method == method.removesuffix(", stop rule"))].set_index("seed")
        pairs = own.index.intersection(plain.index)
        for name in ("spent", "until_best"):
            row[f"saved_{name}"] = told(bootstrap((plain[name][pairs] / own[name][pairs]).to_numpy()))
        rows.append(row)
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    lines = [frame.columns, ["---"] * len(frame.columns), *frame.astype(str).to_numpy()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def summarise() -> None:
    """Write `halving.csv`, `halving_by_task.csv`, `layers.csv` and `tables.md` from what has been measured."""
    text, seconds = HEAD, 0.0
    parts: list[tuple[str, Callable[[pd.DataFrame], object], list[tuple[str, str]]]] = [
        ("layers", lambda raw: [layers(raw)], [("layers", LAYERS)]),
        ("halving", halving, [("halving", HALVING), ("halving_by_task", BY_TASK)]),
    ]
    for part, summary, names in parts:
        file = RESULTS / f"{part}_raw.csv"
        if not file.exists():
            continue
        raw = pd.read_csv(file)
        seconds += float(raw.cpu_seconds.sum())
        for (name, about), frame in zip(names, summary(raw), strict=True):  # type: ignore[call-overload]
            frame.to_csv(RESULTS / f"{name}.csv", index=False, lineterminator="\n")
            text += f"{about}\n{markdown(frame)}"
    (RESULTS / "tables.md").write_text(f"{text}\nSearching took {seconds:.0f} seconds of one core in all.\n")


if __name__ == "__main__":
    summarise()
