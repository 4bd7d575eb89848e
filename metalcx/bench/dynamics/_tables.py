"""Tables of the benchmark of dynamics: like the paper's, one row over another, and a page of both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx.bench._files import write_whole
from metalcx.bench._markdown import table
from metalcx.bench.dynamics._compare import over
from metalcx.bench.dynamics._fold import HORIZONS, n_seen
from metalcx.bench.dynamics._rows import BASE_ROW, FEW, READERS, ROWS, SUPPORT, knows_family, learned_from
from metalcx.bench.dynamics._score import table_of
from metalcx.bench.dynamics._tasks import DynamicsTask

METRICS = ("mape", "rmse")

#: Pairs that say what a part is worth; the best row that reads the curve alone stands for `BEST`.
BEST = "best no-graph row"
PAIRS = (
    ("lc-gode", BEST),
    ("lc-gode", "node"),
    ("lc-gode-encoder", "node"),
    ("lc-gode-encoder", "lc-gode"),
    ("lc-gode-sde", "lc-gode"),
    ("nsde", "node"),
)


def write_tables(out: Path, runs: pd.DataFrame, tasks: Sequence[DynamicsTask]) -> dict[str, Any]:
    """Write `summary.csv`, `versus.csv` and `tables.md`; give the first two as JSON values.

    Args:
        out: Folder.
        runs: Scored test runs of all tasks, seeds and rows.
        tasks: What they are of.
    """
    summary, versus = summarised(runs, [task.name for task in tasks]), compared(runs, [task.name for task in tasks])
    write_whole(out / "summary.csv", summary.to_csv(index=False, float_format="%.5g"))
    write_whole(out / "versus.csv", versus.to_csv(index=False, float_format="%.5g"))
    write_whole(out / "tables.md", page(summary, versus, tasks))
    return {"summary": summary.to_dict("records"), "versus": versus.to_dict("records")}


def summarised(runs: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Means and standard deviations over seeds, one row a task and row of the table."""
    found = []
    for task, row in product(tasks, ROWS):
        mine = runs[(runs.task == task) & (runs.row == row)]
        if not len(mine):
            continue
        cells = pd.DataFrame([table_of(part) for _, part in mine.groupby("seed")])
        spread = cells.std(ddof=1).add_suffix("_sd").fillna(0.0)
        spent = mine.groupby("seed")[["train", "test", "step"]].first().mean()
        found.append({"task": task, "row": row, "seeds": len(cells), **cells.mean(), **spread, **spent})
    return pd.DataFrame(found)


def compared(runs: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """`PAIRS` on each task, where both rows were judged."""
    rows = []
    for task, (a, b), metric in product(tasks, PAIRS, METRICS):
        mine = runs[runs.task == task]
        other = best_without(mine, metric) if b == BEST else b
        if other is None or not {a, other} <= set(mine.row):
            continue
        gain = over(mine[mine.row == a], mine[mine.row == other], metric)
        where = {"task": task, "a": a, "b": other, "pair": f"{a} over {b}", "metric": metric}
        rows.append({**where, "gain": gain.value, "low": gain.low, "high": gain.high})
    found = pd.DataFrame(rows, columns=["task", "a", "b", "pair", "metric", "gain", "low", "high"])
    return found.drop_duplicates(["task", "pair", "metric"])  # the best row may be a named one


def best_without(runs: pd.DataFrame, metric: str) -> str | None:
    """The row that reads the curve alone and has the least error; it is known only afterwards, from the test."""
    alone = runs[~runs.row.isin(READERS)]
    errors = alone.groupby("row")["mape1" if metric == "mape" else "mse1"].mean()
    return None if errors.empty else str(errors.idxmin())


def page(summary: pd.DataFrame, versus: pd.DataFrame, tasks: Sequence[DynamicsTask]) -> str:
    """All as Markdown."""
    lines = ["# Dynamics on one dataset, held-out architectures", "", *_about(), ""]
    for task in tasks:
        lines += [f"## {task.name}", "", _task(task), "", *_rows(summary[summary.task == task.name]), ""]
    lines += ["## One row over another", "", _VERSUS, ""]
    cells = ([r.task, f"{r.a} over {r.b}", r.metric, f"{r.gain:+.1%}", _span(r)] for r in versus.itertuples())
    return "\n".join([*lines, *table(("task", "pair", "error", "gain", "95 % interval"), cells)]) + "\n"


_VERSUS = (
    "Gain = 1 - error of the first / error of the second over all points behind the cut, seeds together; intervals by "
    "bootstrap over the architectures of the test runs, paired. The best no-graph row is that with the least error on "
    "the test, which is known only afterwards."
)


def _about() -> list[str]:
    ends = ", ".join(f"{h:.0%}" for h in HORIZONS)
    return [
        f"MAPE and RMSE over all points behind the cut up to {ends} of a run's points, the last one included; mean ± "
        "standard deviation over seeds, each with a split of its own. tau: Kendall's, of finals. Seconds of processor "
        "time, one thread; step: whose weights were kept, by the validation architectures.",
        "",
        f"last, affine, power-law and srm read at most {SUPPORT} training runs as their support; {BASE_ROW} reads "
        f"{FEW} and learned on other datasets. srm reads configurations beside the curve. lc-pfn learned from its "
        "published prior alone, once for all.",
    ]


def _task(task: DynamicsTask) -> str:
    length = task.y.shape[1]
    judged = not learned_from(task.corpus)
    note = f" {BASE_ROW} learned from other networks on this family of datasets."
    return (
        f"{task.metric.name}, {len(task.y)} runs of {len(np.unique(task.group))} architectures, {length} points, the "
        f"first {n_seen(length)} seen.{note if judged and knows_family(task.family) else ''}"
    )


def _rows(summary: pd.DataFrame) -> list[str]:
    header = [
        "row",
        *(f"{m.upper()} {h:.0%}" for m in METRICS for h in HORIZONS),
        "tau",
        "train s",
        "test s",
        "step",
        "seeds",
    ]
    columns = [f"{m}{h:g}" for m in METRICS for h in HORIZONS]
    cells = []
    for _, r in summary.sort_values("mape1").iterrows():
        errors = [f"{r[c]:.4f} ± {r[c + '_sd']:.4f}" for c in columns]
        spent = [f"{r.train:.1f}", f"{r.test:.3f}", f"{r.step:.0f}", f"{r.seeds:.0f}"]
        cells.append([r.row, *errors, f"{r.tau:.3f} ± {r.tau_sd:.3f}", *spent])
    return table(header, cells)


def _span(r: Any) -> str:
    return f"[{r.low:+.1%}, {r.high:+.1%}]"
