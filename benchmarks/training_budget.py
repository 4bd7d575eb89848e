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
from metalcx.transfer._train import TrainConfig, as_tensors, episode_odds, episodic_loss, new_network, run_outer_loop

OUT = Path(__file__).parent / "results" / "training_budget.csv"
FOLDS = 5

#: Support sizes that are reported together.
SIZES = {"0": (0, 0), "1-3": (1, 3), "4-8": (4, 8), "9+": (9, 100)}


class HeldOut:
    """One fold of five over families, and the episodes of its tasks in the pool of a transfer benchmark.

    Args:
        study: The benchmark; its pool is drawn if it is missing.
        fold: Which fold is held out.
        workers: Processes that draw.
    """

    def __init__(self, study: Study, fold: int, workers: int = 1) -> None:
        self.fold, self.tasks = fold, study.tasks()
        self.pool = build_pool(self.tasks, PoolConfig(), study.out / "pool", workers)
        families = sorted({task.family for task in self.tasks})
        chosen = {families[j] for j in np.random.default_rng(0).permutation(len(families))[fold::FOLDS]}
        self.held = np.array([task.family in chosen for task in self.tasks])
        first, second = self.pool.task[self.pool.episode].T
        self.rows = np.flatnonzero((second == NONE) & (first != NONE) & self.held[first])
        owner = [self.tasks[i] for i in first[self.rows]]
        self.about = pd.DataFrame({"task": [t.name for t in owner], "K": support_size(self.pool, self.rows)})
        self.about["target"] = [study.is_target(t) for t in owner]

    def measure(self, setting: str) -> pd.DataFrame:
        """Train without the fold; one row a task and support size: setting, fold, errors, seconds of training."""
        network, seconds = self._trained(setting)
        found = self.about.join(scores(network, self.pool, self.rows))
        means = found.groupby(["target", "task", "K"]).mean().reset_index()
        return means.assign(setting=setting, fold=self.fold, seconds=round(seconds))

    def _trained(self, setting: str) -> tuple[GateNetwork, float]:
        sizes, _, fewer = setting.partition(":")
        steps, members, width, depth = map(int, sizes.split("x"))
        usable = ~self.held & np.array([not (fewer and task.corpus in EXTRA_SOURCES) for task in self.tasks])
        config, size = TrainConfig(steps=steps), GateConfig(members, width, depth)
        network = new_network(size, self.pool.queries, config.seed)
        odds = episode_odds(self.pool, self.tasks, config, PoolConfig(), usable)
        started = time.process_time()
        run_outer_loop(network, episodic_loss(network, self.pool, odds, config), config, members)
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
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(columns=["setting", "fold"])
    done = set(table[table.fold == given.fold].setting)
    held_out = HeldOut(Study(given.data, given.out, extra=False, folds=None), given.fold)
    for setting in given.settings:
        if setting not in done:
            table = pd.concat([table, held_out.measure(setting)])
            table.to_csv(OUT, index=False, float_format="%.5g")
    wide = np.log(table[table.fold == given.fold].set_index(["target", "K", "task", "setting"])["error"]).unstack()
    gains = 100 * (1 - np.exp(wide.sub(wide[given.settings[0]], axis=0).groupby(["target", "K"]).mean()))
    print(gains[given.settings].round(1).to_string())


if __name__ == "__main__":
    main()
