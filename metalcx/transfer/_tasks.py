"""The runs, values and scales of one task as the transfer protocol fixes them, for training and judging alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from metalcx.corpora import Task, families, group_codes
from metalcx.curves import Curves, Metric
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._base import floor_from

#: Everything is scored as one made-up metric: oriented, unbounded, higher is better.
SCORE = Metric("score", "max")

MAX_RUNS = 400

#: Points that a run needs to count; most runs of lemur stopped after five.
MIN_POINTS = {"lemur": 20}
DEFAULT_MIN_POINTS = 5

#: How the names of further metrics begin that are read beside the primary one; those of test sets are not.
BESIDE = ("train", "val")

#: Corpora whose runs end at different times, which their last t reveals; summarised apart.
RAGGED = ("algoperf", "nmtlc")


@dataclass(frozen=True)
class PreparedTask:
    """A task ready to be scored.

    Attributes:
        name: ``corpus/task``.
        corpus: Name of its corpus.
        family: Its family: what hold-out goes by.
        curves: Oriented, floored values of at most `MAX_RUNS` runs, all finite; beside them, oriented, further metrics
            whose names begin as `BESIDE` says.
        final: Value at each run's last point, shape (n,).
        scale: Unit of errors: inter-quartile range of finals, or the protocol's stand-in.
        ragged: Whether its corpus is one of `RAGGED`.
        domain: Such as ``img-classification``, where it is known.
    """

    name: str
    corpus: str
    family: str
    curves: Curves
    final: FloatArray
    scale: float
    ragged: bool
    domain: str = ""

    def __len__(self) -> int:
        return len(self.curves)


def prepared(tasks: Iterable[Task], min_runs: int = 1) -> list[PreparedTask]:
    """Prepare all `tasks` that have at least `min_runs` runs long enough; the others are left out.

    Tasks that share a family, or a dataset under any name, get the same family.
    """
    tasks = list(tasks)
    parts = (
        (task, prepare(_with_graphs(task), task.name, task.corpus.name, family))
        for task, family in zip(tasks, families(tasks), strict=True)
    )
    return [replace(p, domain=task.domain) for task, p in parts if p is not None and len(p) >= min_runs]


def _with_graphs(task: Task) -> Curves:
    """The curves of a task with further metrics, architectures as graphs where the corpus has some, else by name."""
    beside = [m.name for m in task.corpus.metrics if m.name.startswith(BESIDE)]
    curves, known = task.curves(beside), task.corpus.architectures.dropna(subset=["graph"])
    if curves.arch is None or not len(known):
        return curves
    graphs = dict(zip(known["arch"], known["graph"], strict=True))
    return replace(curves, arch=np.array([graphs.get(arch, arch) for arch in curves.arch], dtype=object))


def prepare(curves: Curves, name: str, corpus: str, family: str, seed: int = 0) -> PreparedTask | None:
    """Apply the protocol's rules on runs and values to the curves of one task; None if no run is long enough."""
    oriented = _oriented(curves)
    keep = np.flatnonzero(oriented.length >= MIN_POINTS.get(corpus, DEFAULT_MIN_POINTS))
    if not len(keep):
        return None
    kept = oriented.take(keep)
    kept = kept.take(_distinct(kept))
    kept = kept.take(_one_seed(kept))
    if len(kept) > MAX_RUNS:
        kept = kept.take(np.sort(np.random.default_rng(seed).permutation(len(kept))[:MAX_RUNS]))
    values = _floored(kept)
    kept = _with_values(kept, values)
    final = values[kept.offsets[1:] - 1]
    return PreparedTask(f"{corpus}/{name}", corpus, family, kept, final, _scale(final), corpus in RAGGED)


