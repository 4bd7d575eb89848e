"""The benchmark of dynamics: the paper's own protocol on one dataset at a time, with everything missing computed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from metalcx.bench._files import claim, write_whole
from metalcx.bench.dynamics._fold import HORIZONS, SEEN, TRAIN, VALID, split
from metalcx.bench.dynamics._model import Effort
from metalcx.bench.dynamics._rows import BASE_ROW, ROWS, forecast_row, learned_from
from metalcx.bench.dynamics._score import scored
from metalcx.bench.dynamics._tables import write_tables
from metalcx.bench.dynamics._tasks import DynamicsTask, default_names, read_task
from metalcx.errors import DataError, name_some

Progress = Callable[[int, int, str], None]


def run_dynamics(
    data: Path,
    out: Path,
    *,
    tasks: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    metric: str = "val_loss",
    seeds: int = 3,
    effort: Effort | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run what is missing of the benchmark and write its tables; goes on where an earlier call ended.

    After Ding et al. (AAAI 2025): one dataset, held-out architectures, a share of each curve seen, errors up to three
    horizons. Models are selected on architectures of their own, never on the test, and the last point is scored. Each
    seed has a split of its own. The tables show all rows and seeds of the tasks asked for that `out` holds.

    Args:
        data: Folder of the corpora.
        out: Folder for tables, and for parts from which a later call goes on.
        tasks: Names, ``corpus/task`` or ``corpus/task@mlp``; by default those of `default_names`.
        rows: Names of `ROWS`; all by default, but what learned from a corpus is not judged on it.
        metric: What to forecast; the task's own metric where its corpus does not have it.
        seeds: Splits and trainings.
        effort: How much training.
        progress: Called with (done, total, what).

    Returns:
        The summary as JSON values.

    Raises:
        DataError: On an unknown row or task, or if `out` holds parts of another benchmark.
    """
    effort, chosen = effort or Effort(), tuple(rows or ROWS)
    unknown = [name for name in chosen if name not in ROWS]
    if unknown:
        raise DataError(f"no row is called {name_some(unknown)}; there is {', '.join(ROWS)}")
    read = {name: read_task(data, name, metric) for name in tasks or default_names(data)}
    protocol = {"metric": metric, "seen": SEEN, "horizons": HORIZONS, "train": TRAIN, "valid": VALID}
    about = json.dumps({**protocol, "effort": asdict(effort)}, indent=1)
    claim(out / "study.json", about, f"{out}: holds a benchmark of other settings; give it a folder of its own")
    (out / "parts").mkdir(exist_ok=True)
    # Seed by seed, so that a benchmark that was ended early says something of every task.
    units = [(task, seed, row) for seed in range(seeds) for task in read.values() for row in asked(chosen, task)]
    missing = [unit for unit in units if not _part(out, *unit).exists()]
    for done, (task, seed, row) in enumerate(missing, 1):
        fold = split(task, seed)
        runs = scored(forecast_row(row, fold, seed, effort, out / "models"), fold)
        write_whole(_part(out, task, seed, row), runs.to_csv(index=False, float_format="%.8g"))
        if progress is not None:
            progress(done, len(missing), f"{task.name} {row} {seed}")
    return write_tables(out, _known(out, list(read.values())), list(read.values()))


def _known(out: Path, tasks: Sequence[DynamicsTask]) -> pd.DataFrame:
    """Scored runs of these tasks by every row and seed that the folder holds."""
    parts = []
    for task, row in product(tasks, ROWS):
        for path in sorted((out / "parts").glob(_part(out, task, "*", row).name)):
            seed = int(path.stem.rpartition("--")[2])
            parts.append(pd.read_csv(path).assign(task=task.name, seed=seed, row=row))
    return pd.concat(parts, ignore_index=True)


def asked(rows: Sequence[str], task: DynamicsTask) -> list[str]:
    """Rows that are judged on a task: not what learned from its corpus."""
    return [row for row in rows if row != BASE_ROW or not learned_from(task.corpus)]


def _part(out: Path, task: DynamicsTask, seed: int | str, row: str) -> Path:
    return out / "parts" / f"{task.name.replace('/', '--')}--{row}--{seed}.csv"
