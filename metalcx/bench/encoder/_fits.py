"""A row on all tables of one space: learn from the few that have a label, rank all others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.bench.encoder._baselines import features, fitted
from metalcx.bench.encoder._measures import measures
from metalcx.bench.encoder._proxies import FloatArray, IntArray
from metalcx.bench.encoder._rows import PROXY, Effort, Row
from metalcx.bench.encoder._spaces import Space, Split, Table, split
from metalcx.encoders import FinetuneConfig, GraphEncoder, Ranker
from metalcx.encoders._ensemble import ensemble_jobs, spread_of
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many, scores_of_all

#: Of weights and training, as published; each with as many permutations of the architectures.
SEEDS = (21, 2021, 202121)


def seed_of(run: int) -> tuple[int, int]:
    """Seed and permutation of a run."""
    return SEEDS[run % len(SEEDS)], run // len(SEEDS)


class Case(NamedTuple):
    """One table in one run.

    Attributes:
        run: Which says seed and permutation.
        table: The table.
        parts: Its split.
    """

    run: int
    table: Table
    parts: Split

    def lesson(self, places: IntArray) -> Lesson:
        """Architectures of the table and what they reached."""
        return Lesson(self.table.rows[places], self.table.values[places])


def inputs(space: Space, row: Row, effort: Effort) -> FloatArray:
    """What a row without an encoder knows of every architecture, shape (m, columns)."""
    if row.kind == PROXY:
        return space.proxy[1][:, None]
    return features(space, row.kind, effort.pretrain.surrogate, row.beside)


def judged(
    space: Space,
    name: str,
    runs: Sequence[int],
    effort: Effort,
    encoders: Mapping[int, GraphEncoder],
    tables: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """The measures of a row on tables, of which `seconds` are for learning from labels and scoring the rest.

    Args:
        space: The space.
        name: The row.
        runs: Which say seed and permutation. Encoders of several learn together, each has its share of the time.
        effort: Settings.
        encoders: Of each run, if the row has one.
        tables: Names of tables; all if there are none.
    """
    row, asked = Row.parse(name), [table for table in space.tables if not tables or table.name in tables]
    cases = [Case(run, table, split(space, table, seed_of(run)[1])) for run in runs for table in asked]
    found = _learned(space, row, cases, effort, encoders) if row.learned else _regressed(space, row, cases, effort)
    for case, score, spent in found:
        yield reported(space, name, case, effort, score, labels=len(case.parts.train)) | spent


def reported(space: Space, name: str, case: Case, effort: Effort, score: FloatArray, **known: float) -> dict[str, Any]:
    """What a part says of a row on a table in a run: how well the test architectures are ranked by their scores."""
    about = {"space": space.name, "split": space.split, "table": case.table.name, "row": name, "run": case.run}
    about |= {"device": effort.device}
    return {**about, **known, "test": len(case.parts.test), **measures(score, case.table.values[case.parts.test])}


#: A case, scores of its test architectures, and seconds.
Scored = Iterator[tuple[Case, FloatArray, dict[str, float]]]


def _learned(
    space: Space, row: Row, cases: Sequence[Case], effort: Effort, encoders: Mapping[int, GraphEncoder]
) -> Scored:
    clock, beside = Clock(), space.beside if row.beside else None
    each = [_jobs(row, case, effort, encoders[case.run], 0 if beside is None else beside.shape[1]) for case in cases]
    rankers = trained(space, list(chain.from_iterable(each)), effort.finetune, effort.device, beside)
    scores = scored(space, rankers, effort.device, beside).reshape(len(cases), len(each[0]), -1)
    spent = clock.spent(len(cases))
    for case, members in zip(cases, scores, strict=True):
        known = members[:, case.table.rows[np.concatenate(case.parts[:2])]]
        yield case, (members[:, case.table.rows[case.parts.test]] / spread_of(known)[:, None]).mean(0), spent


def _jobs(row: Row, case: Case, effort: Effort, encoder: GraphEncoder, extra: int) -> list[Job]:
    """The trainings of a row in a case: one, or those of an ensemble, which learns from what would validate too."""
    config = replace(effort.finetune, seed=seed_of(case.run)[0])
    if row.ensemble:
        return ensemble_jobs(encoder, case.lesson(np.concatenate(case.parts[:2])), config, extra)
    train, valid = (case.lesson(part) for part in case.parts[:2])
    return [Job(Ranker.fresh(encoder, config, extra), (train,), valid, config.seed)]


def trained(
    space: Space,
    jobs: Sequence[Job],
    config: FinetuneConfig,
    device: str,
    beside: npt.NDArray[np.float32] | None = None,
    unmoved: bool = False,
) -> list[Ranker]:
    """Rankers of some jobs, those together that can go in step."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, job in enumerate(jobs):
        sizes = (*(len(lesson.graphs) for lesson in job.lessons), len(job.valid.graphs) if job.valid else 0)
        alike.setdefault(sizes, []).append(i)
    found: dict[int, Ranker] = {}
    for places in alike.values():
        options: dict[str, Any] = {"extra": beside, "unmoved": unmoved, "device": device}
        found |= zip(places, finetune_many(space.batch, [jobs[i] for i in places], config, **options), strict=True)
    return [found[i] for i in range(len(jobs))]


def scored(
    space: Space, rankers: Sequence[Ranker], device: str, beside: npt.NDArray[np.float32] | None = None
) -> FloatArray:
    """What each ranker says of all architectures, shape (rankers, m); of those that are alike one is encoded."""
    extra = None if beside is None else beside[space.unique]
    return scores_of_all(rankers, space.batch.take(space.unique), extra, device)[:, space.code]


def _regressed(space: Space, row: Row, cases: Sequence[Case], effort: Effort) -> Scored:
    """Scores of a regression on what is known; what would choose an epoch is learned from as well."""
    x = inputs(space, row, effort)
    for case in cases:
        clock, asked = Clock(), x[case.table.rows[case.parts.test]]
        if row.lesson:
            lesson = case.lesson(np.concatenate([case.parts.train, case.parts.valid]))
            fit = fitted(row.lesson, x[lesson.graphs], lesson.values, seed_of(case.run)[0])
            yield case, np.asarray(fit.predict(asked)), clock.spent()
        else:
            yield case, asked[:, 0], clock.spent()


class Clock:
    """Time since it was made, or since it was last asked."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def spent(self, n: int = 1) -> dict[str, float]:
        """Seconds on the wall and of the processor, for each of n."""
        now = time.perf_counter(), time.process_time()
        wall, cpu = (b - a for a, b in zip(self.start, now, strict=True))
        self.start = now
        return {"seconds": wall / n, "cpu": cpu / n}
