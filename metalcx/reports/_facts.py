"""What the page shows, as JSON values: the report holds all of it, the live page gets it piece by piece."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.decide import Decision
from metalcx.decide._known import values_at
from metalcx.protocol import LEVELS, Forecast
from metalcx.reports._left_out import CUTS, WIDTHS, LeftOut
from metalcx.reports._saved import Saved
from metalcx.reports._standing import Standing
from metalcx.reports._thin import thinned

#: Levels of a fan: the median, and the ends of the central 50, 80 and 95 %.
FAN = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)

#: Runs in the picture of what would have been saved.
MOST_BARS = 120

#: Names of runs that are listed.
MOST_NAMES = 60


def number(value: Any, digits: int = 5) -> float | None:
    """A number as it is written: a few significant digits; None for NaN and infinity."""
    value = float(value)
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def numbers(values: Iterable[float] | npt.NDArray[Any], digits: int = 5) -> list[float | None]:
    """Many of them."""
    return [number(v, digits) for v in np.asarray(values, dtype=np.float64).tolist()]


def run_facts(standing: Standing) -> list[dict[str, Any]]:
    """One a run, best first: what is known of it and what is forecast, without its curve (see `curve_facts`)."""
    ranking, curves, incumbent = standing.ranking, standing.curves, standing.incumbent
    low, high = ranking.forecast.quantile([0.05, 0.95]).T
    unknown = np.full(len(curves), math.nan)
    known = {
        "t": curves.padded().t_last,
        "y": curves.padded().last,
        "mean": ranking.forecast.mean,
        "low": low,
        "high": high,
        "best": standing.prob_best,
        "beats": unknown if incumbent is None else ranking.prob_beats(incumbent),
        "gain": unknown if incumbent is None else ranking.expected_improvement(incumbent),
    }
    columns = {name: numbers(values) for name, values in known.items()}
    decided = {d.run: d for d in standing.decisions}
    facts = []
    for rank, i in enumerate(ranking.order.tolist(), 1):
        run = curves.ids[i]
        row = {"run": str(run), "status": str(curves.status[i]), "rank": rank}
        facts.append(row | {name: column[i] for name, column in columns.items()} | _advice(decided.get(run)))
    return facts


def _advice(decision: Decision | None) -> dict[str, Any]:
    """What a policy says of a run; here nobody has been stopped yet."""
    if decision is None:
        return {}
    return _decided(decision) | {"why": decision.reason.replace("stopped: ", "stop: ", 1)}


def _decided(d: Decision) -> dict[str, Any]:
    return {"stop": d.stop, "why": d.reason, "p": number(d.probability, 4)}


def decision_facts(decisions: Iterable[Decision]) -> list[dict[str, Any]]:
    """One a decision: ``run, t, stop, why, p``."""
    return [{"run": str(d.run), "t": number(d.t)} | _decided(d) for d in decisions]


def curve_facts(curves: Curves, fan: Forecast, past: Mapping[Any, list[tuple[float, float]]]) -> dict[str, Any]:
    """Run -> ``t, y`` that are drawn, ``fan`` (``t``, and a row of values ``q`` for each of `FAN`), ``past``."""
    drawn = thinned(curves)
    fans = {run: i for i, run in enumerate(fan.ids)}
    values = fan.values[..., [int(np.abs(LEVELS - level).argmin()) for level in FAN]]
    found: dict[str, Any] = {}
    for i, run in enumerate(curves.ids):
        points = slice(drawn.offsets[i], drawn.offsets[i + 1])
        facts: dict[str, Any] = {"t": numbers(drawn.t[points], 6), "y": numbers(drawn.y[points])}
        if run in fans:
            own = fans[run]
            facts["fan"] = {"t": numbers(fan.t[own], 6), "q": [numbers(v) for v in values[own].T]}
        if past.get(run):
            facts["past"] = [[number(t, 6), number(p, 4)] for t, p in past[run]]
        found[str(run)] = facts
    return found


def head_facts(curves: Curves, at: float, incumbent: float | None, threshold: float) -> dict[str, Any]:
    """What all of a page refers to."""
    holder = None
    if incumbent is not None:
        over = (curves.status == "completed") | (curves.status == "censored")
        holder = str(curves.ids[np.flatnonzero(over & (values_at(curves, at) == incumbent))[0]])
    counts = {
        status: int((curves.status == status).sum()) for status in ("completed", "running", "diverged", "censored")
    }
    return {
        "metric": curves.metric.to_dict(),
        "unit": curves.time_unit,
        "at": number(at, 6),
        "incumbent": None if incumbent is None else {"run": holder, "value": number(incumbent)},
        "threshold": number(threshold),
        "counts": counts,
    }


def calibration_facts(found: LeftOut) -> dict[str, Any]:
    """Shares of ends at or below each quantile, and coverage, of the model and of med5."""
    shown = {found.names[0]: 0, "med5": found.names.index("med5")}
    coverage = found.coverage().mean(1)
    return {
        "levels": numbers(LEVELS),
        "shares": {name: numbers(found.shares(i), 4) for name, i in shown.items()},
        "widths": list(WIDTHS),
        "coverage": {name: numbers(coverage[i], 4) for name, i in shown.items()},
        "runs": len(found.ids),
        "cuts": list(CUTS),
        "support": found.support,
    }


def baseline_facts(found: LeftOut) -> list[dict[str, Any]]:
    """One a method: mean error by cut, agreement of its order with the true one, coverage, the model's gain over it."""
    error, tau, inside, gain = found.errors().mean(-1), found.agreement(), found.coverage(), found.gains()
    return [
        {
            "method": name,
            "error": numbers(error[i]),
            "tau": numbers(tau[i], 3),
            "inside": numbers(inside[i, :, 1], 4),
            "gain": None if i == 0 else numbers(gain[i], 4),
        }
        for i, name in enumerate(found.names)
    ]


def saved_facts(saved: Saved) -> dict[str, Any]:
    """A row a threshold, and the bars of one order: runs from the best end to the worst, trained part and saved one."""
    rows = [{k: v if isinstance(v, int) else number(v, 4) for k, v in row.items()} for row in saved.rows()]
    replay = saved.first
    recording, ends = replay.recording, {e.run: e for e in replay.events if e.what != "started"}
    wrong = set(replay.outcome.wrong)
    best_first = np.argsort(-recording.final, kind="stable")
    sparse = set(best_first[:: max(1, -(-len(best_first) // MOST_BARS))].tolist())
    shown = [i for i in best_first.tolist() if i in wrong or i in sparse]
    bars = [
        {
            "run": str(recording.curves.ids[i]),
            "final": number(recording.curves.metric.sign * recording.final[i]),
            "spent": ends[i].points,
            "of": int(recording.length[i]),
            "t": number(replay.time(ends[i])),
            "stopped": ends[i].what == "stopped",
            "wrong": i in wrong,
            "p": number(ends[i].score, 4),
        }
        for i in shown
    ]
    return {
        "rows": rows,
        "threshold": number(saved.thresholds[saved.chosen]),
        "orders": len(saved.replays[0]),
        "runs": len(recording),
        "finished": saved.finished,
        "points": int(recording.length.sum()),
        "spent": replay.spent,
        "bars": bars,
    }


def named(ids: Iterable[Any]) -> list[str]:
    """Names of runs, the first `MOST_NAMES`."""
    return [str(run) for run in list(ids)[:MOST_NAMES]]
