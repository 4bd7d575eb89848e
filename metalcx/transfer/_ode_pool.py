"""The pool of episodes that the latent graph ODE learns from: runs with all that is known of them, and requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx.curves._batch import BoolArray, FloatArray
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._ode_inputs import RunInputs, ode_inputs
from metalcx.forecasters._ode_tensors import Runs, Times
from metalcx.forecasters._traits import Architectures, Traits, companions_of, hashed
from metalcx.transfer._episodes import SUPPORT_SIZES, Drawn, draw_episode
from metalcx.transfer._pieces import Arrays, Progress, pieces
from metalcx.transfer._pool import NONE, SHARD, Job, PoolConfig, curves_of, fingerprint, jobs_of
from metalcx.transfer._tasks import PreparedTask

#: Places for support runs, of which an episode takes as many as it has.
PLACES = max(SUPPORT_SIZES)

#: What is kept of requests, in half precision, as all features are.
ASKED = ("s", "x", "offsets", "relation", "missed")

#: What there is of each support run.
OF_SUPPORT = ("relation", "missed", "course")

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OdePool:
    """Runs and requests of many episodes.

    Attributes:
        runs: Of each run what `RunInputs` has but its embedding, in half precision, with `PLACES` support runs.
        k: How many of those there are, shape (runs,).
        arch: Its architecture, a row of `embeddings`, -1 where it is not known, shape (runs,).
        embeddings: Of all architectures, shape (architectures, width).
        times: Of each request what `TimeInputs` has, in half precision, shape (b, ...).
        run: Its run, shape (b,).
        y: What came of it, in anchors from the centre, shape (b,).
        weight: Turns a loss in anchors into one relative to med5's error, shape (b,): the anchor, in those errors.
        outcome: What came of it, in those errors from the mean of its episode, equal where values are; shape (b,).
        episode: Shape (b,).
        task: The tasks that each episode was made from, shape (episodes, 2).
    """

    runs: Arrays
    k: IntArray
    arch: IntArray
    embeddings: npt.NDArray[np.float32]
    times: Arrays
    run: IntArray
    y: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    outcome: npt.NDArray[np.float32]
    episode: IntArray
    task: IntArray

    @cached_property
    def _table(self) -> npt.NDArray[np.float32]:
        """Embeddings, and behind them what -1 reads."""
        return np.concatenate([self.embeddings, np.zeros_like(self.embeddings, shape=(1, self.embeddings.shape[1]))])

    def batch(self, rows: IntArray, device: str = "cpu") -> tuple[Runs, Times, Tensor, Tensor]:
        """Requests and their runs, each with a copy of its own, with answers and weights, on a device of torch."""
        run = self.run[rows]
        own = {name: _float(array[run]) for name, array in self.runs.items()}
        runs = Runs(**own, arch=_float(self._table[self.arch[run]]), k=torch.from_numpy(self.k[run]))
        times = Times(run=torch.arange(len(rows)), **{name: _float(self.times[name][rows]) for name in ASKED})
        y, weight = (torch.from_numpy(array[rows]).to(device) for array in (self.y, self.weight))
        return Runs(*(tensor.to(device) for tensor in runs)), Times(*(tensor.to(device) for tensor in times)), y, weight


def build_ode_pool(
    tasks: Sequence[PreparedTask],
    config: PoolConfig,
    architectures: Architectures,
    folder: Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> OdePool:
    """Draw all episodes, or read what an earlier call left in `folder`; see `build_pool`.

    Args:
        tasks: Source tasks.
        config: What to draw; `with_support` is not read.
        architectures: What reads graphs, each once.
        folder: Where finished pieces are kept.
        workers: Processes.
        progress: Called with (done, total, what).
    """
    embeddings, rows = _embedded(tasks, architectures)
    jobs = list(jobs_of(tasks, config))
    lots = [jobs[i : i + SHARD] for i in range(0, len(jobs), SHARD)]
    make = partial(_shard, tasks, config, embeddings, rows)
    beside = [curves.y.tobytes() for task in tasks for curves in companions_of(task.curves)]
    names = repr([*(f.name for f in fields(RunInputs)), "outcome"]).encode()
    known = [names, embeddings.tobytes(), *(own.tobytes() for own in rows), *beside]
    about = fingerprint(tasks, config, b"".join(known))
    shards = pieces(folder / f"ode-{about}", lots, make, workers, progress, "drawing episodes")
    return _gather(shards, jobs, embeddings)


def _embedded(
    tasks: Sequence[PreparedTask], architectures: Architectures
) -> tuple[npt.NDArray[np.float32], list[IntArray]]:
    """Embeddings of all architectures, each once, and of each task's runs the row of theirs."""
    vectors: list[FloatArray] = []
    rows: list[IntArray] = []
    seen: dict[str, int] = {}
    for task in tasks:
        own, known = architectures.embed(task.curves.arch, len(task))
        texts = task.curves.arch if task.curves.arch is not None else [None] * len(task)
        place = np.full(len(task), -1)
        for i in np.flatnonzero(known):
            text = str(texts[i])
            if text not in seen:
                seen[text] = len(vectors)
                vectors.append(own[i])
            place[i] = seen[text]
        rows.append(place)
    table = np.array(vectors, dtype=np.float32).reshape(len(vectors), architectures.width)
    return table, rows


