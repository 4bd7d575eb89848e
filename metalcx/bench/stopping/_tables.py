"""From parts of the stopping benchmark to its tables: thresholds chosen on sources, scores, and where metalcx loses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx import __version__
from metalcx.bench._bootstrap import gain
from metalcx.bench._files import write_whole
from metalcx.bench._markdown import table
from metalcx.bench._study import STOPPING_PART

#: Where the tables are, in a folder that the transfer benchmark may share.
FOLDER = "stopping"

#: Median regrets that a score allows.
TOLERANCES = (0.001, 0.01)

#: Columns of `scores.csv`.
SCORED = (
    *("mode", "tolerance", "row", "task", "family", "runs", "setting", "score", "speed_up"),
    *("regret", "keeps_best", "wrong_stops"),
)

#: Rows that are ours are compared with all others, not with each other.
OURS = "metalcx"


def write_stopping_tables(
    out: Path, orders: int, folds: int | None = None, earlier: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Read the parts under `out` and write four tables as CSV, and the last three of them as ``tables.md``.

    The tables are ``settings.csv``, ``scores.csv``, ``summary.csv`` and ``versus.csv``, in `FOLDER`: those of the
    transfer benchmark, which may have the same `out`, are called alike.

    Returns:
        The summary as JSON values.
    """
    found = sorted((out / "parts").glob(f"{STOPPING_PART}*.csv"))
    settings = pd.concat([pd.read_csv(path) for path in found], ignore_index=True)
    settings = settings.sort_values(["row", "mode", "task", "setting"], ignore_index=True)
    scores = chosen(settings)
    taken = [] if earlier is None else sorted(set(earlier.row) - set(scores.row))
    if earlier is not None:
        scores = pd.concat([scores, earlier[earlier.row.isin(taken)]], ignore_index=True)
    summary, versus = summarise(scores), compared(scores)
    frames = {"settings": settings.drop(columns="cpu"), "scores": scores, "summary": summary, "versus": versus}
    (out / FOLDER).mkdir(exist_ok=True)
    for name, frame in frames.items():
        write_whole(out / FOLDER / f"{name}.csv", frame.to_csv(index=False, float_format="%.5g"))
    said = f"From an earlier call: {', '.join(taken)}.\n\n" if taken else ""
    write_whole(out / FOLDER / "tables.md", _head(settings, orders, folds) + said + _page(scores, summary, versus))
    return {"out": str(out / FOLDER), "orders": orders, "summary": summary.to_dict("records")}


def score(settings: pd.DataFrame, tolerance: float) -> pd.Series:
    """Speed-up where the median regret over orders is within the tolerance, else 1: no speed-up is counted.

    The speed-up of a task is points that all runs cost over the mean points spent over orders, which is never above
    the mean or median of the orders' own speed-ups.
    """
    return (settings.full / settings.spent).where(settings.regret <= tolerance, 1.0)


