"""What large numbers cost: 100,000 running curves in one decision, ten million curves streamed, hours of watching.

    python benchmarks/load.py [--part PART ...] [--out FILE]

Parts: `decide`, `board`, `watch`, `corpus`; rows of parts that are not run stay. Every size runs in a process of its
own, whose processor seconds and peak resident memory are recorded. `ratio` is what one unit costs beside what it cost
at the size before: 1 is linear. `memory_ratio` is the peak beside that before: 1 is flat. Sizes are running curves
(decide), curves of five points (corpus), decisions about curves that grow (board), and polls of `metalcx watch` in a
simulated day of eight hours (watch, see `load_day.py`); of these two, memory is that at the end of each quarter or
eighth, and a unit's cost that within it. Writes `results/load.csv`.
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
PARTS = ("decide", "board", "watch", "corpus")
# What is followed, by which model, and seconds between two polls.
DAYS = (("tensorboard", "med5", 5.0), ("lightning-csv", "metalcx-base", 120.0))
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


def model_of(name: str) -> Any:
    import metalcx as mx

    return mx.forecasters.Baseline("med5") if name == "med5" else mx.load(name)


def decide(what: str, size: int) -> None:
    import metalcx as mx
    from metalcx.curves import Curves

    model = model_of(what)
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


def board(folder: Path) -> list[dict[str, float]]:
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


def watch(what: str, folder: Path) -> list[dict[str, float]]:
    """The eighths of a simulated day."""
    from load_day import follow

    (day,) = (day for day in DAYS if named(day) == what)
    format, model, every = day
    found, before = [], 0.0
    for polls, took in follow(folder / what, format, model_of(model), every):
        found.append({"size": polls, "cpu_s": took - before, "peak_mb": resident()})
        before = took
    return found


def named(day: tuple[str, str, float]) -> str:
    format, model, every = day
    return f"{format}, {model}, every {every:g} s"


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def child(part: str, what: str, size: int, folder: Path) -> None:
    start = time.process_time()
    if part in ("board", "watch"):
        print(json.dumps(board(folder) if part == "board" else watch(what, folder)))
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
        if "board" in parts:
            yield from rated(measured("board", "board and log", DECISIONS, scratch), of_each=True)
        if "watch" in parts:
            for day in DAYS:
                yield from rated(measured("watch", named(day), 0, scratch), of_each=True)
        if "corpus" in parts:
            sizes = [n for n in CURVES if n <= most]
            for what in ("write", "scan", "validate", "one task"):
                yield from rated([row for n in sizes for row in measured("corpus", what, n, scratch / str(n))])


def rated(found: list[dict[str, Any]], of_each: bool = False) -> Iterator[dict[str, Any]]:
    """Rows with what a unit costs, and both ratios to the row before; `of_each`: sizes go on from row to row."""
    before: dict[str, Any] | None = None
    for row in found:
        units = row["size"] - (before["size"] if before and of_each else 0)
        row["us_per_unit"] = 1e6 * row["cpu_s"] / units
        row["ratio"] = row["us_per_unit"] / before["us_per_unit"] if before else ""
        row["memory_ratio"] = row["peak_mb"] / before["peak_mb"] if before else ""
        before = row
        yield {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--most", type=int, default=CURVES[-1], help="curves of the largest corpus")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "load.csv")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        part, what, size, folder = given.child
        child(part, what, int(size), Path(folder))
        return
    parts = given.part or list(PARTS)
    done = [row for row in earlier(given.out) if row["part"] not in parts]
    for row in rows(parts, given.most):
        done.append(row)
        done.sort(key=lambda row: PARTS.index(row["part"]))
        write(given.out, done)
        print(row, flush=True)


def earlier(path: Path) -> list[dict[str, Any]]:
    """Rows of an earlier call."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, done: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        table.writerows(done)


if __name__ == "__main__":
    main()
