"""Few labels on one dataset after many on others: what holds of architectures whatever they are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from metalcx.bench.encoder._baselines import fitted, normal_scores
from metalcx.bench.encoder._fits import Case, Clock, inputs, reported, scored, seed_of, trained
from metalcx.bench.encoder._proxies import FloatArray
from metalcx.bench.encoder._rows import LOOKUP, Effort, Row
from metalcx.bench.encoder._spaces import Space, Table, split
from metalcx.encoders import GraphEncoder, Ranker
from metalcx.encoders._finetune_many import Job, Lesson

#: Labels on the target; without any there is nothing to rank by but the other datasets.
FEW = (0, 20, 78)


class Target(NamedTuple):
    """A dataset to rank on in one run, and what may be learned from before.

    Attributes:
        case: Run, table and its split.
        others: Datasets of other families, of each some architectures and what they reached there.
        whole: The tables of those.
    """

    case: Case
    others: tuple[Lesson, ...]
    whole: tuple[Table, ...]


#: A target, whether others were learned from, labels, scores of the test architectures, and seconds since those before.
Scored = Iterator[tuple[Target, bool, int, FloatArray, dict[str, float]]]


def judged_across(
    space: Space,
    name: str,
    runs: Sequence[int],
    effort: Effort,
    encoders: Mapping[int, GraphEncoder],
    tables: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """The measures of a row on every dataset, or on some, without and with the labels of datasets of other families.

    The test architectures of a run are the same for all numbers of labels. `seconds` are those since the labels before,
    so that the others' labels count with no label on the target.

    Args:
        space: The space.
        name: The row.
        runs: Which say seed and permutation.
        effort: Settings.
        encoders: Of each run, if the row has one.
        tables: Names of the datasets to rank on; all if there are none.
    """
    row, targets = Row.parse(name), list(_targets(space, runs, effort.sources, tables))
    if row.learned:
        found = _learned(space, targets, effort, encoders)
    else:
        x = np.zeros((len(space.batch), 0)) if name == LOOKUP else inputs(space, row, effort)
        found = _regressed(x, targets, row.lesson or "ridge")
    for target, transfer, labels, score, spent in found:
        asked = score[target.case.table.rows[target.case.parts.test]]
        yield reported(space, name, target.case, effort, asked, transfer=transfer, labels=labels) | spent


def _targets(space: Space, runs: Sequence[int], sources: int, tables: Sequence[str] = ()) -> Iterator[Target]:
    """Every dataset asked for that has others of other families, in every run."""
    for run in runs:
        seed, permutation = seed_of(run)
        for table in space.tables:
            others = tuple(other for other in space.tables if other.family != table.family)
            lessons = []
            for number, other in enumerate(others):
                places = np.random.default_rng([seed, permutation, number]).permutation(len(other.rows))[:sources]
                lessons.append(Lesson(other.rows[places], other.values[places]))
            if others and (not tables or table.name in tables):
                case = Case(run, table, split(space, table, permutation, labels=max(FEW)))
                yield Target(case, tuple(lessons), others)


def _learned(space: Space, targets: Sequence[Target], effort: Effort, encoders: Mapping[int, GraphEncoder]) -> Scored:
    """An encoder that ranks within each other dataset first, then within the target."""
    clock, seeds = Clock(), [seed_of(target.case.run)[0] for target in targets]
    fresh = [
        Ranker.fresh(encoders[target.case.run], replace(effort.finetune, seed=seed))
        for target, seed in zip(targets, seeds, strict=True)
    ]
    jobs = [Job(start, t.others, None, seed) for start, t, seed in zip(fresh, targets, seeds, strict=True)]
    long = replace(effort.finetune, epochs=effort.source_epochs, batch=effort.source_batch, most_steps=None)
    for transfer in (False, True):
        starts = trained(space, jobs, long, effort.device) if transfer else fresh
        for labels in FEW if transfer else FEW[1:]:
            rankers = starts if labels == 0 else _tuned(space, targets, starts, seeds, labels, effort)
            scores = scored(space, rankers, effort.device)
            spent = clock.spent(len(targets))
            for target, score in zip(targets, scores, strict=True):
                yield target, transfer, labels, score, spent
            clock.spent()  # not what was done with them


def _tuned(
    space: Space,
    targets: Sequence[Target],
    starts: Sequence[Ranker],
    seeds: Sequence[int],
    labels: int,
    effort: Effort,
) -> list[Ranker]:
    """Rankers that have learned from labels on their target, or stayed as they were if that validates no better."""
    jobs = []
    for target, start, seed in zip(targets, starts, seeds, strict=True):
        train, valid = target.case.parts.train[:labels], target.case.parts.valid
        jobs.append(Job(start, (target.case.lesson(train),), target.case.lesson(valid), seed))
    return trained(space, jobs, effort.finetune, effort.device, unmoved=True)


def _regressed(x: FloatArray, targets: Sequence[Target], model: str) -> Scored:
    """A regression on few labels that has as further columns what is known from other datasets.

    That is what a regression on their labels says, or, without inputs of its own, what they say themselves.
    """
    for target in targets:
        seed = seed_of(target.case.run)[0]
        for transfer in (False, True):
            clock, known = Clock(), x
            if transfer:
                prior = _prior(target, x, model, seed) if x.shape[1] else _looked_up(target, len(x))
                yield target, True, 0, prior.mean(1), clock.spent()
                clock.spent()
                known = np.column_stack([x, prior])
            for labels in FEW[1:] if known.shape[1] else ():
                lesson = target.case.lesson(np.concatenate([target.case.parts.train[:labels], target.case.parts.valid]))
                fit = fitted(model, known[lesson.graphs], lesson.values, seed)
                yield target, transfer, labels, np.asarray(fit.predict(known)), clock.spent()
                clock.spent()


def _prior(target: Target, x: FloatArray, model: str, seed: int) -> FloatArray:
    """What a regression on the order within every other dataset says of all architectures, shape (m, 1)."""
    rows = np.concatenate([lesson.graphs for lesson in target.others])
    order = np.concatenate([normal_scores(lesson.values) for lesson in target.others])
    return np.asarray(fitted(model, x[rows], order, seed).predict(x))[:, None]


def _looked_up(target: Target, n: int) -> FloatArray:
    """What every architecture reached on other datasets, as normal scores, 0 where that is not known, (n, tables)."""
    found = np.zeros((n, len(target.whole)))
    for column, table in zip(found.T, target.whole, strict=True):
        column[table.rows] = normal_scores(table.values)
    return found
