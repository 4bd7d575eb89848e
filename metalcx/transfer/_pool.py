"""The pool of items that meta-training draws from: made once, in pieces that survive a kill, on several cores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import PaddedCurves
from metalcx.errors import DataError
from metalcx.forecasters._gate_inputs import FEATURES_VERSION, GATED, N_FEATURES
from metalcx.forecasters._gate_items import Items
from metalcx.transfer._augment import mixed, synthetic
from metalcx.transfer._episodes import Episode, sample_episode
from metalcx.transfer._pieces import Arrays, Progress, pieces
from metalcx.transfer._tasks import PreparedTask

#: Episodes in one file of the pool.
SHARD = 250

#: Stands for "no task" beside the number of one.
NONE = -1


@dataclass(frozen=True)
class PoolConfig:
    """How many episodes of what to draw.

    Args:
        per_task: Episodes of each task of at least `large` runs.
        per_small_task: Episodes of each smaller task.
        large: Runs from which a task counts as large.
        mixed: Episodes of mixtures of two tasks.
        synthetic: Episodes of made-up tasks.
        corpus_weight: (corpus, weight) of corpora whose tasks count for less or more than others: in episodes, in
            mixtures, and in training.
        with_support: Whether to keep the support's leave-one-out items, which gradient-based
            meta-training learns from; then only episodes with at least three support runs are drawn.
        seed: Of all draws.
    """

    per_task: int = 160
    per_small_task: int = 30
    large: int = 40
    mixed: int = 8000
    synthetic: int = 4000
    corpus_weight: tuple[tuple[str, float], ...] = (("smallnets", 0.5),)
    with_support: bool = False
    seed: int = 0

    def weights(self, tasks: Sequence[PreparedTask]) -> npt.NDArray[np.float64]:
        """Weight of each task by its corpus, shape (tasks,)."""
        known = dict(self.corpus_weight)
        return np.array([known.get(task.corpus, 1.0) for task in tasks])


@dataclass(frozen=True)
class Pool:
    """Items of many episodes.

    Attributes:
        queries: Items of all queries, b rows.
        episode: Episode of each row, shape (b,).
        task: The tasks from which each episode was made, `NONE` where fewer than two, shape (episodes, 2).
        support: Items of the support's held-out runs, or None.
        support_episode: Episode of each of their rows, or None.
    """

    queries: Items
    episode: npt.NDArray[np.int64]
    task: npt.NDArray[np.int64]
    support: Items | None = None
    support_episode: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Job:
    """An episode to draw: the tasks that it is made from, `NONE` where fewer than two, and its number."""

    first: int
    second: int
    number: int


def build_pool(
    tasks: Sequence[PreparedTask],
    config: PoolConfig,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> Pool:
    """Draw all episodes, or read what an earlier call left in `folder`; the result is the same.

    Args:
        tasks: Source tasks; their order matters to the draws.
        config: What to draw.
        folder: Where finished pieces are kept; those of other tasks or settings are not taken for them.
        workers: Processes; the result does not depend on it.
        progress: Called with (done, total, what).
    """
    jobs = list(jobs_of(tasks, config))
    make = partial(_shard, tasks, config)
    lots = [jobs[i : i + SHARD] for i in range(0, len(jobs), SHARD)]
    shards = pieces(folder / fingerprint(tasks, config), lots, make, workers, progress, "drawing episodes")
    return _gather(shards, jobs, config)


def jobs_of(tasks: Sequence[PreparedTask], config: PoolConfig) -> Iterator[Job]:
    """All episodes to draw, in the order of their numbers."""
    number = 0
    for i, (task, weight) in enumerate(zip(tasks, config.weights(tasks), strict=True)):
        usual = config.per_task if len(task) >= config.large else config.per_small_task
        for _ in range(max(1, round(weight * usual))):
            yield Job(i, NONE, number)
            number += 1
    rng = np.random.default_rng([config.seed, 0])
    big = [i for i, task in enumerate(tasks) if len(task) >= config.large] or list(range(len(tasks)))
    kin = np.unique([task.family for task in tasks], return_inverse=True)[1]
    odds = config.weights(tasks) / np.sqrt(np.bincount(kin)[kin])
    if kin.any():
        for _ in range(config.mixed):
            first = _drawn(rng, big, odds)
            others = np.asarray(big if rng.random() < 0.7 else range(len(tasks)))
            strangers = others[kin[others] != kin[first]]
            if len(strangers):
                yield Job(first, _drawn(rng, strangers, odds), number)
            number += 1
    for _ in range(config.synthetic):
        yield Job(NONE, NONE, number)
        number += 1


def _drawn(rng: np.random.Generator, among: Sequence[int] | npt.NDArray[np.int64], odds: npt.NDArray[Any]) -> int:
    """One task of `among`, in proportion to its odds."""
    share = odds[among]
    return int(rng.choice(among, p=share / share.sum()))


def curves_of(
    tasks: Sequence[PreparedTask], job: Job, rng: np.random.Generator
) -> tuple[PaddedCurves, npt.NDArray[np.object_] | None]:
    """The runs that an episode is drawn from, and their groups where they are those of a task."""
    if job.first == NONE:
        return synthetic(rng), None
    first = tasks[job.first].curves
    if job.second == NONE:
        return first.padded(), first.group
    return mixed(first.padded(), tasks[job.second].curves.padded(), rng), None


def _episode(tasks: Sequence[PreparedTask], config: PoolConfig, job: Job) -> Episode:
    rng = np.random.default_rng([config.seed, 1, job.number])
    curves, group = curves_of(tasks, job, rng)
    return sample_episode(curves, rng, group, config.with_support)


def _shard(tasks: Sequence[PreparedTask], config: PoolConfig, jobs: Sequence[Job]) -> Arrays:
    episodes = [_episode(tasks, config, job) for job in jobs]
    arrays: Arrays = {"count": np.array([len(e.query) for e in episodes])}
    arrays |= {f.name: np.concatenate([getattr(e.query, f.name) for e in episodes]) for f in fields(Items)}
    supports = [e.support for e in episodes]
    arrays["support_count"] = np.array([0 if s is None else len(s) for s in supports])
    kept = [s for s in supports if s is not None]
    if kept:
        arrays |= {f"support_{f.name}": np.concatenate([getattr(s, f.name) for s in kept]) for f in fields(Items)}
    return arrays


def _gather(shards: list[Arrays], jobs: list[Job], config: PoolConfig) -> Pool:
    def joined(prefix: str) -> Items:
        return Items(
            *(np.concatenate([s[prefix + f.name] for s in shards if prefix + f.name in s]) for f in fields(Items))
        )

    def owner(name: str) -> npt.NDArray[np.int64]:
        count = np.concatenate([s[name] for s in shards])
        return np.repeat(np.arange(len(count)), count)

    if config.with_support and not any(s["support_count"].any() for s in shards):
        raise DataError(
            "no source task has enough runs for a support; give larger tasks, or train without an inner loop"
        )
    task = np.array([(job.first, job.second) for job in jobs], dtype=np.int64)
    if not config.with_support:
        return Pool(joined(""), owner("count"), task)
    return Pool(joined(""), owner("count"), task, joined("support_"), owner("support_count"))


def fingerprint(tasks: Sequence[PreparedTask], config: PoolConfig, more: bytes = b"") -> str:
    """Changes with anything that a pool depends on, `more` included, so that a stale piece is never read."""
    digest = hashlib.sha256(json.dumps([asdict(config), GATED, N_FEATURES, FEATURES_VERSION]).encode())
    for task in tasks:
        curves = task.curves
        digest.update(f"{task.name} {task.family} ".encode() + curves.t.tobytes() + curves.y.tobytes())
        beside = [
            curves.group is not None and curves.group.tolist(),
            curves.config is not None and curves.config.to_json(),
        ]
        digest.update(json.dumps(beside, default=str).encode())
    digest.update(more)
    return digest.hexdigest()[:16]
