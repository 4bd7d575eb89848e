"""The tables of Baker et al. 2017 (arXiv 1705.10823), regenerated with `metalcx.forecasters.SRM`.

    OMP_NUM_THREADS=1 python benchmarks/srm_table.py PATH/TO/baker2018 [--parts table ablation depth classes]

Every single result is a row of `results/srm_raw.csv`, written as soon as it is known: run the command again and it
goes on where it stopped. The summaries `results/srm_<part>.csv` are made from it. Scores are R2 x 100 (coefficient
of determination) and Kendall's tau-b on all runs that were not trained on.

- table: 25 % of the curve, 100 random training runs, beside the paper's figures and an independent re-measurement.
- ablation: the same with some of the features. It, depth, classes and the variants of
  TinyImageNet take half the repeats.
- depth: trained on shallow ResNets, tested on deep ones. `num_blocks` is 1..17 in the data and the paper's depths
  are 14..110, so depth = 6 num_blocks + 8 (6n + 2 with n = num_blocks + 1); "6b+2" takes num_blocks as it is.
- classes: trained on one corpus, tested on another: curves read at 20 equal steps of progress, configuration columns
  that both have (num_params, lr).
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from srm_figures import summarise

from metalcx.corpora import Corpus
from metalcx.corpora._duplicates import duplicated
from metalcx.curves import Curves
from metalcx.forecasters import SRM, Baseline
from metalcx.protocol import Forecast, Forecaster

RESULTS = Path(__file__).parent / "results"
KEY = ("part", "data", "method", "features", "tau", "k", "repeat")
FIELDS = (*KEY, "n_train", "n_test", "r2", "kendall", "coverage80", "cpu_seconds", "version")

#: Observed points of each corpus: 25 % of its epochs.
TAU = {
    "metaqnn_cifar10": 5,
    "metaqnn_svhn": 5,
    "deep_resnets_cifar10": 12,
    "deep_resnets_tinyimagenet": 35,
    "lstm_ptb": 15,
    "alexnet_imagenet": 125,
}
ALL = ("TS", "AP", "HP")
REGRESSORS = ("nusvr-linear", "nusvr-rbf", "random-forest", "ols")
SUBSETS = (("TS",), ("AP",), ("HP",), ("TS", "AP"), ("AP", "HP"))
PAIRS = (
    ("metaqnn_cifar10", "metaqnn_svhn"),
    ("metaqnn_svhn", "metaqnn_cifar10"),
    ("metaqnn_cifar10", "deep_resnets_cifar10"),
    ("deep_resnets_cifar10", "metaqnn_cifar10"),
)


@dataclass(frozen=True)
class Job:
    """One result to be computed: the values of `KEY`, and how."""

    key: tuple[str, ...]
    score: Callable[[], dict[str, float]]


def score(final: np.ndarray, forecast: Forecast | np.ndarray, n_train: int) -> dict[str, float]:
    """R2 x 100, Kendall's tau-b, and the share of finals in the central 80 % where there is a distribution."""
    from scipy.stats import kendalltau

    point = forecast.mean if isinstance(forecast, Forecast) else forecast
    result = {"n_train": n_train, "n_test": len(final)}
    result["r2"] = 100 * (1 - ((final - point) ** 2).mean() / final.var())
    result["kendall"] = float(kendalltau(final, point).statistic)
    if isinstance(forecast, Forecast):
        inside = (final >= forecast.quantile(0.1)) & (final <= forecast.quantile(0.9))
        result["coverage80"] = float(inside.mean())
    return result


class Data:
    """The six tasks, read once."""

    def __init__(self, path: Path) -> None:
        self.corpus = Corpus.open(path)
        self.task = cache(self._task)
        self.progress = cache(self._progress)

    def _task(self, name: str, variant: str = "unique") -> Curves:
        curves = self.corpus.task(name).curves()
        if variant == "unique":
            return curves.take(~duplicated(curves))
        if variant == "without-failed":
            kept = self._task(name)
            return kept.take(np.maximum.reduceat(kept.y, kept.offsets[:-1]) > 0)
        return curves

    def _progress(self, name: str, columns: tuple[str, ...]) -> Curves:
        """Curves at 20 equal steps of progress, with some of their configuration columns."""
        curves = self._task(name)
        grid, n = np.arange(1, 21) / 20, len(curves)
        y = curves.padded().at(grid * curves.t_last[:, None])
        config = None if curves.config is None else curves.config[list(columns)]
        offsets = np.arange(n + 1) * len(grid)
        values = {curves.metric.name: y.ravel()}
        return replace(curves, t=np.tile(grid, n), values=values, offsets=offsets, config=config, arch=None)


def split(n: int, repeat: int) -> np.ndarray:
    return np.random.default_rng(repeat).permutation(n)


def cut(curves: Curves, tau: int) -> Curves:
    return curves.truncate(curves.t[curves.offsets[:-1] + tau - 1])


def trained(forecaster: Forecaster, train: Curves, test: Curves, tau: int, seed: int) -> dict[str, float]:
    forecast = forecaster.adapt(train, seed=seed).forecast(cut(test, tau), at=float(test.t_last[0]))
    return score(test.final, forecast, len(train))


def random_split_jobs(
    data: Data, part: str, name: str, variant: str, method: str, features: tuple[str, ...], repeats: int
) -> Iterator[Job]:
    label = name if variant == "unique" else f"{name} ({variant})"
    forecaster: Forecaster = SRM(method, features) if method in REGRESSORS else Baseline(method)
    used = "+".join(features) if method in REGRESSORS else "last value"
    for repeat in range(repeats):

        def compute(repeat: int = repeat) -> dict[str, float]:
            curves = data.task(name, variant)
            order = split(len(curves), repeat)
            return trained(forecaster, curves.take(order[:100]), curves.take(order[100:]), TAU[name], repeat)

        yield Job((part, label, method, used, str(TAU[name]), "100", str(repeat)), compute)


