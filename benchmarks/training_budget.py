"""How long to train how large a network: errors on families that it did not learn from, without a whole benchmark.

    python benchmarks/training_budget.py PATH/TO/CORPORA --out .work/transfer 6000x2x96x2 6000x4x256x3:fewer

Each setting is steps x members x width x depth, with ``:fewer`` for a training without lcdb11 and smallnets. One fold
of five over all families is held out (`--fold`), and the episodes of its tasks in the pool of the transfer benchmark
(in OUT; drawn if it is missing) are the test. What was chosen, was chosen by the held-out families of lcdb11 and
smallnets, which are no targets of the protocol. Writes `results/training_budget.csv`: mean absolute error and CRPS of
each task in units of med5's expected error; settings that it holds already are not trained again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from metalcx.bench._study import EXTRA_SOURCES, Study
from metalcx.forecasters._gate_inputs import N_FEATURES
from metalcx.forecasters._gate_network import GateConfig, GateNetwork
from metalcx.protocol import LEVELS, SHARES
from metalcx.transfer._pool import NONE, Pool, PoolConfig, build_pool
from metalcx.transfer._tasks import PreparedTask
from metalcx.transfer._train import TrainConfig, as_tensors, episode_odds, episodic_loss, new_network, run_outer_loop

OUT = Path(__file__).parent / "results" / "training_budget.csv"
FOLDS = 5

#: Support sizes that are reported together.
SIZES = {"0": (0, 0), "1-3": (1, 3), "4-8": (4, 8), "9+": (9, 100)}


def trained(setting: str, pool: Pool, tasks: list[PreparedTask], held: np.ndarray) -> tuple[GateNetwork, float]:
    """The network of a setting that learned from the tasks that are not held out, and its processor seconds."""
    sizes, _, fewer = setting.partition(":")
    steps, members, width, depth = map(int, sizes.split("x"))
    usable = ~held & np.array([not (fewer and task.corpus in EXTRA_SOURCES) for task in tasks])
    config, size = TrainConfig(steps=steps), GateConfig(members, width, depth)
    network = new_network(size, pool.queries, config.seed)
    odds = episode_odds(pool, tasks, config, PoolConfig(), usable)
    started = time.process_time()
    run_outer_loop(network, episodic_loss(network, pool, odds, config), config, members)
    return network, time.process_time() - started


def scores(network: GateNetwork, pool: Pool, rows: np.ndarray) -> pd.DataFrame:
    """Absolute error of the mean and CRPS of some items of the pool, weighted as in training."""
    x, offsets, y, weight = as_tensors(pool.queries.take(rows))
    levels, shares = (torch.tensor(a, dtype=x.dtype) for a in (LEVELS, SHARES))
    found = []
    with torch.no_grad():
        for part in torch.arange(len(rows)).split(20_000):
            quantiles = network(x[part], offsets[part]).mean(0)
            miss = y[part, None] - quantiles
            crps = 2 * (torch.maximum(levels * miss, (levels - 1) * miss) * shares).sum(-1)
            error = ((quantiles * shares).sum(-1) - y[part]).abs()
            found.append(torch.stack([error, crps], 1) * weight[part, None])
    return pd.DataFrame(torch.cat(found).numpy(), columns=["error", "crps"])


def support_size(pool: Pool, rows: np.ndarray) -> pd.Series:
    """To which of `SIZES` the support of some items belongs; it is among their features."""
    k = np.expm1(pool.queries.x[rows, N_FEATURES - 4]).round()
    return pd.cut(pd.Series(k), [-1, *(high for _, high in SIZES.values())], labels=list(SIZES)).astype(str)


def main() -> None:
    """Train and score what is missing, and print gains over the first setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the corpora")
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--out", type=Path, default=Path(".work/transfer"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--results", type=Path, default=OUT)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(given.data, given.out, extra=False, folds=None)
    tasks = study.tasks()
    pool = build_pool(tasks, PoolConfig(), study.out / "pool", given.workers)
    families = sorted({task.family for task in tasks})
    fold = {families[j] for j in np.random.default_rng(0).permutation(len(families))[given.fold :: FOLDS]}
    held = np.array([task.family in fold for task in tasks])
    first, second = pool.task[pool.episode].T
    rows = np.flatnonzero((second == NONE) & (first != NONE) & held[first])
    about = pd.DataFrame({"task": [tasks[i].name for i in first[rows]], "K": support_size(pool, rows)})
    about["target"] = [study.is_target(tasks[i]) for i in first[rows]]
    table = pd.read_csv(given.results) if given.results.exists() else pd.DataFrame(columns=["setting", "fold"])
    for setting in given.settings:
        if ((table.setting == setting) & (table.fold == given.fold)).any():
            continue
        network, seconds = trained(setting, pool, tasks, held)
        means = about.join(scores(network, pool, rows)).groupby(["target", "task", "K"]).mean().reset_index()
        head = {"setting": setting, "fold": given.fold, "seconds": round(seconds)}
        table = pd.concat([table, means.assign(**head)])
        table.to_csv(given.results, index=False, float_format="%.5g")
    wide = np.log(table[table.fold == given.fold].set_index(["target", "K", "task", "setting"])["error"]).unstack()
    gains = 100 * (1 - np.exp(wide.sub(wide[given.settings[0]], axis=0).groupby(["target", "K"]).mean()))
    print(gains[given.settings].round(1).to_string())


if __name__ == "__main__":
    main()
