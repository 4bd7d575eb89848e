"""Few labels on one dataset after many on others: what holds of architectures whatever they are trained on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from metalcx.bench._encoder_baselines import fitted, normal_scores
from metalcx.bench._encoder_fits import Known, ranked, seed_of
from metalcx.bench._encoder_measures import measures
from metalcx.bench._encoder_rows import Effort, Row
from metalcx.bench._encoder_sources import Lesson, new_ranker, taught
from metalcx.bench._encoder_spaces import FloatArray, IntArray, Space, Split, Table, split
from metalcx.encoders import GraphEncoder

#: Labels on the target; without any there is nothing to rank by but the other datasets.
FEW = (0, 20, 78)

#: Numbers of labels, and scores of the test architectures after as many.
Scores = Iterator[tuple[int, FloatArray]]


class Case(NamedTuple):
    """A dataset to rank on, and what may be learned from before.

    Attributes:
        space: The space.
        target: The dataset.
        parts: Its split.
        drawn: Datasets of other families, each with places of labels; none without transfer.
    """

    space: Space
    target: Table
    parts: Split
    drawn: Sequence[tuple[Table, IntArray]]

    def lesson(self, places: IntArray, table: Table | None = None) -> Lesson:
        """Graphs of the target, or of another table, and what they reached."""
        table = table or self.target
        return self.space.batch.take(table.rows[places]), table.values[places]

    @property
    def asked(self) -> IntArray:
        """Numbers of the test architectures."""
        return self.target.rows[self.parts.test]


def judged_across(space: Space, name: str, run: int, effort: Effort, known: Known) -> Iterator[dict[str, Any]]:
    """The measures of a row on every dataset, without and with the labels of datasets of other families.

    The test architectures of a run are the same for all numbers of labels. `seconds` are those since the labels before,
    so that the others' labels count with no label on the target.

    Args:
        space: The space.
        name: The row.
        run: Which says seed and permutation.
        effort: Settings.
        known: The encoder of the row, or its inputs; none of these if it looks up what is known elsewhere.
    """
    row, (seed, permutation) = Row.parse(name), seed_of(run)
    for case in _cases(space, effort.sources, seed, permutation):
        start, cpu = time.perf_counter(), time.process_time()
        for labels, score in _scores(case, known, row, effort, seed):
            spent = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
            about = {"space": space.name, "split": space.split, "table": case.target.name, "row": name, "run": run}
            sizes = {"transfer": bool(case.drawn), "labels": labels, "test": len(case.parts.test)}
            yield {**about, **sizes, **measures(score, case.target.values[case.parts.test]), **spent}
            start, cpu = time.perf_counter(), time.process_time()


def _scores(case: Case, known: Known, row: Row, effort: Effort, seed: int) -> Scores:
    if isinstance(known, GraphEncoder):
        return _learned(case, known, effort, seed)
    return _regressed(case, known, row.lesson or "ridge", seed)


def _cases(space: Space, sources: int, seed: int, permutation: int) -> Iterator[Case]:
    """Every dataset that has others of other families, without and with labels on those."""
    for target in space.tables:
        others = [table for table in space.tables if table.family != target.family]
        parts = split(space, target, permutation, labels=max(FEW))
        drawn = []
        for number, table in enumerate(others):
            order = np.random.default_rng([seed, permutation, number]).permutation(len(table.rows))
            drawn.append((table, order[:sources]))
        if drawn:
            yield Case(space, target, parts, [])
            yield Case(space, target, parts, drawn)


def _learned(case: Case, encoder: GraphEncoder, effort: Effort, seed: int) -> Scores:
    """An encoder that ranks within each other dataset first, then within the target."""
    config = replace(effort.finetune, seed=seed)
    first = new_ranker(encoder, config)
    if case.drawn:
        lessons = [case.lesson(places, table) for table, places in case.drawn]
        first = taught(first, lessons, replace(config, epochs=effort.source_epochs, batch=effort.source_batch))
        yield 0, ranked(first, case.space, case.asked)
    for labels in FEW[1:]:
        few, valid = case.lesson(case.parts.train[:labels]), case.lesson(case.parts.valid)
        yield labels, ranked(taught(first, [few], config, valid), case.space, case.asked)


def _regressed(case: Case, x: FloatArray, model: str, seed: int) -> Scores:
    """A regression on few labels that has as further columns what is known from other datasets.

    That is what a regression on their labels says, or, without inputs of its own, what they say themselves.
    """
    if case.drawn:
        known = _prior(case, x, model, seed) if x.shape[1] else _looked_up(case)
        yield 0, known.mean(1)[case.asked]
        x = np.column_stack([x, known])
    for labels in FEW[1:] if x.shape[1] else ():
        places = np.concatenate([case.parts.train[:labels], case.parts.valid])
        fit = fitted(model, x[case.target.rows[places]], case.target.values[places], seed)
        yield labels, np.asarray(fit.predict(x[case.asked]))


def _prior(case: Case, x: FloatArray, model: str, seed: int) -> FloatArray:
    """What a regression on the order within every other dataset says of all architectures, shape (m, 1)."""
    rows = np.concatenate([table.rows[places] for table, places in case.drawn])
    order = np.concatenate([normal_scores(table.values[places]) for table, places in case.drawn])
    return np.asarray(fitted(model, x[rows], order, seed).predict(x))[:, None]


def _looked_up(case: Case) -> FloatArray:
    """What every architecture reached on other datasets, as normal scores, 0 where that is not known, (m, tables)."""
    found = np.zeros((len(case.space.batch), len(case.drawn)))
    for column, (table, _) in zip(found.T, case.drawn, strict=True):
        column[table.rows] = normal_scores(table.values)
    return found
