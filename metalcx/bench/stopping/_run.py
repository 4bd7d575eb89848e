"""The stopping benchmark: every rule replayed on recorded runs of families that nothing it learned from contains."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx.bench._files import claim, earlier_rows, write_whole
from metalcx.bench._study import STOPPING_PART, TARGETS, Progress, Study, Unit
from metalcx.bench.stopping._rows import ON_REQUEST, ROWS, Play, Row
from metalcx.bench.stopping._tables import SCORED, write_stopping_tables
from metalcx.bench.transfer._run import folds_of
from metalcx.bench.transfer._trained import Pools, train
from metalcx.curves._batch import IntArray
from metalcx.decide import Outcome, Recording, orders_of
from metalcx.errors import DataError, name_some
from metalcx.forecasters._memory import remembering
from metalcx.protocol import Forecaster
from metalcx.transfer._tasks import PreparedTask

#: Points that a run needs to be replayed, and such runs that a task needs.
MIN_POINTS, MIN_RUNS = 20, 40

#: How often a rule is asked about a run at most, closer at its beginning.
ASKS = 16

#: Workers of each way to replay.
MODES = {"sequential": 1, "parallel": 8}


def run_stopping(
    data: Path,
    out: Path,
    *,
    rows: Sequence[str] | None = None,
    orders: int = 30,
    folds: int | None = None,
    earlier: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run what is missing of the stopping benchmark and write its tables; goes on where an earlier call ended.

    Tasks are those of the transfer benchmark (at most 400 runs each, drawn once), of their runs those of at least
    `MIN_POINTS` points, where there are `MIN_RUNS` of them. Each rule is replayed in `orders` random orders, one run
    after another and with eight workers, at all settings of its grid; which setting counts for a task is chosen on the
    tasks of other families (`_tables.chosen`). What is trained is trained without the task's family, as in
    the transfer benchmark, whose folder may be given as `out` to use its episodes and checkpoints.

    A setting is chosen from replays of other families' tasks, each by the model that was trained without *that* task's
    family, and may have seen the held-out one: the threshold, a single number, is the only way for anything to pass.

    Args:
        data: Folder of the corpora.
        out: Folder for tables, in its subfolder ``stopping``, and for parts from which a later call goes on.
        rows: Names of `ROWS`; by default all but those on request.
        orders: Random orders.
        folds: Folds over families for what is trained; by default each target family is held out alone.
        earlier: A `scores.csv` of an earlier call on the same tasks, of which rows that `out` has no parts of are taken
            over; what was trained for them was trained in that call's folds.
        progress: Called with (done, total, what).

    Returns:
        The summary as JSON values.

    Raises:
        DataError: On an unknown row, if `data` holds none of the corpora or no task is large enough, or `out` holds
            parts of other tasks, orders or folds.
    """
    chosen = tuple(rows or (name for name in ROWS if name not in ON_REQUEST))
    unknown = [name for name in chosen if name not in ROWS]
    if unknown:
        raise DataError(f"no row is called {name_some(unknown)}; there is {', '.join(ROWS)}")
    if not any((data / name).is_dir() for name in TARGETS):
        raise DataError(f"{data}: holds none of the corpora {', '.join(TARGETS)}; give the folder in which they are")
    study = Study(data, out, extra=False, folds=folds)
    tasks = study.tasks()
    judged = [kept for task in tasks if study.is_target(task) and (kept := long_enough(task)) is not None]
    if not judged:
        raise DataError(f"{data}: no task has {MIN_RUNS} runs of at least {MIN_POINTS} points; add a corpus that has")
    known = None
    if earlier is not None:
        judged_names = {task.name for task in judged}
        known = earlier_rows(earlier, "a scores.csv", "row", judged_names, lambda scores: scores[list(SCORED)])
    held = folds_of(study, tasks)
    _claim(out, judged, orders, held)
    present = {task.family for task in judged}
    units = [Unit(name, 0, i, fold) for name in chosen for i, fold in enumerate(held) if present & set(fold)]
    missing = [unit for unit in units if not _part(out, unit).exists()]
    pools = Pools(study, tasks)
    for done, unit in enumerate(missing, 1):
        _write_unit(out, unit, judged, pools, orders)
        if progress is not None:
            progress(done, len(missing), unit.file)
    return write_stopping_tables(out, orders, folds, known)