def _oriented(curves: Curves) -> Curves:
    """Higher is better, perplexity as its negative logarithm; points that were not measured are gone."""
    y = np.log(np.maximum(curves.y, 1e-300)) if curves.metric.unit == "perplexity" else curves.y
    y = curves.metric.sign * y
    measured = ~np.isnan(curves.y)
    # A diverged step is the worst there is; a floor takes its place below.
    y = np.where(np.isinf(curves.y), -np.inf, y)
    length = np.bincount(curves.owner[measured], minlength=len(curves))
    runs = np.flatnonzero(length)
    beside = [m for m in curves.metrics if m.name != curves.metric.name and m.name.startswith(BESIDE)]
    further = {m.name: m.sign * curves.values[m.name][measured] for m in beside}
    # Of a corpus's metrics, a task has its own.
    further = {name: values for name, values in further.items() if np.isfinite(values).mean() > 0.5}
    whole = Curves(
        metric=SCORE,
        ids=curves.ids,
        offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        t=curves.t[measured],
        values={SCORE.name: y[measured], **further},
        metrics=(SCORE, *(Metric(name, "max") for name in further)),
        status=curves.status,
        config=curves.config,
        arch=curves.arch,
        group=curves.group,
    )
    return whole.take(runs)


def _floored(curves: Curves) -> FloatArray:
    """Values not below the floor."""
    best = float(curves.y[np.isfinite(curves.y)].max())
    return np.maximum(curves.y, floor_from(curves.y[curves.offsets[:-1]], best))


def _with_values(curves: Curves, values: FloatArray) -> Curves:
    # A diverged run now ends at the floor like any other run, for every method alike.
    status = np.where(curves.status == "diverged", "completed", curves.status).astype(object)
    return replace(curves, values={**curves.values, SCORE.name: values}, status=status)


def _distinct(curves: Curves) -> IntArray:
    """First run of each set of exactly equal curves."""
    seen: dict[bytes, int] = {}
    for i in range(len(curves)):
        points = slice(curves.offsets[i], curves.offsets[i + 1])
        seen.setdefault(curves.t[points].tobytes() + curves.y[points].tobytes(), i)
    return np.array(sorted(seen.values()), dtype=np.int64)


def _one_seed(curves: Curves) -> IntArray:
    """First run of each (group, configuration); a run without a group stands alone."""
    if curves.group is None:
        return np.arange(len(curves))
    config = [""] * len(curves)
    if curves.config is not None and len(curves.config.columns):
        config = ["|".join(map(str, row)) for row in curves.config.itertuples(index=False)]
    seen: dict[tuple[int, str], int] = {}
    for i, key in enumerate(zip(group_codes(curves).tolist(), config, strict=True)):
        seen.setdefault(key, i)
    return np.array(sorted(seen.values()), dtype=np.int64)


def _scale(final: FloatArray) -> float:
    q05, q25, q75, q95 = np.quantile(final, [0.05, 0.25, 0.75, 0.95])
    iqr, wide = q75 - q25, q95 - q05
    scale = wide / 4.0 if iqr < 0.02 * wide else iqr
    return float(scale if scale > 0 else 1.0)


@dataclass(frozen=True)
class Draw:
    """One draw of support and queries of a task.

    Attributes:
        support: Positions of the support runs, in order: the first K are the support at K.
        queries: Positions of the queries, the same for all K.
        by_group: False where the task had to be split by run.
    """

    support: IntArray
    queries: IntArray
    by_group: bool


def draw(task: PreparedTask, k_max: int, seed: Sequence[int], max_queries: int = 200) -> Draw:
    """Draw `k_max` support runs and up to `max_queries` queries that share no group with them."""
    order = np.random.default_rng(list(seed)).permutation(len(task))
    support = order[:k_max]
    rest = order[k_max:]
    grouped = task.curves.group is not None
    if grouped:
        code = group_codes(task.curves)
        apart = rest[~np.isin(code[rest], code[support])]
        if len(apart) >= k_max + 20:
            return Draw(support, apart[:max_queries], True)
    return Draw(support, rest[:max_queries], not grouped)


def n_seen(curves: Curves, cut: float) -> IntArray:
    """Points seen at `cut` of each run: ``clip(round(cut L), 2, L - 1)``, shape (n,)."""
    return np.clip(np.round(cut * curves.length).astype(np.int64), 2, curves.length - 1)


def cut_times(curves: Curves, cut: float) -> FloatArray:
    """Time of the last point seen at `cut` of each run, shape (n,)."""
    return curves.t[curves.offsets[:-1] + n_seen(curves, cut) - 1]
