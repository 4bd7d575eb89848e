"""Searches over networks really trained, by full training and by the history of features, in measured seconds.

python benchmarks/history_searches.py [--corpus CORPUS] [--sources CORPUS] [--out OUT.csv]

The networks of a task in the corpus are the space: configurations and architectures, of which a search evaluates `N`.
Every second is one that was measured when the network trained, when its features were recorded and when proxies were
fitted; how several workers share them is simulated (whoever is free takes the next). `random` draws candidates;
`evolution` is regularised evolution (Real et al., AAAI 2019), whose mutation is one of the parent's nearest networks
that were not evaluated; `halving` is successive halving (Jamieson and Talwalkar, AISTATS 2016).

With histories a candidate trains for a few epochs and is ranked by the forecast, with all other families of datasets
as sources and no support; the best few then finish. How many epochs, and how many finish, is what is cheapest on the
sources (the other families of the corpus, unless another one is given) among what falls short there of full training
by .01 of accuracy at most, in the mean.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from metalcx.bench._markdown import table
from metalcx.bench.histories._scores import calibrations
from metalcx.forecasters import Baseline
from metalcx.histories import HistoryCorpus, HistoryForecaster, peak_so_far

N, POPULATION, SAMPLE, NEIGHBOURS, SEEDS = 64, 16, 4, 6, 20
WORKERS = (1, 4, 8)
CUTS, FINALISTS = (1, 2, 4), (2, 3, 5, 8)
SHORTFALL = 0.01
#: Rungs of successive halving: epochs, and the share of candidates that trains until then.
RUNGS = ((1, 1.0), (2, 0.5), (4, 0.25))

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Pool:
    """The networks of one task.

    Attributes:
        seconds: Of training until each epoch, (n, epochs + 1).
        extra: Of recording and fitting until a cut, by cut, (n,).
        estimate: Forecast of the peak at a cut, by cut, (n,).
        accuracy: At each epoch, (n, epochs + 1).
        peak: (n,).
        near: Each network's others, the nearest first, (n, n - 1).
    """

    task: str
    family: str
    seconds: np.ndarray
    extra: dict[int, np.ndarray]
    estimate: dict[int, np.ndarray]
    accuracy: np.ndarray
    peak: np.ndarray
    near: np.ndarray


def read(data: HistoryCorpus, taught: HistoryCorpus) -> list[Pool]:
    """All tasks; forecasts come from the other families of `taught`."""
    pools = []
    learned = calibrations(taught)
    numbers = dict(zip(data.corpus.runs["name"], data.corpus.runs["run"], strict=True))
    for task in data.corpus:
        curves = task.curves(("val_accuracy", "seconds"))
        epochs = np.arange(round(curves.t_last.max()) + 1.0)
        peaks = peak_so_far(curves)
        model = HistoryForecaster(Baseline("best"), learned(task.family), data.table)
        extra, estimate = {}, {}
        for cut in CUTS:
            at = data.rows[data.rows["t"] == cut].set_index("run")
            spent = (at["recording"] + at["proxies"]).reindex([numbers[i] for i in curves.ids])
            # One that diverged before is known to have, and costs what it trained.
            extra[cut] = spent.fillna(0.0).to_numpy()
            found = model.forecast(peaks.truncate(cut), epochs[-1]).mean
            estimate[cut] = np.where(spent.notna(), found, 0.0)
        pools.append(
            Pool(
                task.name, task.family, curves.padded("seconds").at(epochs), extra, estimate,
                curves.padded().at(epochs), peaks.padded().y.max(1), _near(curves.config),
            )
        )  # fmt: skip
    return pools


def _near(config: pd.DataFrame) -> np.ndarray:
    """Gower's distance: numbers by rank, words by equality, what only one of two has counts as different."""
    distance = np.zeros((len(config), len(config)))
    for name in config:
        column = config[name]
        if pd.to_numeric(column, errors="coerce").notna().sum() == column.notna().sum() and column.nunique() > 2:
            rank = pd.to_numeric(column).rank(pct=True).to_numpy(float)
            gap = np.abs(rank[:, None] - rank)
        else:
            words = column.astype(str).to_numpy()
            gap = (words[:, None] != words).astype(float)
        distance += np.nan_to_num(gap, nan=1.0)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :-1]


