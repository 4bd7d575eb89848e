"""What was chosen about `metalcx-base` on smallnets, by models that had not learned from smallnets.

    python benchmarks/choices.py parts PATH/TO/CORPORA --out .work/ode --folds 5 --to benchmarks/results/ode/choices.csv
    python benchmarks/choices.py inner-loops PATH/TO/CORPORA --out .work/ode --folds 5 \\
        --to benchmarks/results/ode/inner_loops.csv

`--out` is the folder of `metalcx bench transfer`, whose episodes are used. All models are trained on all sources but
smallnets, and judged on 45 tasks of it drawn at random: one draw, K = 5 and 20, cuts .1 and .2. `parts` are an expert
gate, a latent graph ODE and one that is told configurations; `inner-loops` an expert gate trained by plain episodes,
and through each inner loop. Each is adapted as it is (`full`), and only by reading the support (`amortised`). Errors
are against those of the gate of the same row; tau is Kendall's with the finals.
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
from metalcx.bench.transfer._trained import GRADIENT, GRADIENT_STEPS, Pools, pool_config
from metalcx.forecasters import ExpertGate, LatentGraphODE
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.transfer import MetaConfig, TrainConfig, train_on
from metalcx.transfer._ode_train import OdeMetaConfig, train_ode_on
from metalcx.transfer._tasks import PreparedTask, cut_times, draw

SIZES, CUTS, TASKS, MIN_RUNS = (5, 20), (0.1, 0.2), 45, 45

#: Rows that are means of two others.
MEANS = {"mean of gate and ode": ("gate", "ode")}


class Trained:
    """Models trained without smallnets; checkpoints stay in the study's folder."""

    def __init__(self, study: Study, workers: int) -> None:
        self.tasks = study.tasks()
        self.pools, self.folder, self.workers = Pools(study, self.tasks), study.out / "models", workers
        self.usable = np.array([task.corpus != OURS for task in self.tasks])

    def gate(self, name: str, algorithm: str = "episodic") -> ExpertGate:
        """An expert gate as the row `name` of the transfer benchmark is trained."""
        pool, learned = self.pools.of(name, self.workers)
        steps = TrainConfig.steps if algorithm == "episodic" else GRADIENT_STEPS
        config = MetaConfig(algorithm, pool=pool_config(name), train=TrainConfig(steps=steps))
        path = self.folder / f"choice-{'gate' if algorithm == 'episodic' else algorithm}.safetensors"
        return train_on(pool, learned, config, path, self.usable)

    def ode(self, name: str, told: bool) -> LatentGraphODE:
        """A latent graph ODE that is told configurations, or not."""
        pool, encoder = self.pools.ode.of("graph-ode", self.workers)
        path = self.folder / f"choice-{name.replace(' ', '-')}.safetensors"
        return train_ode_on(pool, self.tasks, OdeMetaConfig(OdeConfig(config=told)), encoder, path, self.usable)


def parts(trained: Trained) -> dict[str, Any]:
    """What is averaged, and whether it is told configurations."""
    told = {name: trained.ode(name, told) for name, told in (("ode", False), ("ode with configurations", True))}
    return {"gate": trained.gate("metalcx"), **told}


def inner_loops(trained: Trained) -> dict[str, Any]:
    """The same network by plain episodes, and through each inner loop."""
    names = {name: name.removeprefix("metalcx-") for name in GRADIENT}
    return {"gate": trained.gate("metalcx"), **{short: trained.gate(name, short) for name, short in names.items()}}


MODELS = {"parts": parts, "inner-loops": inner_loops}


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
                told |= {name: (told[a] + told[b]) / 2 for name, (a, b) in MEANS.items() if a in told and b in told}
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
    parser.add_argument("what", choices=sorted(MODELS))
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw episodes")
    given = parser.parse_args()
    study = Study(given.data, given.out, extra=False, folds=given.folds)
    trained = Trained(study, given.workers)
    found = MODELS[given.what](trained)
    ours = [(number, task) for number, task in enumerate(trained.tasks) if task.corpus == OURS]
    chosen = [ours[i] for i in np.random.default_rng(0).permutation(len(ours))[:TASKS]]
    rows = [row for n, task in chosen if len(task.curves) >= MIN_RUNS for row in rows_of(found, task, n)]
    summarised(pd.DataFrame(rows)).to_csv(given.to, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
