"""What large numbers cost: 100,000 running curves in one decision, ten million curves streamed, hours of watching.

    python benchmarks/load.py [--part decide --part corpus --part watch] [--out FILE]

Every size runs in a process of its own, whose processor seconds and peak resident memory are recorded. `ratio` is what
one unit costs beside what it cost at the size before: 1 is linear. `memory_ratio` is the peak beside that before: 1 is
flat. Sizes are running curves (decide), curves of five points (corpus), and decisions (watch); of watching, memory is
that at the end of each quarter, and a unit's cost that within the quarter. Writes `results/load.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FIELDS = ("part", "what", "size", "cpu_s", "peak_mb", "us_per_unit", "ratio", "memory_ratio")
RUNNING = (1_000, 10_000, 100_000)
CURVES = (100_000, 1_000_000, 10_000_000)
DECISIONS = 2_000
POINTS, TASK_RUNS = 5, 50_000


def curves(n: int, points: int, status: str, seed: int, name: str) -> Any:
    """Losses that fall to levels of their own."""
    from metalcx.curves import Curves, Metric

    rng = np.random.default_rng(seed)
    t = np.arange(1.0, points + 1)
    y = rng.uniform(0.1, 0.5, (n, 1)) + t ** -rng.uniform(0.3, 1.0, (n, 1)) + rng.normal(0, 0.003, (n, points))
    return Curves(
        metric=Metric("val_loss", "min"),
        ids=np.array([f"{name}{i}" for i in range(n)], dtype=object),
        offsets=np.arange(n + 1) * points,
        t=np.tile(t, n),
        values={"val_loss": y.ravel()},
        status=np.full(n, status, dtype=object),
    )


def decide(what: str, size: int) -> None:
    import metalcx as mx
    from metalcx.curves import Curves

    model = mx.load("metalcx-base") if what == "metalcx-base" else mx.forecasters.Baseline("med5")
    done = curves(20, 50, "completed", 0, "d")
    everything = Curves.concat([done, curves(size, 20, "running", 1, "r")])
    decisions = mx.StopPolicy(model.adapt(done), threshold=0.05).decide(everything)
    if len(decisions) != size:
        raise SystemExit(f"{len(decisions)} decisions about {size} runs")


def corpus(what: str, size: int, folder: Path) -> None:
    from metalcx.corpora import Corpus, CorpusWriter, validate
    from metalcx.curves import Metric

    if what == "write":
        known = {"licence": "CC0-1.0", "citation": "none", "redistributable": True}
        with CorpusWriter(folder, name="l", time_unit="epoch", metrics=(Metric("val_loss", "min"),), **known) as writer:
            for k in range(size // TASK_RUNS):
                writer.add_task(f"t{k}", dataset=f"t{k}", family=f"t{k}", domain="made-up", metric="val_loss")
                writer.add_runs(f"t{k}", curves(TASK_RUNS, POINTS, "completed", k, f"{k}-"))
    elif what == "scan":
        seen = sum(len(piece) for piece in Corpus.open(folder).scan())
        if seen != size * POINTS:
            raise SystemExit(f"{seen} points of {size * POINTS}")
    elif what == "validate":
        validate(folder).raise_if_invalid()
    else:
        opened = Corpus.open(folder)
        if len(opened.task(opened.task_names[-1]).curves()) != TASK_RUNS:
            raise SystemExit("a task lost runs")


def watch(folder: Path) -> list[dict[str, float]]:
    """One training after another reports to a shared folder and asks after each point; figures of each quarter."""
    from metalcx.curves import Metric
    from metalcx.forecasters import Baseline
    from metalcx.integrations._board import Board
    from metalcx.integrations._policy import judge, policy_of

    metric = Metric("val_loss", "min")
    policy = policy_of(Baseline("med5"), horizon=40, log=folder / "decisions.jsonl", threshold=0.01)
    board = Board(metric, folder / "runs")
    found, made, run = [], 0, 0
    start = time.process_time()
    while made < DECISIONS:
        (one,) = curves(1, 40, "running", run, "r")
        board.start(str(run), {"lr": float(one.y[0])})
        for t, y in zip(one.t, one.y, strict=True):
            board.report(str(run), float(t), float(y))
            stop = judge(policy, board.curves(str(run))).stop
            made += 1
            if made % (DECISIONS // 4) == 0:
                now = time.process_time()
                found.append({"size": made, "cpu_s": now - start, "peak_mb": resident()})
                start = now
            if stop:
                break
        board.end(str(run), "censored" if stop else "completed")
        run += 1
    return found


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def child(part: str, what: str, size: int, folder: Path) -> None:
    start = time.process_time()
    if part == "watch":
        print(json.dumps(watch(folder)))
        return
    if part == "decide":
        decide(what, 100)  # imports and what a first call prepares
        start = time.process_time()
        decide(what, size)
    else:
        corpus(what, size, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([{"size": size, "cpu_s": time.process_time() - start, "peak_mb": peak}]))


def measured(part: str, what: str, size: int, folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--child", part, what, str(size), str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [{"part": part, "what": what, **row} for row in json.loads(done.stdout)]


def rows(parts: list[str], most: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="metalcx-load-") as text:
        scratch = Path(text)
        if "decide" in parts:
            for what in ("med5", "metalcx-base"):
                yield from rated([row for n in RUNNING for row in measured("decide", what, n, scratch)])
        if "watch" in parts:
            quarters = measured("watch", "board and log", DECISIONS, scratch)
            yield from rated(quarters, DECISIONS // 4)
        if "corpus" in parts:
            sizes = [n for n in CURVES if n <= most]
            for what in ("write", "scan", "validate", "one task"):
                yield from rated([row for n in sizes for row in measured("corpus", what, n, scratch / str(n))])


def rated(found: list[dict[str, Any]], units: int | None = None) -> Iterator[dict[str, Any]]:
    """Rows with what a unit costs, and both ratios to the row before."""
    before: dict[str, Any] | None = None
    for row in found:
        row["us_per_unit"] = 1e6 * row["cpu_s"] / (units or row["size"])
        row["ratio"] = row["us_per_unit"] / before["us_per_unit"] if before else ""
        row["memory_ratio"] = row["peak_mb"] / before["peak_mb"] if before else ""
        before = row
        yield {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=("decide", "corpus", "watch"))
    parser.add_argument("--most", type=int, default=CURVES[-1], help="curves of the largest corpus")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "load.csv")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        part, what, size, folder = given.child
        child(part, what, int(size), Path(folder))
        return
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        for row in rows(given.part or ["decide", "watch", "corpus"], given.most):
            table.writerow(row)
            file.flush()
            print(row, flush=True)


if __name__ == "__main__":
    main()
