"""The transfer benchmark's tables as a page to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

_HEADER = ("forecaster", "median error", "gain over med5", "over tasks", "over families", "fixed", "ragged")
_MORE = ("CRPS, final", "CRPS, curve", "coverage of 50 %", "of 80 %", "of 95 %", "tau - last's", "seconds")


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a table."""
    return [_line(header), _line(["---"] * len(header)), *map(_line, rows)]


def transfer_page(
    summary: pd.DataFrame, versus: pd.DataFrame, loses: pd.DataFrame, loss: float, order: Sequence[str]
) -> str:
    """Summary by K, metalcx over each other forecaster, the lines about order, and where it loses."""
    lines = ["# Transfer benchmark", ""]
    for (end, k), part in summary.groupby(["end", "K"]):
        where = "at each run's own last t" if end == "own" else "at the support's median last t (ragged tasks)"
        lines += [f"## K = {k}, {where}", "", *_forecasters(part, "pooled" if end == "own" else "ragged"), ""]
    if len(versus):
        lines += ["## metalcx over each other, at each run's own last t", "", *_versus(versus)]
    lines += ["", *order, "## Where it loses", ""]
    lines += [f"{len(loses)} (task, K, cut) with an error above {loss} times the best simple method's.", ""]
    if len(loses):
        lines += _loses(loses)
    return "\n".join(lines) + "\n"


def _forecasters(part: pd.DataFrame, group: str) -> list[str]:
    """All forecasters at one K, the best first."""
    rows = []
    for _, r in part[part.group == group].sort_values("gain", ascending=False).iterrows():
        sides = [part[(part.forecaster == r.forecaster) & (part.group == g)]["gain"] for g in ("fixed", "ragged")]
        gains = [f"{s.iloc[0]:+.1%}" if len(s) else "" for s in sides]
        crps = [_percent(r.get(f"crps_{of}_gain", np.nan)) for of in ("final", "curve")]
        covered = [f"{r[name]:.3f}" for name in ("cov50", "cov80", "cov95")]
        tau = f"{r.get('tau_over_last', np.nan):+.3f}"
        head = [r.forecaster, f"{r.median_error:.3f}", f"{r.gain:+.1%}", *_spans(r)]
        rows.append([*head, *gains, *crps, *covered, tau, f"{r.seconds:.3f}"])
    return table((*_HEADER, *_MORE), rows)


def _percent(gain: float) -> str:
    return "" if np.isnan(gain) else f"{gain:+.1%}"


def _versus(versus: pd.DataFrame) -> list[str]:
    rows = ([r.K, r.over, r.tasks, f"{r.gain:+.1%}", *_spans(r)] for _, r in versus.iterrows())
    return table(("K", "over", "tasks", "gain", "over tasks", "over families"), rows)


def _loses(loses: pd.DataFrame) -> list[str]:
    rows = (
        [r.task, r.K, r.cut, f"{r.metalcx:.3f}", r.best, f"{r.best_simple:.3f}", f"{r.ratio:.2f}"]
        for _, r in loses.iterrows()
    )
    return table(("task", "K", "cut", "metalcx", "best simple", "its error", "ratio"), rows)


def _spans(r: pd.Series) -> list[str]:
    return [f"[{r[a]:+.1%}, {r[b]:+.1%}]" for a, b in (("low", "high"), ("family_low", "family_high"))]


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
