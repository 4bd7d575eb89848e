"""Time what a decision costs: the policy by itself, and inside Optuna beside Optuna's own median rule, in one run.

    python benchmarks/decision_cost.py

Made-up curves of 50 points with two hyperparameters; so many runs have finished, and of the running ones 20 points are
seen. `decide` is a decision when no run has finished since the last one, `adapt and decide` the first after one has.
Wall time and processor time, each the least of `--repeat`, one thread; on a machine that other work shares, only the
processor time says what a decision costs. Writes `results/decision_cost.csv`.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import torch

import metalcx as mx
from metalcx.integrations._policy import MODEL, policy_of
from metalcx.integrations.optuna import MetalcxPruner

RESULTS = Path(__file__).parent / "results"
FIELDS = ("who", "what", "finished", "running", "wall_ms", "cpu_ms")
POINTS, SEEN = 50, 20
FINISHED = (5, 20, 100, 1000)


def values(n: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Runs that rise, shape (n, POINTS), and their configurations."""
    rng = np.random.default_rng(seed)
    top, rate = rng.uniform(0.5, 0.9, (n, 1)), rng.uniform(0.05, 0.2, (n, 1))
    y = top * (1 - np.exp(-rate * np.arange(1.0, POINTS + 1))) + rng.normal(0, 0.01, (n, POINTS))
    return y, {"lr": 10 ** rng.uniform(-4, -1, n), "batch": 2.0 ** rng.integers(4, 9, n)}


def curves(finished: int, running: int) -> mx.Curves:
    """Finished runs and running ones."""
    parts = []
    for name, n, seed in (("done", finished, 0), ("run", running, 1)):
        y, config = values(n, seed)
        ids = [f"{name} {i}" for i in range(n)]
        wide = pd.DataFrame(y, index=ids, columns=np.arange(1.0, POINTS + 1))
        parts.append(mx.Curves.from_wide(wide, mx.Metric("value", "max"), pd.DataFrame({"run": ids, **config})))
    return mx.Curves.concat([parts[0], parts[1].truncate(SEEN)])


def study_of(finished: int) -> optuna.Study:
    """A study in memory with so many complete trials and one that runs."""
    study = optuna.create_study(direction="maximize")
    y, config = values(finished + 1, 0)
    uniform = optuna.distributions.FloatDistribution(0.0, 1e3)
    for i in range(finished + 1):
        last = POINTS if i < finished else SEEN
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if i < finished else optuna.trial.TrialState.RUNNING,
                value=y[i, -1] if i < finished else None,
                params={name: float(column[i]) for name, column in config.items()},
                distributions=dict.fromkeys(config, uniform),
                intermediate_values={t + 1: float(y[i, t]) for t in range(last)},
            )
        )
    return study


def least(work: Callable[[], Any], repeat: int) -> dict[str, float]:
    """The least wall and processor time, after one call that fills caches."""
    work()
    wall, cpu = [], []
    for _ in range(repeat):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall_ms": 1e3 * min(wall), "cpu_ms": 1e3 * min(cpu)}


def measured(repeat: int) -> Iterator[dict[str, Any]]:
    """One row a measurement."""
    for k in FINISHED:
        for n in (1, 1000):
            policy, asked = policy_of(MODEL), curves(k, n)
            row = {"who": "metalcx", "finished": k, "running": n}
            yield row | {"what": "decide"} | least(lambda p=policy, a=asked: p.decide(a), repeat)
            if n == 1:
                # A policy that remembers nothing adapts; what it then decides is not counted twice.
                fresh = [replace(policy, _adapted={}) for _ in range(1 + repeat)]
                spent = least(lambda f=fresh, a=asked: f.pop().decide(a), max(repeat // 5, 2))
                yield row | {"what": "adapt and decide"} | spent
        study = study_of(k)
        trial = study.get_trials(deepcopy=False)[-1]
        pruners = {"metalcx in Optuna": MetalcxPruner(), "Optuna's MedianPruner": optuna.pruners.MedianPruner()}
        for name, pruner in pruners.items():
            spent = least(lambda p=pruner, s=study, t=trial: p.prune(s, t), repeat)
            yield {"who": name, "what": "decide", "finished": k, "running": 1} | spent


def main() -> None:
    """Time all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    about = f"# python {shlex.join(sys.argv)}; metalcx {mx.__version__}, optuna {optuna.__version__}, "
    about += f"torch {torch.__version__}, 1 thread, {platform.machine()}, "
    about += f"{os.cpu_count()} processors at a load of {os.getloadavg()[0]:.1f}\n"
    rows = list(measured(asked.repeat))
    with (RESULTS / "decision_cost.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(about)
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.3g}" if isinstance(v, float) else v for k, v in row.items()})
    print(pd.DataFrame(rows)[list(FIELDS)].to_string(index=False))


if __name__ == "__main__":
    main()
