"""From the curves of each task to what an importer gives: names, seeds, groups, and what the person declared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions
from metalcx.curves import Curves, Metric
from metalcx.curves._records import records
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

#: Hyperparameters that say only which repetition a run is.
SEEDS = ("seed", "random_seed", "seed_everything")
UNSTATED = "not stated"


@dataclass(frozen=True)
class Part:
    """Finished curves of one task; `task` is None in sources of one."""

    task: str | None
    curves: Curves


def gather(
    src: Path,
    parts: Sequence[Part],
    metrics: tuple[Metric, ...],
    options: ImportOptions,
    time_unit: str,
    architectures: Iterable[Mapping[str, Any]] = (),
) -> Imported:
    """What a source of people's own runs gives; what nobody stated is said to be so."""
    place = src.resolve()
    name = (place.stem if place.is_file() else place.name) or "logs"
    return Imported(
        name=name,
        time_unit=time_unit,
        metrics=metrics,
        licence=UNSTATED,
        citation=UNSTATED,
        redistributable=False,
        tasks=[_task(part, options, name) for part in parts],
        architectures=architectures,
        seconds=any("seconds" in part.curves.values for part in parts),
    )


def _task(part: Part, options: ImportOptions, name: str) -> ImportedTask:
    task = part.task or options.task or options.dataset or name
    dataset = options.dataset or task
    curves, seed = _split_seeds(part.curves)
    return ImportedTask(task, dataset, options.family or dataset, UNSTATED, curves, seed)


def _split_seeds(curves: Curves) -> tuple[Curves, list[object] | None]:
    """The seed leaves the configuration; runs that differ in it alone are repetitions, so they form a group."""
    config = curves.config
    column = None if config is None else next((name for name in SEEDS if name in config), None)
    if config is None or column is None:
        return curves, None
    seed = [None if _blank(s) else s for s in config[column]]
    rest = config.drop(columns=column)
    if curves.group is None:
        curves = replace(curves, group=_repetitions(curves, rest, seed))
    return replace(curves, config=rest), seed


def _repetitions(curves: Curves, config: pd.DataFrame, seed: list[object]) -> np.ndarray:
    first: dict[str, str] = {}
    group = np.array([str(run) for run in curves.ids], dtype=object)
    archs = [None] * len(curves) if curves.arch is None else curves.arch
    for i, row in enumerate(records(config)):
        if seed[i] is not None:
            same = json.dumps([archs[i], row], sort_keys=True, default=str)
            group[i] = first.setdefault(same, group[i])
    return group


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def refuse_outside(curves: Curves, source: str) -> None:
    """Raise where a value leaves its declared bounds.

    Raises:
        DataError: Names the source, the metric and up to five runs.
    """
    for metric in curves.metrics:
        bad = metric.outside(curves.values[metric.name])
        if bad.any():
            raise DataError(
                f"{source}: {metric.name!r} leaves the bounds [{metric.lower}, {metric.upper}] declared for it in runs "
                f"{name_some(curves.ids[np.unique(curves.owner[bad])])}; correct the values or declare wider bounds"
            )
