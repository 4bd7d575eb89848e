"""Tables of the suggest benchmark: medians over seeds, ratios to the best other row, intervals over tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx import __version__
from metalcx.bench._bootstrap import gain
from metalcx.bench._files import write_whole
from metalcx.bench._markdown import table
from metalcx.bench.suggest._searchers import METHODS, MODELLED

#: Rows that take long have `FEWER` seeds in pools above `LARGE`.
LARGE, FEWER = 10_000, 10

#: The row that is judged, and the share of the best other row's evaluations that is to be reached.
OURS, HALF = "suggest", 0.5

_TOPS = ("top 1%", "top 0.1%", "top 5%")
_REGRETS = ("regret@10", "regret@50", "regret@200")


def write_suggest_tables(out: Path) -> list[dict[str, Any]]:
    """Write ``suggest.csv``, ``suggest_ratio.csv``, ``suggest_versus.csv`` and ``suggest.md``; the first one's rows."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "parts").glob("*.json"))]
    frame = pd.DataFrame([_medians(part) for part in parts])
    if not len(frame):
        return []
    order = {name: i for i, name in enumerate(METHODS)}
    frame = frame.sort_values(
        ["corpus", "task", "method"],
        key=lambda c: c.map(lambda v: order.get(v, len(order))) if c.name == "method" else c,
    )
    ratios = _ratios(frame)
    versus = _versus(frame)
    write_whole(out / "suggest_versus.csv", versus.to_csv(index=False))
    write_whole(out / "suggest.csv", frame.to_csv(index=False))
    write_whole(out / "suggest_ratio.csv", ratios.to_csv(index=False))
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    write_whole(out / "suggest.md", _page(frame, ratios, versus, settings))
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _medians(part: dict[str, Any]) -> dict[str, Any]:
    """Medians over seeds; where half of the seeds did not find it within the budget, that is infinite."""
    row = {name: part[name] for name in ("corpus", "task", "method", "n", "sources", "budget", "seeds")}
    for name in (*_TOPS, *_REGRETS):
        values = [np.inf if value is None else value for value in part.get(name, [])]
        row[name] = float(np.median(values)) if values else np.nan
    return row | {name: part[name] for name in ("seconds", "cpu", "design", "explore")}


