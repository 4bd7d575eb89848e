"""The transfer benchmark: every forecaster on tasks of families that nothing it learned from contains."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.bench._files import claim, earlier_rows, write_whole
from metalcx.bench._study import EXTRA_TARGETS, TARGETS, Progress, Study, Unit
from metalcx.bench.transfer._ode_trained import ODES
from metalcx.bench.transfer._rank_trained import RANKERS
from metalcx.bench.transfer._score import score_task
from metalcx.bench.transfer._trained import ADAPTED, GRADIENT, LESS, TRAINED, WITHOUT_EXTRA, Pools, train
from metalcx.errors import DataError, name_some
from metalcx.forecasters import SRM, Baseline, LatentKroneckerGP, OneEpoch, PowerLaw
from metalcx.forecasters._memory import remembering
from metalcx.hub import load
from metalcx.protocol import Forecaster
from metalcx.transfer._tasks import PreparedTask

if TYPE_CHECKING:
    import pandas as pd

#: A checkpoint that learned from smallnets alone, which no family of the protocol is in.
MINI = "metalcx-mini"

#: What needs no source data, by name.
STATIC: dict[str, Callable[[], Forecaster]] = {
    "last": partial(Baseline, "last"),
    "best": partial(Baseline, "best"),
    "shift": partial(Baseline, "shift"),
    "affine": partial(Baseline, "affine"),
    "theil-sen": partial(Baseline, "theil_sen"),
    "ridge": partial(Baseline, "ridge"),
    "gp": partial(Baseline, "gp"),
    "match": partial(Baseline, "match"),
    "med5": partial(Baseline, "med5"),
    "power-law": PowerLaw,
    "one-epoch": OneEpoch,
    "lkgp": LatentKroneckerGP,
    "srm-ols": partial(SRM, "ols"),
    "srm": SRM,
    MINI: partial(load, MINI),
}

#: What is asked for by name only: nu-SVRs take hours on ragged tasks, inner loops and ablations are trained apart.
ON_REQUEST = ("srm", MINI, *ADAPTED, *ODES, *RANKERS, *LESS, *GRADIENT)

#: Too slow for the way to the final; scored at the final only.
FINAL_ONLY = ("srm", "srm-ols", "lkgp")


def run_transfer(
    data: Path,
    out: Path,
    *,
    forecasters: Sequence[str] | None = None,
    folds: int | None = None,
    seeds: int = 3,
    extra: bool = False,
    workers: int = 1,
    earlier: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run what is missing of the benchmark and write its tables; goes on where an earlier call ended.

    Args:
        data: Folder of the corpora.
        out: Folder for tables, and for parts from which a later call goes on.
        forecasters: Names of `STATIC` and `TRAINED`; by default all but those on request.
        folds: Folds over families for what is trained; by default each target family is held out alone.
        seeds: Training seeds.
        extra: Judge on the tasks of lcdb11 (in folds) instead of the 47 of the protocol.
        workers: Processes; the result does not depend on it.
        earlier: An `errors.csv` of an earlier call on the same tasks; what it says of methods that are not among
            `forecasters` is taken over: of those that metalcx is compared with, and of metalcx without further sources,
            which lcdb11 and smallnets do not change. What was trained learned from the sources of that call.
        progress: Called with (done, total, what).

    Returns:
        The summary as JSON values.

    Raises:
        DataError: On an unknown forecaster, if `data` holds none of the corpora, or `out` holds parts of other folds.
    """
    from metalcx.bench.transfer._tables import write_tables

    known = (*STATIC, *TRAINED)
    chosen = tuple(forecasters or (n for n in known if n not in ON_REQUEST))
    unknown = [n for n in chosen if n not in known]
    if unknown:
        raise DataError(f"no forecaster is called {name_some(unknown)}; there is {', '.join(known)}")
    study = Study(data, out, extra, folds if folds or not extra else 10)
    targets = (EXTRA_TARGETS,) if extra else TARGETS
    if not any((data / name).is_dir() for name in targets):
        raise DataError(f"{data}: holds none of the corpora {', '.join(targets)}; give the folder in which they are")
    tasks = study.tasks()
    known_rows = (
        None if earlier is None else _taken_over(earlier, chosen, {t.name for t in tasks if study.is_target(t)})
    )
    (out / "parts").mkdir(parents=True, exist_ok=True)
    _claim(out, folds_of(study, tasks))
    units = [u for u in _units(study, tasks, chosen, seeds) if not (out / "parts" / u.file).exists()]
    # Drawn here, before processes that would each draw them.
    pools = Pools(study, tasks)
    for name in dict.fromkeys(u.forecaster for u in units if u.forecaster in TRAINED):
        pools.draw(name, workers, progress)
    del pools
    done = 0
    for job in _run(study, _jobs(units), workers):
        for unit in job:
            done += 1
            if progress is not None:
                progress(done, len(units), unit.file)
    described = {t.name for t in tasks if t.curves.config is not None or t.curves.arch is not None}
    return write_tables(out, chosen, seeds, known_rows, described)