def long_enough(task: PreparedTask) -> PreparedTask | None:
    """The task with its runs of at least `MIN_POINTS` points; None where they are fewer than `MIN_RUNS`.

    A recorded run that reached a target or ran out of patience has come to its end; only a replay cuts runs short.
    """
    rows = np.flatnonzero(task.curves.length >= MIN_POINTS)
    if len(rows) < MIN_RUNS:
        return None
    curves = task.curves.take(rows)
    curves = replace(curves, status=np.full(len(rows), "completed", dtype=object))
    return replace(task, curves=curves, final=task.final[rows])


def _claim(out: Path, judged: list[PreparedTask], orders: int, folds: list[tuple[str, ...]]) -> None:
    (out / "parts").mkdir(parents=True, exist_ok=True)
    about = {"orders": orders, "asks": ASKS, "folds": folds, "tasks": {task.name: len(task) for task in judged}}
    complaint = f"{out}: holds parts of a benchmark on other tasks, orders or folds; give it a folder of its own"
    claim(out / "stopping.json", json.dumps(about, indent=1), complaint)


def _part(out: Path, unit: Unit) -> Path:
    return out / "parts" / f"{STOPPING_PART}{unit.file}"


def _write_unit(out: Path, unit: Unit, judged: list[PreparedTask], pools: Pools, orders: int) -> None:
    """Play all tasks of a fold's families by one row."""
    started = time.process_time()
    row = ROWS[unit.forecaster]
    model = _forecaster(row, unit, pools)
    found = [
        {"row": unit.forecaster, "task": task.name, "family": task.family} | line
        for task in judged
        if task.family in unit.families
        for line in play_task(row, model, task, orders)
    ]
    spent = (time.process_time() - started) / max(len(found), 1)
    frame = pd.DataFrame([line | {"cpu": spent} for line in found])
    write_whole(_part(out, unit), frame.to_csv(index=False, float_format="%.8g"))


def _forecaster(row: Row, unit: Unit, pools: Pools) -> Forecaster | None:
    if isinstance(row.forecaster, str):
        return train(replace(unit, forecaster=row.forecaster), pools)
    return None if row.forecaster is None else row.forecaster()


def play_task(row: Row, model: Forecaster | None, task: PreparedTask, orders: int) -> list[dict[str, Any]]:
    """Replay one task in all orders and both modes: one line a mode and setting."""
    recording = Recording.of(task.curves, ASKS)
    play = row.play(recording, model)
    found: dict[tuple[str, str], list[Outcome]] = {}
    with remembering() if row.remember else nullcontext():
        _play_all(row, play, orders_of(len(recording), orders), found)
    if not row.parallel:
        found |= {(mode, setting): o for (_, setting), o in list(found.items()) for mode in MODES}
    about = {"runs": len(recording), "orders": orders, "full": int(recording.length.sum())}
    return [{"mode": mode, "setting": setting} | about | _means(o) for (mode, setting), o in found.items()]


def _play_all(row: Row, play: Play, orders: list[IntArray], found: dict[tuple[str, str], list[Outcome]]) -> None:
    # One order after another, so that both modes and all settings share its forecasts.
    for order in orders:
        for mode, workers in MODES.items():
            if not row.parallel and workers > 1:
                continue
            for setting, outcome in play(order, workers):
                found.setdefault((mode, setting), []).append(outcome)


def _means(outcomes: list[Outcome]) -> dict[str, float]:
    return {
        "spent": float(np.mean([o.spent for o in outcomes])),
        "regret": float(np.median([o.regret for o in outcomes])),
        "mean_regret": float(np.mean([o.regret for o in outcomes])),
        "keeps_best": float(np.mean([o.keeps_best for o in outcomes])),
        "wrong_stops": float(np.mean([len(o.wrong) for o in outcomes])),
    }
