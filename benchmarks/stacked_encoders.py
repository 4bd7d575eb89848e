"""Time the training of several encoders as one stack, against the same trainings one after another.

    python benchmarks/stacked_encoders.py [--device cuda]

On cells of NAS-Bench-201, with labels made up from their operations: fine-tuning on 78 labels and 40 for validation,
and pre-training on 2,048 cells, each as published but for fewer epochs. Both ways in one run and one thread; the least
of `--repeat`. Writes `results/stacked_encoders.csv` (with `--device cuda`, `stacked_encoders_gpu.csv`).
"""

from __future__ import annotations

import argparse
import csv
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metalcx.encoders import (
    EncoderConfig,
    FinetuneConfig,
    GraphBatch,
    GraphEncoder,
    PretrainConfig,
    Ranker,
    new_encoder,
    synflow,
)
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many
from metalcx.encoders._pretrain import pretrain_many
from metalcx.graphs import all_nasbench201

RESULTS = Path(__file__).parent / "results"
KINDS, CELLS = ("gin", "gated-gcn"), 2048
FINE, PRE = (6, 18, 54), (9,)
FIELDS = ("device", "what", "encoder", "trainings", "epochs", "alone_s", "together_s", "times")


def fresh(kind: str, n: int) -> list[GraphEncoder]:
    """Encoders of the published width, of as many seeds."""
    return [new_encoder(EncoderConfig(kind), seed) for seed in range(n)]


def finetunings(kind: str, n: int, batch: GraphBatch, epochs: int, device: str) -> Callable[[int], Any]:
    """Fine-tuning of n encoders, so many at once."""
    config = FinetuneConfig(epochs=epochs)
    worth, jobs = np.log1p(synflow(batch)), []
    for seed, encoder in enumerate(fresh(kind, n)):
        order = np.random.default_rng(seed).permutation(len(batch))[:118]
        train, valid = (Lesson(part, worth[part]) for part in (order[:78], order[78:]))
        jobs.append(Job(Ranker.fresh(encoder, config), (train,), valid, seed))
    return lambda at_once: [
        finetune_many(batch, jobs[i : i + at_once], config, device=device) for i in range(0, n, at_once)
    ]


def pretrainings(kind: str, n: int, batch: GraphBatch, epochs: int, device: str) -> Callable[[int], Any]:
    """Pre-training of n encoders, so many at once."""
    proxy, configs = synflow(batch), [PretrainConfig(epochs=epochs, seed=seed) for seed in range(n)]

    def train(at_once: int) -> None:
        encoders = fresh(kind, n)
        for i in range(0, n, at_once):
            part = slice(i, i + at_once)
            pretrain_many(encoders[part], batch, configs[part], proxy=proxy, device=device)

    return train


def seconds(function: Callable[[], Any], repeat: int) -> float:
    """The least time of several."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)


def rows(device: str, repeat: int) -> Iterator[dict[str, Any]]:
    """All measurements."""
    graphs = {graph.hash: graph for _, graph in all_nasbench201()}
    batch = GraphBatch.from_graphs(list(islice(graphs.values(), CELLS)))
    for what, make, epochs, sizes in (("fine-tuning", finetunings, 10, FINE), ("pre-training", pretrainings, 2, PRE)):
        for kind in KINDS:
            for n in sizes:
                train = make(kind, n, batch, epochs, device)
                train(n)  # what a first call costs is not what is asked
                alone, together = (seconds(partial(train, k), repeat) for k in (1, n))
                measured = (f"{alone:.4g}", f"{together:.4g}", f"{alone / together:.3g}")
                yield dict(zip(FIELDS, (device, what, kind, n, epochs, *measured), strict=True))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeat", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    out = RESULTS / f"stacked_encoders{'' if given.device == 'cpu' else '_gpu'}.csv"
    with out.open("w", newline="") as file:
        file.write(f"# python {shlex.join(['benchmarks/stacked_encoders.py', *sys.argv[1:]])}\n")
        file.write(f"# torch {torch.__version__}, Python {platform.python_version()}\n")
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows(given.device, given.repeat):
            writer.writerow(row)
            file.flush()
            print(row)


if __name__ == "__main__":
    main()