def _taken_over(earlier: Path, chosen: Sequence[str], targets: set[str]) -> pd.DataFrame:
    """Rows of an earlier `errors.csv` on methods that the further sources, or at least metalcx, do not change."""
    others = {*STATIC, "trees", WITHOUT_EXTRA} - set(chosen)
    return earlier_rows(
        earlier, "an errors.csv", "forecaster", targets, lambda rows: rows[rows.forecaster.isin(others)]
    )


def _claim(out: Path, folds: list[tuple[str, ...]]) -> None:
    """Parts are named by their fold, so that those of other folds would be taken for finished ones."""
    complaint = f"{out}: holds parts of a benchmark on other tasks or in other folds; give it a folder of its own"
    claim(out / "study.json", json.dumps({"folds": folds}, indent=1), complaint)


def folds_of(study: Study, tasks: list[PreparedTask]) -> list[tuple[str, ...]]:
    """Families of each fold."""
    families = sorted({t.family for t in tasks if study.is_target(t)})
    order = np.random.default_rng(0).permutation(len(families))
    n = len(families) if study.folds is None else min(study.folds, len(families))
    return [tuple(families[j] for j in order[i::n]) for i in range(n)]


def _units(study: Study, tasks: list[PreparedTask], chosen: Iterable[str], seeds: int) -> list[Unit]:
    return [
        Unit(name, seed, i, fold)
        for name in chosen
        for seed in range(seeds if name in TRAINED else 1)
        for i, fold in enumerate(folds_of(study, tasks))
    ]


Job = tuple[Unit, ...]


def _jobs(units: list[Unit]) -> list[Job]:
    """Units that are worked on together: further seeds of a fold, which are asked the same as the first.

    The first seed is worked on alone, so that its seconds are those of one forecaster.
    """
    alone = [(unit,) for unit in units if not unit.seed]
    folds = sorted({unit.fold for unit in units if unit.seed})
    return alone + [tuple(unit for unit in units if unit.seed and unit.fold == fold) for fold in folds]


def _run(study: Study, jobs: list[Job], workers: int) -> Iterable[Job]:
    if min(workers, len(jobs)) <= 1:
        _start(study)
        yield from map(_score_job, jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(study,)) as pool:
        for future in as_completed([pool.submit(_score_job, job) for job in jobs]):
            yield future.result()


_STATE: dict[str, Any] = {}


def _start(study: Study) -> None:
    import torch
    from threadpoolctl import threadpool_limits

    # Two processes share the cores better than two times two threads. The limits hold as long as they are kept.
    torch.set_num_threads(1)
    _STATE.clear()
    tasks = study.tasks()
    _STATE.update(limits=threadpool_limits(1), study=study, tasks=tasks, pools=Pools(study, tasks))


def _score_job(job: Job) -> Job:
    if len(job) == 1:
        _score_unit(job[0], timed=not job[0].seed)
        return job
    with remembering():
        for unit in job:
            _score_unit(unit, timed=False)
    return job


def _score_unit(unit: Unit, timed: bool) -> None:
    import pandas as pd

    study: Study = _STATE["study"]
    tasks: list[PreparedTask] = _STATE["tasks"]
    started = time.process_time()
    base = STATIC[unit.forecaster]() if unit.forecaster in STATIC else train(unit, _STATE["pools"])
    rows = []
    for number, task in enumerate(tasks):
        if task.family in unit.families and study.is_target(task):
            about = {"task": task.name, "family": task.family, "ragged": task.ragged}
            about |= {"forecaster": unit.forecaster, "seed": unit.seed}
            rows += [about | row for row in score_task(base, task, number, unit.forecaster not in FINAL_ONLY)]
    spent = (time.process_time() - started) / max(len(rows), 1)
    rows = [row | {"cpu": spent} for row in rows]
    frame = pd.DataFrame(rows)
    frame = frame if timed else frame.assign(seconds=np.nan)
    write_whole(study.out / "parts" / unit.file, frame.to_csv(index=False, float_format="%.6g"))
