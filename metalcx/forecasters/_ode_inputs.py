"""What the latent ODE reads: of every run once, and of every time that it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._aligned import Aligned, align, others_of
from metalcx.forecasters._gate_inputs import gate_inputs
from metalcx.forecasters._gate_items import cut_times, left_out, middle_of
from metalcx.forecasters._peers import BESIDE, Distances, comparable_left_out, courses, distances, gone, peers
from metalcx.forecasters._requests import Requests, rows_of
from metalcx.forecasters._traits import COMPANIONS, Traits

Float32 = npt.NDArray[np.float32]

#: Points of a prefix that are read.
TOKENS = 16

#: Points of each further metric that are read.
BESIDE_TOKENS = 8

#: Numbers a point: time, value, step since the one before, whether it is there.
TOKEN = 4

#: Log time to which states are followed; later ones are as then. The end of a run of which a hundredth is seen is 4.6.
FARTHEST = 6.0


@dataclass(frozen=True)
class RunInputs:
    """n runs, all of which is known at their cuts.

    Attributes:
        x: Features of the gate at a reference time, shape (n, N_FEATURES).
        tokens: Points of prefixes, shape (n, TOKENS, TOKEN).
        beside: Points of further metrics, shape (n, COMPANIONS BESIDE_TOKENS, TOKEN).
        arch: Embeddings, shape (n, width).
        config: Hashed hyperparameters, shape (n, 2 HASHED).
        relation: Distances to support runs, shape (n, K, relations).
        missed: What was missed of those at the reference time, in anchors, shape (n, K).
        course: Where they went, shape (n, K, places).
        evidence: What configurations and architectures tell of each other, shape (n, 2).
        known: Whether they can be compared, shape (n, 2).
        has_arch: Whether the architecture is known, shape (n, 1).
    """

    x: Float32
    tokens: Float32
    beside: Float32
    arch: Float32
    config: Float32
    relation: Float32
    missed: Float32
    course: Float32
    evidence: Float32
    known: Float32
    has_arch: Float32

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class TimeInputs:
    """b requests.

    Attributes:
        run: Which of the runs, shape (b,).
        s: When, in log time since the cut, shape (b,).
        x: Features of the gate, shape (b, N_FEATURES).
        offsets: Experts' points less the centre, in anchors, shape (b, experts).
        relation: Distances to support runs, shape (b, K, relations).
        missed: What was missed of those at that time, in anchors, shape (b, K).
        centre: Oriented, shape (b, 1).
        anchor: Oriented, positive, shape (b, 1).
    """

    run: IntArray
    s: Float32
    x: Float32
    offsets: Float32
    relation: Float32
    missed: Float32
    centre: FloatArray
    anchor: FloatArray


def ode_inputs(
    support: PaddedCurves,
    prefix: PaddedCurves,
    rows: IntArray,
    times: FloatArray,
    query: Traits,
    known: Traits,
) -> tuple[RunInputs, TimeInputs, Requests]:
    """Describe queries and forecasts of them; the last is what `requests` says of the forecasts.

    Args:
        support: K runs, oriented.
        prefix: n queries, oriented.
        rows: Which query each of the b forecasts is about, shape (b,).
        times: Its time, later than the query's last, shape (b,).
        query: What else is known of the queries.
        known: What else is known of the support.
    """
    n, unit = len(prefix), unit_of(prefix, support)
    asked = np.concatenate([np.arange(n), rows])
    a = align(support, prefix, asked, np.concatenate([_reference(support, prefix, unit), times]))
    course = courses(gone(support, prefix.t_last, unit))
    described = _described(a, Distances.of(query, known, asked))
    runs = _runs(described, prefix, unit, query, course)
    s = log_time(times - prefix.t_last[rows], unit[rows])
    return runs, _times(described, rows, s), Requests.of(described, n)


def left_out_inputs(
    support: PaddedCurves, known: Traits, cuts: Sequence[float]
) -> tuple[RunInputs, TimeInputs, FloatArray]:
    """Support runs, cut, as queries of the others, asked for their end: of K >= 3 those of `left_out`, once a cut.

    Args:
        support: K runs, oriented.
        known: What else is known of them.
        cuts: Shares of the run that ends in the middle; all runs are cut when that is.

    Returns:
        Runs, requests, and what came of them, oriented, shape (cuts L,).
    """
    k, left = len(support), left_out(len(support))
    n, parts = len(left), []
    others = others_of(k, left)
    within = distances(known, known)
    comparing = np.stack([comparable_left_out(known, name)[left] for name in BESIDE], -1)
    beside = Distances(within[left[:, None], others], comparing, within[others[:, :, None], others[:, None]])
    middle = support.take([middle_of(support)])
    for cut in cut_times(support, cuts):
        start = middle.truncate(cut)
        a = align(support, start, np.zeros(1, dtype=np.int64), middle.t_last)
        end, unit = start.t_last, unit_of(start, support)
        stretch = a.stretch[0, left]
        prefix = support.take(left).truncate(end * stretch)
        course = courses(gone(support, end, unit)[0][others])
        described = _described(a.leave_one_out(left), beside)
        described = {name: np.concatenate([part, part]) for name, part in described.items()}
        runs = _runs(described, prefix, unit * stretch, known.take(left), course)
        s = np.repeat(log_time(middle.t_last - end, unit), n)
        parts.append((runs, _times(described, np.arange(n), s), a.future[0, left]))
    runs, times = (concatenated([part[i] for part in parts]) for i in (0, 1))
    times = replace(times, run=np.arange(len(runs)))
    return runs, times, np.concatenate([part[2] for part in parts])


def _described(a: Aligned, beside: Distances) -> dict[str, FloatArray]:
    """What is known of each row of an alignment."""
    inputs = gate_inputs(a)
    return rows_of(a, inputs) | vars(peers(a, inputs, beside))


def _runs(
    described: dict[str, FloatArray], prefix: PaddedCurves, unit: FloatArray, query: Traits, course: FloatArray
) -> RunInputs:
    """Of the first rows, one a query."""
    n = len(prefix)
    first = {name: described[name][:n] for name in ("x", "relation", "missed", "evidence", "known")}
    beside = {"arch": query.arch, "config": query.config, "has_arch": query.known[:, None]}
    points = {"tokens": _tokens(prefix, unit, TOKENS), "beside": _beside(query, prefix.t_last, unit)}
    return RunInputs(**_single(first | beside | points | {"course": course}))


def _times(described: dict[str, FloatArray], rows: IntArray, s: FloatArray) -> TimeInputs:
    """Of the last rows, one a request."""
    last = {name: part[len(part) - len(rows) :] for name, part in described.items()}
    read = {name: last[name] for name in ("x", "offsets", "relation", "missed")}
    return TimeInputs(rows, **_single(read | {"s": s}), centre=last["centre"][:, None], anchor=last["anchor"][:, None])


def unit_of(prefix: PaddedCurves, support: PaddedCurves) -> FloatArray:
    """Unit of each run's log time: how long it was seen, or, of a single point, when that was; shape (n,).

    Of a single point at 0, when support runs usually end; NaN where that says nothing either.
    """
    seen, end = prefix.t_last - prefix.t[:, 0], float(np.median(support.t_last)) if len(support) else 0.0
    return np.select([seen > 0, prefix.t_last > 0], [seen, prefix.t_last], end if end > 0 else np.nan)


def log_time(ahead: FloatArray, unit: FloatArray) -> FloatArray:
    """log(1 + ahead / unit): 0 at the cut, .7 when as much again has passed; at most `FARTHEST`; 1 without a unit."""
    return np.where(np.isnan(unit), 1.0, np.minimum(np.log1p(np.maximum(ahead, 0.0) / unit), FARTHEST))


def _reference(support: PaddedCurves, prefix: PaddedCurves, unit: FloatArray) -> FloatArray:
    """A time at which a run is described, whatever is asked: when support runs usually end, or twice what is seen."""
    end = float(np.median(support.t_last)) if len(support) else -np.inf
    return np.where(end > prefix.t_last, end, prefix.t_last + np.nan_to_num(unit, nan=1.0))


def _beside(query: Traits, t_cut: FloatArray, unit: FloatArray) -> FloatArray:
    """Points of further metrics up to each run's cut, shape (n, COMPANIONS BESIDE_TOKENS, TOKEN)."""
    parts: list[FloatArray] = []
    for curves in query.companions:
        # A first point that came after the cut is kept by `truncate`.
        seen = (curves.length > 0) & (curves.t[:, 0] <= t_cut)
        past = curves.truncate(t_cut)
        parts.append(_tokens(replace(past, length=np.where(seen, past.length, 0)), unit, BESIDE_TOKENS))
    parts += [np.zeros((len(t_cut), BESIDE_TOKENS, TOKEN))] * (COMPANIONS - len(parts))
    return np.concatenate(parts, 1)