def schedule(durations: Sequence[float], workers: int, start: float = 0.0) -> np.ndarray:
    """When each job ends, in order of beginning, with `workers` that all are free at `start`."""
    free = [start] * workers
    ends = []
    for duration in durations:
        ends.append(heapq.heappop(free) + duration)
        heapq.heappush(free, ends[-1])
    return np.array(ends)


def evolve(pool: Pool, fitness: np.ndarray, cost: np.ndarray, workers: int, rng: Rng) -> tuple[list[int], np.ndarray]:
    """Regularised evolution: networks in order of evaluation, and when each ends."""
    free, waiting = [0.0] * workers, list(map(int, rng.permutation(len(pool.peak))[:POPULATION]))
    running: list[tuple[float, int]] = []
    population: list[int] = []
    order, ends, seen = [], [], set(waiting)
    while len(order) < N:
        now = heapq.heappop(free)
        done = sorted(r for r in running if r[0] <= now)
        running = [r for r in running if r[0] > now]
        population = (population + [i for _, i in done])[-POPULATION:]  # the oldest die
        if waiting:
            child = waiting.pop(0)
        else:
            among = rng.choice(population, min(SAMPLE, len(population)), replace=False)
            parent = int(among[np.argmax(fitness[among])])
            fresh = [int(i) for i in pool.near[parent] if int(i) not in seen][:NEIGHBOURS]
            child = int(rng.choice(fresh))
            seen.add(child)
        end = now + cost[child]
        heapq.heappush(free, end)
        running.append((end, child))
        order.append(child)
        ends.append(end)
    return order, np.array(ends)


