"""Searches with and without forecasts, on recorded runs: points spent, and what was found.

    OMP_NUM_THREADS=1 python benchmarks/searches.py halving PATH/TO/baker2018 PATH/TO/lemur PATH/TO/taskset-rnn
    OMP_NUM_THREADS=1 python benchmarks/searches.py layers PATH/TO/baker2018

`halving`: Hyperband, f-Hyperband and ASHA, promoted by the last value, med5 or an SRM. `layers`: the Q-learning search
of MetaQNN and random search on its recorded networks, with and without the stop rule. All forecasters learn from the
runs of the search itself and from nothing else. Each result is kept in `results/searches/*_raw.csv` as soon as it is
known, so that the command can be stopped and goes on; then the tables are written.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from metaqnn_paths import path
from pooled import Pooled, bare
from searches_tables import RESULTS, summarise

from metalcx.corpora import Corpus, first_of_identical
from metalcx.curves import Curves
from metalcx.decide import (
    EPSILON_SCHEDULE,
    EarlyStop,
    ForecastScore,
    Recorded,
    SearchRecord,
    asha,
    f_hyperband,
    hyperband,
    q_search,
    random_search,
    stretched,
)
from metalcx.forecasters import SRM, Baseline
from metalcx.protocol import Forecaster

#: Runs of a pool, drawn once; runs of the same task, outside the pool, that f-Hyperband may know from earlier.
POOL, EARLIER = 600, 100
#: A pool has so many runs of at least so many points; longer curves would take the SRM the time of all others.
FEWEST, SHORTEST, LONGEST = 250, 20, 150
#: Tasks of a corpus at most, the first; units of resource at most.
MOST_TASKS, MOST_UNITS = 5, 27
ETA, WORKERS = 3, 8
#: f-Hyperband in the paper; the stop rule in its MetaQNN experiment.
DELTA, DELTA_LAYERS = 0.95, 0.99
#: Models are made once, of the first 100 runs, as in the paper.
ONCE = 1e3


def srm() -> Forecaster:
    """The paper's ordinary least squares: on these corpora as good as its kernels, and the fastest."""
    return SRM(regressor="ols")


MODELS: dict[str, Callable[[], Forecaster]] = {"SRM": srm, "med5": Baseline}


@dataclass(frozen=True)
class Setting:
    """The runs of one task.

    Attributes:
        name: ``corpus/task``.
        pool: What is searched.
        earlier: Further runs of the task; None where there are too few.
    """

    name: str
    pool: Curves
    earlier: Curves | None

    @property
    def R(self) -> int:  # noqa: N802
        return min(int(self.pool.length.max()), MOST_UNITS)


def settings(folders: list[Path]) -> Iterator[Setting]:
    for folder in folders:
        corpus, found = Corpus.open(folder), 0
        for task in corpus:
            curves = task.curves()
            long = (curves.length >= SHORTEST) | (curves.status == "diverged")
            curves = curves.take(np.unique(first_of_identical(curves)[long]))
            if found == MOST_TASKS or len(curves) < FEWEST or curves.length.max() > LONGEST:
                continue
            found += 1
            drawn = np.random.default_rng(0).permutation(len(curves))
            rest = drawn[POOL : POOL + EARLIER]
            earlier = curves.take(rest) if len(rest) == EARLIER else None
            yield Setting(f"{corpus.name}/{task.name}", curves.take(drawn[:POOL]), earlier)


def halving(of: Setting) -> dict[str, Callable[[int], SearchRecord]]:
    """Each search of a setting, by name, as a function of the seed."""
    runs, everything = bare(of.pool), of.pool
    if of.earlier is not None:
        everything = Curves.concat([of.pool, of.earlier])

    def pooled(make: Callable[[], Forecaster]) -> Pooled:
        return Pooled(make(), everything)

    def score(make: Callable[[], Forecaster]) -> ForecastScore:
        return ForecastScore(pooled(make), growth=1)

    def fast(make: Callable[[], Forecaster], earlier: Curves | None = None) -> Callable[[int], SearchRecord]:
        known = None if earlier is None else bare(earlier)
        given = {"make": lambda: pooled(make), "eta": ETA, "delta": DELTA, "growth": ONCE, "earlier": known}
        return lambda seed: f_hyperband(Recorded(runs), of.R, seed=seed, **given)  # type: ignore[arg-type]

    found: dict[str, Callable[[int], SearchRecord]] = {
        "Hyperband": lambda seed: hyperband(Recorded(runs), of.R, eta=ETA, passes=None, seed=seed),
        "ASHA": lambda seed: asha(Recorded(runs), of.R, eta=ETA, workers=WORKERS, seed=seed),
    }
    for name, make in MODELS.items():
        found |= {
            f"Hyperband, {name}": lambda seed, make=make: hyperband(
                Recorded(runs), of.R, eta=ETA, passes=None, seed=seed, score=score(make)
            ),
            f"ASHA, {name}": lambda seed, make=make: asha(
                Recorded(runs), of.R, eta=ETA, workers=WORKERS, seed=seed, score=score(make)
            ),
            f"f-Hyperband, {name}": fast(make),
        }
    if of.earlier is not None:
        found["f-Hyperband, SRM of 100 earlier runs"] = fast(srm, of.earlier)
    return found


