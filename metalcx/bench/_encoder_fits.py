"""One row on all tables of one space in one run: learn from the few that have a label, rank all others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from metalcx.bench._encoder_baselines import features, fitted
from metalcx.bench._encoder_measures import measures
from metalcx.bench._encoder_rows import PROXY, Effort, Row
from metalcx.bench._encoder_spaces import FloatArray, IntArray, Space, Split, Table, split
from metalcx.encoders import GraphEncoder, Labelled, Ranker, finetune

#: Of weights and training, as published; each with as many permutations of the architectures.
SEEDS = (21, 2021, 202121)
PERMUTATIONS = 3


def seed_of(run: int) -> tuple[int, int]:
    """Seed and permutation of a run."""
    return SEEDS[run % len(SEEDS)], run // len(SEEDS)


#: What a row goes by: an encoder, or inputs of a regression, shape (architectures, columns).
Known = GraphEncoder | FloatArray


def inputs(space: Space, row: Row, effort: Effort) -> FloatArray:
    """What a row without an encoder knows of every architecture, shape (m, columns)."""
    if row.kind == PROXY:
        return space.proxy[1][:, None]
    return features(space, row.kind, effort.pretrain.surrogate)


def judged(space: Space, name: str, run: int, effort: Effort, known: Known) -> Iterator[dict[str, Any]]:
    """The measures of a row on every table, of which `seconds` are for learning from labels and scoring the rest.

    Args:
        space: The space.
        name: The row.
        run: Which says seed and permutation.
        effort: Settings.
        known: The encoder of the row, or its inputs.
    """
    row, (seed, permutation) = Row.parse(name), seed_of(run)
    for table in space.tables:
        parts = split(space, table, permutation)
        start, cpu = time.perf_counter(), time.process_time()
        if isinstance(known, GraphEncoder):
            score = _learned(space, table, parts, known, effort, seed)
        else:
            score = _regressed(known, table, parts, row.lesson, seed)
        spent = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        about = {"space": space.name, "split": space.split, "table": table.name, "row": name, "run": run}
        sizes = {"labels": len(parts.train), "test": len(parts.test)}
        yield {**about, **sizes, **measures(score, table.values[parts.test]), **spent}


def ranked(ranker: Ranker, space: Space, rows: IntArray) -> FloatArray:
    """Scores of some architectures, shape of `rows`; of those that are alike one is encoded."""
    codes, place = np.unique(space.alike[rows], return_inverse=True)
    return ranker.score(space.batch.take(space.unique[codes]))[place]


def labelled(space: Space, table: Table, places: IntArray) -> Labelled:
    """Architectures of a table with what they reached."""
    return Labelled(space.batch.take(table.rows[places]), table.values[places])


def _learned(space: Space, table: Table, parts: Split, encoder: GraphEncoder, effort: Effort, seed: int) -> FloatArray:
    train, valid = (labelled(space, table, part) for part in parts[:2])
    ranker = finetune(encoder, train, valid, replace(effort.finetune, seed=seed))
    return ranked(ranker, space, table.rows[parts.test])


def _regressed(x: FloatArray, table: Table, parts: Split, model: str, seed: int) -> FloatArray:
    """Scores of the test architectures; what would choose an epoch is learned from as well."""
    asked = x[table.rows[parts.test]]
    if not model:
        return asked[:, 0]
    known = np.concatenate([parts.train, parts.valid])
    return np.asarray(fitted(model, x[table.rows[known]], table.values[known], seed).predict(asked))