def _ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Ours over the best other row, for each task and share of the best."""
    rows = []
    known = frame[frame.method.isin(METHODS)]
    for (corpus, task), part in known.groupby(["corpus", "task"], sort=False):
        ours = part[part.method == OURS]
        others = part[part.method != OURS]
        if not len(ours) or not len(others):
            continue
        for top in _TOPS:
            own, best = float(ours[top].iloc[0]), others[top].min()
            if np.isnan(own) or np.isnan(best):
                continue
            ratio = np.nan if np.isinf(own) and np.isinf(best) else own / best
            name = others["method"].iloc[int(np.argmin(others[top].fillna(np.inf)))]
            rows.append(
                {"corpus": corpus, "task": task, "top": top, "suggest": own, "best other": name, "its": best}
                | {"ratio": ratio, "reached": bool(ratio <= HALF), "no worse": bool(ratio <= 1)}
            )
    return pd.DataFrame(rows)


def _versus(frame: pd.DataFrame) -> pd.DataFrame:
    """Ours over each other row on the tasks that both have; what was not found within `MODELLED` counts as that."""
    rows = []
    ours = frame[frame.method == OURS].set_index(["corpus", "task"])
    for name, other in frame[frame.method.isin(METHODS) & (frame.method != OURS)].groupby("method", sort=False):
        for top in _TOPS:
            theirs = other.set_index(["corpus", "task"])[top].rename(f"{top} other")
            both = ours[[top]].join(theirs, how="inner").dropna()
            if not len(both):
                continue
            a, b = np.minimum(both.to_numpy(dtype=np.float64), MODELLED).T
            found = gain(a, b, both.index.get_level_values("task").tolist())
            low, high = found.tasks
            rows.append(
                {"over": name, "top": top, "tasks": len(both), "half or less": float((a <= HALF * b).mean())}
                | {"no more": float((a <= b).mean()), "saved": found.value, "low": low, "high": high}
            )
    return pd.DataFrame(rows)


def _page(frame: pd.DataFrame, ratios: pd.DataFrame, versus: pd.DataFrame, settings: dict[str, Any]) -> str:
    lines = ["# Suggest benchmark", "", _head(frame, settings), ""]
    lines += ["## Evaluations until one of the best is found: `suggest` over the best other row", ""]
    if len(ratios):
        lines += [*_reached(ratios), "", *_ratio_rows(ratios[ratios.top != "top 5%"])]
    if len(versus):
        lines += ["", "## `suggest` over each other row", "", *_versus_rows(versus)]
    for corpus, part in frame.groupby("corpus", sort=False):
        lines += ["", f"## {corpus}", "", *_corpus(part)]
    return "\n".join(lines) + "\n"


def _head(frame: pd.DataFrame, settings: dict[str, Any]) -> str:
    seeds, hours = settings["seeds"], frame.cpu.sum() / 3600
    return (
        f"Made by `metalcx bench suggest --data DIR --out DIR --seeds {seeds}`, metalcx {__version__}; medians of "
        f"{seeds} seeds, of slow rows in pools above {LARGE:,} of {FEWER}, of `suggest` where it draws nothing of one; "
        f"{hours:.2f} processor hours. Rows that fit a model end after {int(frame.budget.min())} evaluations, the "
        f"others after {int(frame.budget.max())}; `>` is "
        "not found in half of the seeds by then. Regret is in the spread of the pool's finals between the 5th and the "
        "95th hundredth. Top 5 % is no measure of the protocol, and told for pools below 500 alone. Seconds are of "
        "one evaluation, on a machine that others used."
    )


def _reached(ratios: pd.DataFrame) -> list[str]:
    rows = []
    for top, part in ratios.groupby("top", sort=False):
        logs = np.log(part.ratio[np.isfinite(part.ratio) & (part.ratio > 0)])
        pooled = f"{np.exp(logs.mean()):.2f}" if len(logs) else ""
        rows.append([top, len(part), f"{part.reached.mean():.0%}", f"{part['no worse'].mean():.0%}", pooled])
    return table(("", "tasks", "half or less (to reach: 80%)", "no more", "geometric mean of ratios"), rows)


def _ratio_rows(ratios: pd.DataFrame) -> list[str]:
    header = ("task", "", "suggest", "best other row", "its evaluations", "ratio", "reached")
    rows = (
        [f"{r.corpus}/{r.task}", r.top, _count(r.suggest), r["best other"], _count(r.its), f"{r.ratio:.2f}", _yes(r)]
        for _, r in ratios.iterrows()
    )
    return table(header, rows)


def _versus_rows(versus: pd.DataFrame) -> list[str]:
    rows = (
        [r.over, r.top, r.tasks, f"{r['half or less']:.0%}", f"{r['no more']:.0%}", f"{r.saved:+.0%}", _span(r)]
        for _, r in versus.iterrows()
    )
    return table(("over", "", "tasks", "half or less", "no more", "evaluations saved", "95 % over tasks"), rows)


def _span(r: pd.Series[Any]) -> str:
    return f"[{r.low:+.0%}, {r.high:+.0%}]"


def _yes(r: pd.Series[Any]) -> str:
    return "yes" if r.reached else "no"


def _corpus(part: pd.DataFrame) -> list[str]:
    """A row a task and method, or, where there are many tasks, a row a method: medians over tasks."""
    measures = [name for name in (*_TOPS, *_REGRETS) if part[name].notna().any()]
    if part.task.nunique() > 12:
        groups = part.groupby("method", sort=False)
        rows = [
            [name, len(own), *(_cell(m, own[m].median()) for m in measures), f"{own.seconds.median():.4f}"]
            for name, own in groups
        ]
        return table(("row", "tasks", *measures, "seconds"), rows)
    rows = [
        [r.task, r.method, *(_cell(m, r[m], r.budget) for m in measures), f"{r.seconds:.4f}"]
        for _, r in part.iterrows()
    ]
    return table(("task", "row", *measures, "seconds"), rows)


def _cell(measure: str, value: float, budget: float = np.inf) -> str:
    if np.isnan(value):
        return ""
    return f"{100 * value:.2f} %" if measure.startswith("regret") else _count(value, budget)


def _count(value: float, budget: float = np.inf) -> str:
    return f"{value:g}" if np.isfinite(value) else (f"> {budget:g}" if np.isfinite(budget) else ">")