def layers(of: Setting) -> dict[str, Callable[[int], SearchRecord]]:
    """Q-learning and random search, with and without the stop rule."""
    runs = bare(of.pool)
    assert of.pool.arch is not None
    walk = partial(
        q_search, paths=[path(arch) for arch in of.pool.arch], schedule=stretched(EPSILON_SCHEDULE, len(runs))
    )
    stop = EarlyStop(lambda: Pooled(srm(), of.pool), of.R, delta=DELTA_LAYERS, growth=ONCE)
    return {
        "random": lambda seed: random_search(Recorded(runs), seed=seed),
        "random, stop rule": lambda seed: random_search(Recorded(runs), stop=stop, seed=seed),
        "Q-learning": lambda seed: walk(Recorded(runs), seed=seed),
        "Q-learning, stop rule": lambda seed: walk(Recorded(runs), stop=stop, seed=seed),
    }


def figures(of: Setting, record: SearchRecord) -> dict[str, Any]:
    """Points spent as shares of those that all runs take, and regret in units of the spread of finals."""
    finals = of.pool.metric.sign * of.pool.final
    alive = (of.pool.status != "diverged") & np.isfinite(finals)
    best_first = np.flatnonzero(alive)[np.argsort(-finals[alive], kind="stable")]
    full, top = int(of.pool.length.sum()), best_first[: max(1, round(len(finals) / 100))]
    low, high = np.quantile(finals[alive], [0.05, 0.95])
    reached = sum(step.finished for step in record.timeline)
    return {
        "runs": len(of.pool),
        "spent": record.spent / full,
        "clock": record.clock / full,
        "regret": (finals[best_first[0]] - of.pool.metric.sign * record.value) / (high - low),
        "until_best": record.spent_until(of.pool.ids[best_first[:1]]) / full,
        "until_top": record.spent_until(of.pool.ids[top]) / full,
        "finished": reached,
        "stopped_inside": sum(d.stop and np.isfinite(d.probability) for d in record.decisions),
    }


PARTS = {"halving": halving, "layers": layers}


def run(part: str, folders: list[Path], seeds: int, minutes: float) -> None:
    """Every search of every setting, one seed after another, until the time is up."""
    raw, began = RESULTS / f"{part}_raw.csv", time.monotonic()
    raw.parent.mkdir(parents=True, exist_ok=True)
    done = {(r["task"], r["method"], r["seed"]) for r in csv.DictReader(raw.open())} if raw.exists() else set()
    pools = list(settings(folders))
    if part == "layers":
        pools = [whole(folders[0], of) for of in pools if "metaqnn" in of.name]
    searches = [(of, name, search) for of in pools for name, search in PARTS[part](of).items()]
    for seed in range(seeds):
        for of, name, search in searches:
            if (of.name, name, str(seed)) in done:
                continue
            if time.monotonic() - began > 60 * minutes:
                return
            start = time.process_time()
            row = {"task": of.name, "method": name, "seed": seed, **figures(of, search(seed))}
            append(raw, {**row, "cpu_seconds": round(time.process_time() - start, 2)})


def whole(folder: Path, of: Setting) -> Setting:
    """The same task with all its runs."""
    curves = Corpus.open(folder).task(of.name.split("/", 1)[1]).curves()
    return replace(of, pool=curves.take(np.unique(first_of_identical(curves))), earlier=None)


def append(file: Path, row: dict[str, Any]) -> None:
    new = not file.exists()
    with file.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop after so many; the same command goes on")
    given = parser.parse_args()
    run(given.part, given.corpora, given.seeds, given.minutes)
    summarise()
    sys.stdout.write((RESULTS / "tables.md").read_text())


if __name__ == "__main__":
    main()