def table_jobs(data: Data, repeats: int) -> Iterator[Job]:
    for name in TAU:
        for method in ("last", "affine", *REGRESSORS):
            yield from random_split_jobs(data, "table", name, "unique", method, ALL, repeats)
    for variant in ("as-released", "without-failed"):
        for method in ("affine", "nusvr-linear", "nusvr-rbf"):
            name = "deep_resnets_tinyimagenet"
            yield from random_split_jobs(data, "table", name, variant, method, ALL, max(1, repeats // 2))


def ablation_jobs(data: Data, repeats: int) -> Iterator[Job]:
    """All subsets on the paper's corpora; on the others what the curve and what the rest are worth alone."""
    published = ("metaqnn_cifar10", "deep_resnets_tinyimagenet", "lstm_ptb")
    for method in ("nusvr-rbf", "nusvr-linear"):
        for name in TAU if method == "nusvr-rbf" else published:
            for features in SUBSETS if name in published else (("TS",), ("AP", "HP")):
                yield from random_split_jobs(data, "ablation", name, "unique", method, features, max(1, repeats // 2))


def depth_jobs(data: Data, repeats: int) -> Iterator[Job]:
    name = "deep_resnets_tinyimagenet"
    methods: dict[str, Forecaster] = {"last": Baseline("last"), "affine": Baseline("affine")}
    methods |= {regressor: SRM(regressor) for regressor in ("nusvr-linear", "nusvr-rbf", "random-forest")}
    for rule, offset in (("6b+8", 8), ("6b+2", 2)):
        for limit in (32, 62):
            # The second reading of `num_blocks` is there for comparison only.
            chosen = methods if offset == 8 else {"nusvr-rbf": methods["nusvr-rbf"]}
            for method, forecaster in chosen.items():
                for repeat in range(max(1, repeats // 2)):

                    def compute(
                        offset: int = offset, limit: int = limit, f: Forecaster = forecaster, repeat: int = repeat
                    ) -> dict[str, float]:
                        curves = data.task(name, "without-failed")
                        depth = 6 * curves.config["num_blocks"].to_numpy(dtype=float) + offset
                        shallow = np.flatnonzero(depth < limit)
                        train = curves.take(shallow[split(len(shallow), repeat)[:100]])
                        return trained(f, train, curves.take(depth > limit), TAU[name], repeat)

                    label = f"{name} depth={rule} d={limit}"
                    features = "+".join(ALL) if method in REGRESSORS else "last value"
                    yield Job(("depth", label, method, features, str(TAU[name]), "100", str(repeat)), compute)


def class_jobs(data: Data, repeats: int) -> Iterator[Job]:
    columns = ("num_params", "lr")

    @cache
    def zero_shot(source: str, target: str, tau: int) -> np.ndarray:
        """Forecasts of all target runs by 300 source runs."""
        curves, asked = data.progress(source, columns), data.progress(target, columns)
        train = curves.take(split(len(curves), 0)[:300])
        return SRM("nusvr-linear").adapt(train).forecast(cut(asked, tau), at=1.0).mean

    def compute(source: str, target: str, tau: int, k: int, repeat: int, method: str) -> dict[str, float]:
        curves = data.progress(target, columns)
        order = split(len(curves), 0)
        test = order[200:]
        own = order[:200][split(200, repeat)[:k]]
        if method in ("affine", "nusvr-linear"):
            forecaster = SRM("nusvr-linear") if method == "nusvr-linear" else Baseline(method)
            return trained(forecaster, curves.take(own), curves.take(test), tau, repeat)
        point = zero_shot(source, target, tau)
        if method == "source + affine":
            slope, intercept = np.polyfit(point[own], curves.final[own], 1)
            point = intercept + slope * point
        return score(curves.final[test], point[test], k)

    for source, target in PAIRS:
        for tau in (2, 5):
            for k in (0, 5, 20, 100):
                methods = ("affine", "nusvr-linear", "source + affine") if k else ("source",)
                for method in methods:
                    for repeat in range(max(1, repeats // 2) if k else 1):
                        args = (source, target, tau, k, repeat, method)
                        key = ("classes", f"{source} -> {target}", method, "TS+shared", str(tau), str(k), str(repeat))
                        yield Job(key, lambda args=args: compute(*args))


PARTS = {"table": table_jobs, "ablation": ablation_jobs, "depth": depth_jobs, "classes": class_jobs}


def version() -> str:
    from metalcx import __version__

    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return f"{__version__}+{subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()}"


def done(path: Path) -> set[tuple[str, ...]]:
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {tuple(row[name] for name in KEY) for row in csv.DictReader(file)}


def compute_all(jobs: Iterator[Job], path: Path, code: str) -> None:
    known = done(path)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        if not known:
            writer.writeheader()
        for job in jobs:
            if job.key in known:
                continue
            start = time.process_time()
            result = {name: f"{value:.6g}" for name, value in job.score().items()}
            seconds = f"{time.process_time() - start:.3f}"
            writer.writerow({**dict(zip(KEY, job.key, strict=True)), **result, "cpu_seconds": seconds, "version": code})
            file.flush()
            print(*job.key, result["r2"], seconds, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the corpus folder baker2018")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = Data(args.data)
    for part in args.parts:
        compute_all(PARTS[part](data, args.repeats), args.out / "srm_raw.csv", version())
    summarise(args.out)


if __name__ == "__main__":
    main()