def _tokens(curves: PaddedCurves, unit: FloatArray, count: int) -> FloatArray:
    """Up to `count` points of each run, evenly among those there are, in units of the run; (n, count, TOKEN)."""
    place = np.floor(np.linspace(0, 1, count) * np.maximum(curves.length - 1, 0)[:, None] + 1e-9).astype(np.int64)
    t, y = (np.take_along_axis(np.nan_to_num(array), place, 1) for array in (curves.t, curves.y))
    there = (np.diff(place, axis=1, prepend=-1) > 0) & (curves.length > 0)[:, None]
    extent = np.ptp(y, axis=1)
    reach = np.where(extent > 1e-9 * np.abs(y).max(1), extent, 1.0)[:, None]
    value = np.arcsinh((y - y[:, -1:]) / reach)
    when = (t - t[:, :1]) / np.nan_to_num(unit, nan=1.0)[:, None]
    step = np.diff(value, axis=1, prepend=value[:, :1])
    found = np.stack([when, value, step, there], -1)
    return np.clip(found, -12.0, 12.0) * there[..., None]


def _single(arrays: dict[str, Any]) -> dict[str, Float32]:
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}


def concatenated(parts: list[Any]) -> Any:
    """Rows of several `RunInputs`, or of several `TimeInputs`, of one K and one number of tokens."""
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(kind)))