def _shard(
    tasks: Sequence[PreparedTask],
    config: PoolConfig,
    embeddings: npt.NDArray[np.float32],
    rows: Sequence[IntArray],
    jobs: Sequence[Job],
) -> Arrays:
    parts = [_episode(tasks, config, embeddings, rows, job) for job in jobs]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _episode(
    tasks: Sequence[PreparedTask],
    config: PoolConfig,
    embeddings: npt.NDArray[np.float32],
    rows: Sequence[IntArray],
    job: Job,
) -> Arrays:
    """All that is kept of an episode."""
    rng = np.random.default_rng([config.seed, 1, job.number])
    curves, group = curves_of(tasks, job, rng)
    drawn = draw_episode(curves, rng, group)
    single = job.first != NONE and job.second == NONE
    arch = rows[job.first] if single else np.full(len(curves), -1)
    query, known = _traits(tasks[job.first] if single else None, drawn, embeddings, arch)
    runs, times, _ = ode_inputs(drawn.support, drawn.prefix, drawn.rows, drawn.times, query, known)
    miss = drawn.truth[:, None] - times.centre
    typical = float(np.abs(miss).mean()) + 0.02 * drawn.scale
    arrays = {f"run_{f.name}": _half(f.name, getattr(runs, f.name)) for f in fields(RunInputs) if f.name != "arch"}
    arrays |= {f"time_{name}": _half(name, getattr(times, name)) for name in ASKED}
    n = len(drawn.prefix)
    return arrays | {
        "k": np.full(n, len(drawn.support)),
        "arch": arch[drawn.query_rows],
        "run": drawn.rows,
        "y": np.clip(miss / times.anchor, -1e3, 1e3)[:, 0].astype(np.float32),
        "weight": (times.anchor[:, 0] / typical).astype(np.float32),
        "outcome": ((drawn.truth - drawn.truth.mean()) / typical).astype(np.float32),
        "runs": np.array([n]),
        "requests": np.array([len(drawn.rows)]),
    }


def _traits(
    task: PreparedTask | None, drawn: Drawn, embeddings: npt.NDArray[np.float32], arch: IntArray
) -> tuple[Traits, Traits]:
    """Of the queries and of the support; nothing where there is no task that the runs are of."""
    config = None if task is None else task.curves.config
    space = ConfigurationSpace.of(None if config is None else config.iloc[drawn.support_rows])
    companions = () if task is None else companions_of(task.curves)

    def of(rows: IntArray) -> Traits:
        own = None if config is None else config.iloc[rows].reset_index(drop=True)
        points, placed = space.encode(own, len(rows))
        known: BoolArray = arch[rows] >= 0
        vectors: FloatArray = np.zeros((len(rows), embeddings.shape[1]))
        vectors[known] = embeddings[arch[rows][known]]
        beside = tuple(curves.take(rows) for curves in companions)
        return Traits(vectors, known, hashed(own, space, len(rows)), points, placed, beside)

    return of(drawn.query_rows), of(drawn.support_rows)


def _half(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float16]:
    """In half precision; what there is of each support run with `PLACES` of them, 0 beyond those that there are."""
    if name in OF_SUPPORT:
        array = np.pad(array, [(0, 0), (0, PLACES - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])
    return np.asarray(array, dtype=np.float16)


def _float(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def _gather(shards: list[Arrays], jobs: list[Job], embeddings: npt.NDArray[np.float32]) -> OdePool:
    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([shard[name] for shard in shards])

    runs, requests = joined("runs"), joined("requests")
    first = np.repeat(np.cumsum(runs) - runs, requests)
    return OdePool(
        runs={f.name: joined(f"run_{f.name}") for f in fields(RunInputs) if f.name != "arch"},
        k=joined("k"),
        arch=joined("arch"),
        embeddings=embeddings,
        times={name: joined(f"time_{name}") for name in ASKED},
        run=joined("run") + first,
        y=joined("y"),
        weight=joined("weight"),
        outcome=joined("outcome"),
        episode=np.repeat(np.arange(len(requests)), requests),
        task=np.array([(job.first, job.second) for job in jobs], dtype=np.int64),
    )
