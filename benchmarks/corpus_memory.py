"""Peak memory of writing, scanning and checking corpora of 1, 10 and 100 million points.

    python benchmarks/corpus_memory.py [--points 1000000 10000000 100000000] [--out FILE]

Each operation runs in a process of its own, whose peak resident memory (`ru_maxrss`) and seconds are recorded. Runs
have 100 points of two metrics, tasks 1,000 runs: 100 million points are a million runs. `open` is what opening
alone takes, imports included; `task` reads the curves of the last task.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RESULTS = Path(__file__).parent / "results" / "corpus_memory.csv"
RUN_POINTS, TASK_RUNS = 100, 1_000
OPERATIONS = ("write", "open", "task", "scan", "validate")
FIELDS = ("points", "runs", "operation", "seconds", "peak_rss_mib", "corpus_mib", "batch_points")


def write(folder: Path, points: int) -> None:
    from metalcx.corpora import CorpusWriter
    from metalcx.curves import Metric

    metrics = (Metric("val_loss", "min", 0.0), Metric("val_accuracy", "max", 0.0, 1.0))
    known = {"licence": "CC0-1.0", "citation": "none", "redistributable": True}
    with CorpusWriter(folder, name="synthetic", time_unit="epoch", metrics=metrics, **known) as writer:
        writer.add_architecture("mlp", format="name")
        for task, curves in synthetic(points, metrics):
            writer.add_task(task, dataset=task, family=task, domain="synthetic", metric="val_loss")
            writer.add_runs(task, curves)


def synthetic(points: int, metrics: tuple) -> Iterator[tuple]:
    """Tasks of curves that fall like a power of t; one run in fifty diverges."""
    import numpy as np
    import pandas as pd

    from metalcx.curves import Curves

    t = np.arange(1.0, RUN_POINTS + 1)
    for k in range(max(1, points // (RUN_POINTS * TASK_RUNS))):
        rng = np.random.default_rng(k)
        rate = rng.uniform(0.1, 1.0, TASK_RUNS)
        loss = (0.2 + t ** -rate[:, None] + rng.normal(0, 0.005, (TASK_RUNS, RUN_POINTS))).clip(0)
        accuracy = np.exp(-loss)
        diverged = np.arange(TASK_RUNS) % 50 == 0
        loss[diverged, -1], accuracy[diverged, -1] = np.inf, np.nan
        curves = Curves(
            metric=metrics[0],
            metrics=metrics,
            ids=np.array([f"task{k}-{i}" for i in range(TASK_RUNS)], dtype=object),
            offsets=np.arange(TASK_RUNS + 1) * RUN_POINTS,
            t=np.tile(t, TASK_RUNS),
            values={"val_loss": loss.ravel(), "val_accuracy": accuracy.ravel()},
            status=np.where(diverged, "diverged", "completed").astype(object),
            config=pd.DataFrame({"rate": rate}),
            arch=np.array(["mlp"] * TASK_RUNS, dtype=object),
        )
        yield f"task{k}", curves


def perform(operation: str, folder: Path, points: int, batch: int) -> None:
    from metalcx.corpora import Corpus, validate

    if operation == "write":
        write(folder, points)
        return
    corpus = Corpus.open(folder)
    if operation == "task":
        corpus.task(corpus.task_names[-1]).curves()
    elif operation == "scan":
        seen = sum(len(piece) for piece in corpus.scan(batch))
        if seen != corpus.n_points:
            raise SystemExit(f"{seen} points scanned of {corpus.n_points}")
    elif operation == "validate":
        validate(folder).raise_if_invalid()


def child(operation: str, folder: Path, points: int, batch: int) -> None:
    start = time.perf_counter()
    perform(operation, folder, points, batch)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    print(json.dumps({"seconds": round(seconds, 2), "peak_rss_mib": round(peak)}))


def measure(points: list[int], batch: int) -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="metalcx-corpus-memory-") as scratch:
        for n in points:
            folder = Path(scratch) / str(n)
            for operation in OPERATIONS:
                command = [
                    sys.executable,
                    __file__,
                    "--child",
                    operation,
                    str(folder),
                    "--points",
                    str(n),
                    "--batch",
                    str(batch),
                ]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                size = sum(f.stat().st_size for f in folder.iterdir()) / 2**20
                row = {
                    "points": n,
                    "runs": n // RUN_POINTS,
                    "operation": operation,
                    "corpus_mib": round(size, 1),
                    "batch_points": batch,
                }
                yield {**row, **json.loads(done.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[10**6, 10**7, 10**8])
    parser.add_argument("--batch", type=int, default=1 << 18, help="batch_points of Corpus.scan")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=2, metavar=("OPERATION", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], Path(args.child[1]), args.points[0], args.batch)
        return
    import metalcx

    rows = []
    for row in measure(args.points, args.batch):
        print(row, file=sys.stderr)
        rows.append(row)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        points = " ".join(map(str, args.points))
        file.write(f"# python benchmarks/corpus_memory.py --points {points} --batch {args.batch}\n")
        file.write(
            f"# metalcx {metalcx.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores shared\n"
        )
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
