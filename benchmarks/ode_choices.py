"""What was chosen about `metalcx-base` on smallnets, by models that had not learned from smallnets.

    python benchmarks/ode_choices.py PATH/TO/CORPORA --out .work/ode --folds 5 --to benchmarks/results/ode/choices.csv

`--out` is the folder of `metalcx bench transfer`, whose episodes are used. An expert gate, a latent graph ODE and one
that is told configurations are trained on all sources but smallnets, and judged on 45 tasks of it drawn at random: one
draw, K = 5 and 20, cuts .1 and .2. Each is adapted as it is (`full`), and only by reading the support (`amortised`).
Errors are against those of the gate of the same row; tau is Kendall's with the finals.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from metalcx.bench._study import OURS, Study
from metalcx.bench.transfer._trained import Pools, pool_config
from metalcx.forecasters import ExpertGate, LatentGraphODE
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.transfer import MetaConfig, train_on
from metalcx.transfer._ode_train import OdeMetaConfig, train_ode_on
from metalcx.transfer._tasks import PreparedTask, cut_times, draw

SIZES, CUTS, TASKS, MIN_RUNS = (5, 20), (0.1, 0.2), 45, 45

#: Rows that are means of two others.
MEANS = {"mean of gate and ode": ("gate", "ode")}


def models(study: Study, tasks: list[PreparedTask]) -> dict[str, Any]:
    """Trained without smallnets; checkpoints stay in the study's folder."""
    pools, folder = Pools(study, tasks), study.out / "models"
    usable = np.array([task.corpus != OURS for task in tasks])
    pool, learned = pools.of("metalcx")
    config = MetaConfig(pool=pool_config("metalcx"))
    found: dict[str, Any] = {"gate": train_on(pool, learned, config, folder / "choice-gate.safetensors", usable)}
    of_ode, encoder = pools.ode.of("graph-ode")
    for name, told in (("ode", False), ("ode with configurations", True)):
        size = OdeMetaConfig(OdeConfig(config=told))
        path = folder / f"choice-{name.replace(' ', '-')}.safetensors"
        found[name] = train_ode_on(of_ode, tasks, size, encoder, path, usable)
    return found


def amortised(model: ExpertGate | LatentGraphODE) -> ExpertGate | LatentGraphODE:
    """The same weights, adapted by reading the support alone."""
    return replace(model, inner=InnerLoop(candidates=(0,)), beside=False)


def rows_of(found: dict[str, Any], task: PreparedTask, number: int) -> Iterator[dict[str, Any]]:
    """Errors and tau on one task."""
    drawn = draw(task, max(SIZES), (number, 0))
    queries = task.curves.take(drawn.queries)
    for k in SIZES:
        support = task.curves.take(drawn.support[:k])
        for how, change in (("full", lambda m: m), ("amortised", amortised)):
            adapted = {name: change(model).adapt(support) for name, model in found.items()}
            for cut in CUTS:
                seen, at = queries.truncate(cut_times(queries, cut)), queries.t_last[:, None]
                told = {name: model.forecast(seen, at).mean.reshape(-1) for name, model in adapted.items()}
                told |= {name: (told[a] + told[b]) / 2 for name, (a, b) in MEANS.items()}
                for name, values in told.items():
                    error = float(np.abs(values - queries.final).mean() / task.scale)
                    tau = float(kendalltau(values, queries.final).statistic)
                    yield {
                        "task": task.name,
                        "K": k,
                        "cut": cut,
                        "adapted": how,
                        "row": name,
                        "error": error,
                        "tau": tau,
                    }


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over tasks: gain over the gate, and tau."""
    rows = rows.assign(log=np.log(rows["error"]))
    by_task = rows.groupby(["adapted", "K", "task", "row"])[["log", "tau"]].mean().unstack("row")
    behind = by_task["log"].sub(by_task["log"]["gate"], axis=0).groupby(["adapted", "K"]).mean()
    gain = (1 - np.exp(behind)).stack().rename("gain over the gate")
    tau = by_task["tau"].groupby(["adapted", "K"]).mean().stack().rename("tau")
    return pd.concat([gain, tau], axis=1).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    study = Study(given.data, given.out, extra=False, folds=given.folds)
    tasks = study.tasks()
    found = models(study, tasks)
    ours = [(number, task) for number, task in enumerate(tasks) if task.corpus == OURS]
    chosen = [ours[i] for i in np.random.default_rng(0).permutation(len(ours))[:TASKS]]
    rows = [row for n, task in chosen if len(task.curves) >= MIN_RUNS for row in rows_of(found, task, n)]
    summarised(pd.DataFrame(rows)).to_csv(given.to, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