def chosen(settings: pd.DataFrame) -> pd.DataFrame:
    """The setting of each (row, mode, tolerance, task), chosen on the tasks of other families alone, and its score.

    Of a row's settings that is taken whose mean log score over the tasks of other families is largest, the first of
    equals; what it scores on the task itself is then the task's score, 1 if its median regret there is too large. So
    neither the task's own best setting nor a speed-up that lost the best run ever counts.
    """
    parts = []
    for tolerance in TOLERANCES:
        scored = settings.assign(tolerance=tolerance, score=score(settings, tolerance))
        for _, part in scored.groupby(["row", "mode"]):
            logs = part.assign(log=np.log(part.score)).pivot(index=["task", "family"], columns="setting", values="log")
            family = logs.index.get_level_values("family")
            best = {
                task: logs[family != own].mean().idxmax() if (family != own).any() else logs.columns[0]
                for task, own in logs.index
            }
            parts.append(part[part.setting == part.task.map(best)])
    found = pd.concat(parts, ignore_index=True)
    found["speed_up"] = found.full / found.spent
    return found[list(SCORED)].sort_values(list(SCORED[:4]), ignore_index=True)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Each row pooled over tasks: geometric mean score with 95 % bootstrap intervals over tasks and over families."""
    rows = []
    for (mode, tolerance, row), part in scores.groupby(["mode", "tolerance", "row"]):
        pooled = _ratio(part.score.to_numpy(), np.ones(len(part)), part.family.tolist())
        rows.append(
            {"mode": mode, "tolerance": tolerance, "row": row, "tasks": len(part), "score": pooled.pop("ratio")}
            | pooled
            | {
                "within": float((part.regret <= tolerance).mean()),
                "speed_up": float(np.exp(np.log(part.speed_up).mean())),
            }
            | {name: float(part[name].mean()) for name in ("keeps_best", "wrong_stops")}
        )
    return pd.DataFrame(rows).sort_values(
        ["mode", "tolerance", "score"], ascending=[False, True, False], ignore_index=True
    )


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """Each of our rows against each other one: on how many tasks it is ahead (a higher score), and by what factor.

    The row ``all others`` counts the tasks on which ours is ahead of every other at once.
    """
    rows = []
    for (mode, tolerance), part in scores.groupby(["mode", "tolerance"]):
        wide = part.pivot(index=["task", "family"], columns="row", values="score")
        others = [name for name in wide if not str(name).startswith(OURS)]
        for ours in (name for name in wide if str(name).startswith(OURS)):
            head = {"mode": mode, "tolerance": tolerance, "row": ours}
            for other in others:
                pair = wide[[ours, other]].dropna()
                a, b = pair[ours].to_numpy(), pair[other].to_numpy()
                family = pair.index.get_level_values("family").tolist()
                rows.append(head | {"over": other, "tasks": len(pair), **_shares(a, b), **_ratio(a, b, family)})
            if others:
                whole = wide.dropna()
                a, b = whole[ours].to_numpy(), whole[others].max(axis=1).to_numpy()
                family = whole.index.get_level_values("family").tolist()
                rows.append(head | {"over": "all others", "tasks": len(whole), **_shares(a, b), **_ratio(a, b, family)})
    return pd.DataFrame(rows)


def _shares(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    return {"ahead": float((a > b).mean()), "behind": float((a < b).mean())}


def _ratio(a: np.ndarray, b: np.ndarray, family: list[str]) -> dict[str, float]:
    """Geometric mean of a / b with its intervals."""
    g = gain(b, a, family)
    # A gain is one less the ratio of "errors" b / a.
    names = ("low", "high", "family_low", "family_high")
    bounds = (1 / (1 - v) for v in (*g.tasks, *g.families))
    return {"ratio": 1 / (1 - g.value)} | dict(zip(names, bounds, strict=True))


def _page(scores: pd.DataFrame, summary: pd.DataFrame, versus: pd.DataFrame) -> str:
    lines = ["# Stopping benchmark", ""]
    for (mode, tolerance), part in summary.groupby(["mode", "tolerance"], sort=False):
        lines += [f"## {mode}, median regret within {tolerance:.1%} of the spread", "", *_summary(part), ""]
        own = versus[(versus["mode"] == mode) & (versus.tolerance == tolerance)] if len(versus) else versus
        if len(own):
            lines += [*_versus(own), ""]
    for ours in sorted(name for name in scores.row.unique() if name.startswith(OURS)):
        lines += [f"## Where {ours} is not ahead of every other row", "", *_loses(scores, ours), ""]
    lines += ["## Scores by task", "", *_tasks(scores)]
    return "\n".join(lines) + "\n"


def _summary(part: pd.DataFrame) -> list[str]:
    header = ("row", "score", "over tasks", "over families", "tasks within", "speed-up", "keeps best", "wrong stops")
    rows = (
        [
            r.row,
            f"{r.score:.2f}",
            *_spans(r),
            f"{r.within:.0%}",
            f"{r.speed_up:.2f}",
            f"{r.keeps_best:.0%}",
            f"{r.wrong_stops:.2f}",
        ]
        for r in part.itertuples()
    )
    return table(header, rows)


def _versus(part: pd.DataFrame) -> list[str]:
    header = ("row", "over", "tasks", "ahead", "behind", "factor", "over tasks", "over families")
    rows = (
        [r.row, r.over, r.tasks, f"{r.ahead:.0%}", f"{r.behind:.0%}", f"{r.ratio:.2f}", *_spans(r)]
        for r in part.itertuples()
    )
    return table(header, rows)


def _spans(r: Any) -> list[str]:
    return [f"{r.low:.2f} to {r.high:.2f}", f"{r.family_low:.2f} to {r.family_high:.2f}"]


def _loses(scores: pd.DataFrame, ours: str) -> list[str]:
    rows = []
    for (mode, tolerance), part in scores.groupby(["mode", "tolerance"], sort=False):
        by_task = part[~part.row.str.startswith(OURS)].sort_values("score", ascending=False).groupby("task").first()
        own = part[part.row == ours].set_index("task")
        both = own.merge(by_task, left_index=True, right_index=True, suffixes=("", "_other"))
        for task, r in both[both.score <= both.score_other].sort_values("score_other", ascending=False).iterrows():
            why = "regret too large" if r.regret > tolerance else "costs more"
            told = [mode, f"{tolerance:.1%}", task, f"{r.score:.2f}", f"{r.speed_up:.2f}", f"{r.regret:.2%}"]
            rows.append([*told, why, r.row_other, f"{r.score_other:.2f}"])
    header = ("mode", "regret", "task", "score", "speed-up", "its regret", "why", "best other", "its score")
    return table(header, rows) if rows else ["None."]


def _tasks(scores: pd.DataFrame) -> list[str]:
    lines: list[str] = []
    for (mode, tolerance), part in scores.groupby(["mode", "tolerance"], sort=False):
        wide = part.pivot(index="task", columns="row", values="score")
        lines += [f"{mode}, {tolerance:.1%}:", ""]
        rows = (
            [task, *("" if np.isnan(v) else f"{v:.2f}" for v in row)]
            for task, row in zip(wide.index, wide.to_numpy(), strict=True)
        )
        lines += [*table(("task", *map(str, wide)), rows), ""]
    return lines


def _head(settings: pd.DataFrame, orders: int, folds: int | None) -> str:
    """What made the tables."""
    split = "" if folds is None else f" --folds {folds}"
    names = " ".join(f"--row {name}" for name in sorted(settings.row.unique()))
    return (
        f"Made by `metalcx bench stopping --data DIR --out DIR --orders {orders}{split} {names}`, metalcx "
        f"{__version__}; orders by seed 0, training seed 0; {settings.task.nunique()} tasks of "
        f"{settings.family.nunique()} families. In all: {settings.cpu.sum() / 3600:.2f} processor hours, "
        "training included where it was not done before.\n\n"
        "Score: points that all runs cost over mean points spent, burn-in included, where the median regret over "
        "orders is within the tolerance; else 1. Settings are chosen on the tasks of other families. Within: share of "
        "tasks whose chosen setting kept to the tolerance. Speed-up: pooled as it is, whatever the regret. Keeps "
        "best: share of orders, averaged over tasks. Wrong stops: mean number of the true top five not kept.\n\n"
    )
