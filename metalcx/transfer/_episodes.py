"""Episodes: small forecasting problems drawn from source tasks, as arrays that a network trains on.

An episode plays what a person will do: some runs of a task are complete, others are cut, and what
comes later is asked. Support size (0 included), cut, horizon and the shape of the values vary, so
that nothing about a source dataset is worth remembering.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._aligned import align
from metalcx.forecasters._base import floor_of
from metalcx.forecasters._few_shot import MIN_SUPPORT
from metalcx.forecasters._gate_items import Items, items, spread, support_items

SUPPORT_SIZES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20)
SUPPORT_ODDS = np.array([1.5, 1, 1.5, 1, 1, 2, 1, 1, 1.5, 1, 1, 2])
MAX_QUERIES = 24
SHORT_HORIZON = 0.35
WARPED = 0.5


@dataclass(frozen=True)
class Episode:
    """Queries of one episode and, where asked for, its support as leave-one-out queries."""

    k: int
    query: Items
    support: Items | None


@dataclass(frozen=True)
class Drawn:
    """One episode of a task before it is described.

    Attributes:
        support: K complete runs.
        prefix: Queries as far as they are seen.
        support_rows: Which runs of the task the support is.
        query_rows: Which the queries are.
        rows: The query of each request, shape (b,).
        times: Its time, shape (b,).
        truth: What came of it, oriented, shape (b,).
        scale: A unit of what differences matter, oriented.
    """

    support: PaddedCurves
    prefix: PaddedCurves
    support_rows: IntArray
    query_rows: IntArray
    rows: IntArray
    times: FloatArray
    truth: FloatArray
    scale: float


def draw_episode(
    curves: PaddedCurves,
    rng: np.random.Generator,
    group: npt.NDArray[np.object_] | None = None,
    k_min: int = 0,
) -> Drawn:
    """Draw one episode of a task.

    Args:
        curves: All curves of the task, oriented and floored.
        rng: Where the draw comes from.
        group: Support and queries share none where that leaves enough queries.
        k_min: Fewest support runs.
    """
    curves = _warped(_shortened(curves, rng), rng)
    support_rows, query_rows = _draw_runs(curves, group, rng, k_min)
    support, queries = curves.take(support_rows), curves.take(query_rows)
    cut = np.exp(rng.uniform(np.log(0.04), np.log(0.6)))
    seen = np.clip(np.round(cut * queries.length), 1 if rng.random() < 0.1 else 2, queries.length - 1).astype(np.int64)
    line = np.arange(len(queries))
    # A share of the way common to the episode: runs of equal length then ask for the same time.
    between = np.minimum(seen + (rng.random() * (queries.length - seen)).astype(np.int64), queries.length - 1)
    asked = np.concatenate([queries.t_last, queries.t[line, between]])
    truth = np.concatenate([queries.last, queries.y[line, between]])
    floor = floor_of(support) if len(support) else -np.inf
    prefix = queries.truncate(queries.t[line, seen - 1])
    prefix = prefix.with_values(np.maximum(prefix.y, floor))
    support = support.with_values(np.maximum(support.y, floor))
    rows = np.concatenate([line, line])
    return Drawn(support, prefix, support_rows, query_rows, rows, asked, truth, spread(curves.last))


def sample_episode(
    curves: PaddedCurves,
    rng: np.random.Generator,
    group: npt.NDArray[np.object_] | None = None,
    with_support: bool = False,
) -> Episode:
    """Draw one episode and describe it for the expert gate; see `draw_episode`.

    Args:
        curves: All curves of the task, oriented and floored.
        rng: Where the draw comes from.
        group: Of the runs.
        with_support: Whether to add the support's leave-one-out items; K is then at least `MIN_SUPPORT`.
    """
    drawn = draw_episode(curves, rng, group, MIN_SUPPORT if with_support else 0)
    a = align(drawn.support, drawn.prefix, drawn.rows, drawn.times)
    own = support_items(drawn.support) if with_support and len(drawn.support) >= MIN_SUPPORT else None
    return Episode(len(drawn.support), items(a, drawn.truth, drawn.scale), own)


def _draw_runs(
    curves: PaddedCurves, group: npt.NDArray[np.object_] | None, rng: np.random.Generator, k_min: int
) -> tuple[IntArray, IntArray]:
    usable = np.flatnonzero(curves.length >= 3)
    order = rng.permutation(usable)
    sizes = [i for i, k in enumerate(SUPPORT_SIZES) if k_min <= k <= len(order) - 4] or [0]
    odds = SUPPORT_ODDS[sizes]
    k = SUPPORT_SIZES[int(rng.choice(sizes, p=odds / odds.sum()))]
    support, rest = order[:k], order[k:]
    if group is not None and k:
        apart = rest[~np.isin(group[rest].astype(str), group[support].astype(str))]
        rest = apart if len(apart) >= 4 else rest
    return support, rest[:MAX_QUERIES]


def _shortened(curves: PaddedCurves, rng: np.random.Generator) -> PaddedCurves:
    """Now and then the task ends earlier: what was halfway becomes the end."""
    if rng.random() >= SHORT_HORIZON:
        return curves
    start = float(curves.t[:, 0].min())
    end = start + rng.uniform(0.25, 1.0) * (float(curves.t_last.max()) - start)
    short = curves.truncate(end)
    return short if (short.length >= 3).sum() >= 6 else curves


def _warped(curves: PaddedCurves, rng: np.random.Generator) -> PaddedCurves:
    """Now and then values pass through a smooth increasing map, as if another metric had been recorded."""
    if rng.random() >= WARPED:
        return curves
    init = float(np.median(curves.first))
    unit = float(curves.y.max()) - init
    if unit <= 0:
        return curves
    bend = rng.uniform(-1.5, 1.5)
    v = np.maximum((curves.y - init) / unit, -3.0)
    return curves.with_values(np.expm1(bend * v) / bend if abs(bend) > 1e-3 else v)
