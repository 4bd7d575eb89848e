"""Time one outer step of gradient-based meta-training: inner loops of all episodes at once, and by learn2learn.

    python benchmarks/inner_loops.py [--device cuda]

The network of `metalcx-base`, episodes of made-up tasks, both engines in one run; the least of `--repeat` blocks of ten
steps. Writes `results/inner_loops.csv`.
"""

from __future__ import annotations

import argparse
import csv
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import metalcx as mx
from metalcx._parallel import joined
from metalcx.corpora import Corpus
from metalcx.forecasters._gate_network import GateConfig
from metalcx.transfer import InnerConfig, Pool, PoolConfig, TrainConfig, build_pool, prepared
from metalcx.transfer._inner import inner_loss, wrap
from metalcx.transfer._train import new_network

ROOT = Path(__file__).parents[1]
FIELDS = ("algorithm", "episodes", "learn2learn_s", "vmap_s", "times")
STEPS = 10


def seconds(pool: Pool, algorithm: str, inner: InnerConfig, device: str, repeat: int) -> float:
    """Of one outer step."""
    network = new_network(GateConfig(), pool.queries, 0).to(device)
    learner = wrap(network, algorithm, inner).to(device)
    odds = np.full(len(pool.task), 1 / len(pool.task))
    loss, weights = inner_loss(network, learner, pool, odds, TrainConfig(), inner), list(learner.parameters())
    spent = []
    for block in range(repeat + 1):
        start = time.perf_counter()
        for step in range(STEPS):
            torch.autograd.grad(loss(block * STEPS + step), weights)
        if device != "cpu":
            torch.cuda.synchronize()
        spent.append((time.perf_counter() - start) / STEPS)
    return min(spent[1:])


def main() -> None:
    """Time all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    tasks = prepared(Corpus.open(ROOT / "datasets" / "smallnets"), 8)[:12]
    config = PoolConfig(per_task=10, per_small_task=10, mixed=20, synthetic=20, with_support=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder, joined(asked.device):
        pool = build_pool(tasks, config, Path(folder))
        for algorithm in ("maml", "metasgd", "anil"):
            for episodes in (8, 32):
                spent = {
                    engine: seconds(
                        pool, algorithm, InnerConfig(episodes=episodes, engine=engine), asked.device, asked.repeat
                    )
                    for engine in ("learn2learn", "vmap")
                }
                both = (spent["learn2learn"], spent["vmap"])
                rows.append((algorithm, episodes, f"{both[0]:.4g}", f"{both[1]:.4g}", f"{both[0] / both[1]:.2f}"))
    name = "inner_loops.csv" if asked.device == "cpu" else "inner_loops_gpu.csv"
    with (ROOT / "benchmarks" / "results" / name).open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"# python {shlex.join(sys.argv)}; metalcx {mx.__version__}, torch {torch.__version__}, "
            f"{torch.get_num_threads()} threads, {platform.machine()}\n"
        )
        csv.writer(file, lineterminator="\n").writerows([FIELDS, *rows])
    for row in (FIELDS, *rows):
        print(*(f"{cell!s:>14}" for cell in row))


if __name__ == "__main__":
    main()