def full(pool: Pool, kind: str, workers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(when, peak) of every network of a search that trains each to the end."""
    rng = np.random.default_rng(seed)
    cost = pool.seconds[:, -1]
    if kind == "evolution":
        order, ends = evolve(pool, pool.peak, cost, workers, rng)
    else:
        order = list(map(int, rng.permutation(len(pool.peak))[:N]))
        ends = schedule(cost[order], workers)
    return ends, pool.peak[order]


def short(
    pool: Pool, kind: str, workers: int, seed: int, cut: int, finalists: int, by: str = "history"
) -> tuple[np.ndarray, np.ndarray]:
    """(when, peak) of the networks that finish in a search that ranks all others early."""
    rng = np.random.default_rng(seed)
    judged, extra = _judged(pool, by)
    if kind == "evolution":
        cost = pool.seconds[:, cut] + extra(cut)
        order, ends = evolve(pool, judged(cut), cost, workers, rng)
        left, now, reached = np.array(order), float(ends.max()), cut
    else:
        left, now, reached = rng.permutation(len(pool.peak))[:N], 0.0, 0
        rungs = RUNGS if kind == "halving" else ((cut, 1.0),)
        spent = np.zeros(len(pool.peak))
        for epoch, share in rungs:
            left = _best(left, judged(reached), round(share * N)) if reached else left
            own = extra(epoch) - spent
            spent = extra(epoch)
            now = float(
                schedule((pool.seconds[left, epoch] - pool.seconds[left, reached]) + own[left], workers, now).max()
            )
            reached = epoch
    best = _best(left, judged(reached), finalists)
    return schedule(pool.seconds[best, -1] - pool.seconds[best, reached], workers, now), pool.peak[best]


def _judged(pool: Pool, by: str) -> tuple[Callable[[int], np.ndarray], Callable[[int], np.ndarray]]:
    if by == "history":
        return pool.estimate.__getitem__, pool.extra.__getitem__
    return (lambda t: pool.accuracy[:, : t + 1].max(1)), (lambda t: np.zeros(len(pool.peak)))


def _best(among: np.ndarray, value: np.ndarray, n: int) -> np.ndarray:
    return among[np.argsort(-value[among], kind="stable")[:n]]


@cache
def trial(pool: Pool, kind: str, workers: int, setting: tuple[int, int], by: str = "history") -> pd.DataFrame:
    """All seeds: wall-clock of both, how far the short search falls short, times to come within .01 of the full."""
    rows = []
    for seed in range(SEEDS):
        ends, peaks = full(pool, "random" if kind == "halving" else kind, workers, seed)
        early, found = short(pool, kind, workers, seed, *setting, by)
        aim = peaks.max() - SHORTFALL
        there = found >= aim
        rows.append(
            {"full": ends.max(), "short": early.max(), "shortfall": peaks.max() - found.max(),
             "same": bool(there.any()), "to_full": ends[peaks >= aim].min(),
             "to_short": early[there].min() if there.any() else np.nan}
        )  # fmt: skip
    return pd.DataFrame(rows)


def chosen(pools: Sequence[Pool], kind: str, workers: int, by: str) -> tuple[int, int]:
    """The cheapest setting that falls short by `SHORTFALL` at most on the sources, else the one that does least."""
    found = []
    for setting in product((RUNGS[-1][0],) if kind == "halving" else CUTS, FINALISTS):
        trials = [trial(pool, kind, workers, setting, by) for pool in pools]
        cost = float(np.mean([(t.short / t.full).mean() for t in trials]))
        found.append((max(float(np.mean([t.shortfall.mean() for t in trials])), SHORTFALL), cost, setting))
    return min(found)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="histories", help="folder or name")
    parser.add_argument("--sources", help="what is learned from; by default the same")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/histories/searches.csv"))
    given = parser.parse_args()
    data, rows = HistoryCorpus.open(given.corpus), []
    taught = data if given.sources is None else HistoryCorpus.open(given.sources)
    pools = read(data, taught)
    sources = pools if taught is data else read(taught, taught)
    for kind, by, workers in product(("random", "evolution", "halving"), ("history", "accuracy"), WORKERS):
        for family in dict.fromkeys(pool.family for pool in pools):
            setting = chosen([p for p in sources if p.family != family], kind, workers, by)
            for pool in (p for p in pools if p.family == family):
                t = trial(pool, kind, workers, setting, by)
                rows.append(
                    {"search": kind, "by": by, "workers": workers, "task": pool.task, "epochs": setting[0],
                     "finalists": setting[1], "seconds_full": t.full.mean(), "seconds": t.short.mean(),
                     "saved": 1.0 - float(np.exp(np.log(t.short / t.full).mean())),
                     "shortfall": t.shortfall.mean(), "same": t.same.mean(),
                     "saved_to_same": 1.0 - float(np.exp(np.log(t.to_short / t.to_full).mean()))}
                )  # fmt: skip
        print(kind, by, workers, flush=True)
    frame = pd.DataFrame(rows)
    frame.to_csv(given.out, index=False, float_format="%.4g")
    given.out.with_suffix(".md").write_text(page(frame))


def page(frame: pd.DataFrame) -> str:
    """Means over tasks, and the tasks with the least and most saved."""
    lines = []
    for (kind, by, workers), part in frame.groupby(["search", "by", "workers"], sort=False):
        low, high = np.quantile(_means(part.saved.to_numpy()), [0.025, 0.975])
        lines.append(
            [kind, by, workers, f"{part.saved.mean():.1%}", f"[{low:.1%}, {high:.1%}]", f"{part.saved.min():.1%}",
             f"{part.shortfall.mean():.4f}", f"{part.shortfall.max():.4f}", f"{part.same.mean():.0%}",
             f"{part.saved_to_same.mean():.1%}"]
        )  # fmt: skip
    head = (
        "# Searches over networks really trained\n\n"
        f"{len(frame.task.unique())} tasks, {SEEDS} seeds each, {N} candidates a search; `saved` is the share of the\n"
        "wall-clock of the same search with full training (of random search, for halving), with a 95 % interval over\n"
        "tasks; shortfall in accuracy; `same` is the share of searches whose result is within "
        f"{SHORTFALL} of that of full\ntraining, and the last column what these saved until then, against the time at "
        "which full training was there, too.\n\n"
    )
    header = (
        "search",
        "ranked by",
        "workers",
        "saved",
        "over tasks",
        "least",
        "shortfall",
        "largest",
        "same",
        "saved to the same",
    )
    return head + "\n".join(table(header, lines)) + "\n"


def _means(values: np.ndarray) -> np.ndarray:
    return values[np.random.default_rng(0).integers(0, len(values), (10_000, len(values)))].mean(1)


if __name__ == "__main__":
    main()
