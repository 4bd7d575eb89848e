"""TaskSet (Metz et al.): text RNNs on IMDB, 1,000 optimiser configurations, as exported for DPL and DyHPO.

Layout (``data/taskset/FixedTextRNNClassification_imdb_<task>.json``): a list of ``{"hp": {...}, "train": {"loss":
[...]}, "valid": {"loss": [...]}, "test": {"loss": [...]}}``, losses at every 200 of 10,000 steps, NaN once a run has
diverged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._runs import Runs, found, item, numbers, only, primary, read_json
from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError

_METRICS = tuple(Metric(f"{part}_loss", "min", 0.0, unit="nat") for part in ("valid", "train", "test"))
_PREFIX = "FixedTextRNNClassification_imdb_"
_STEPS = 200.0  # between two losses
_NAME = re.compile(r"(patch\d+)_([A-Z]+)(\d+)_(?:(.+)_)?bs(\d+)")


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read TaskSet: a folder of its files, or one of them; see `Importer`."""
    metrics = primary(options, _METRICS, "taskset")
    files = found(src.glob(f"{_PREFIX}*.json"), src, f"{_PREFIX}*.json") if src.is_dir() else [src]
    architectures: dict[str, dict[str, Any]] = {}
    return Imported(
        name="taskset-rnn",
        time_unit="step",
        metrics=metrics,
        licence="Apache-2.0",
        citation="arXiv:2002.11887",
        redistributable=True,
        tasks=only(_tasks(files, metrics, tally, architectures), options, tally),
        architectures=architectures.values(),
    )


def _tasks(
    files: list[Path], metrics: tuple[Metric, ...], tally: Tally, architectures: dict[str, dict[str, Any]]
) -> Iterator[ImportedTask]:
    for file in files:
        task = file.stem.removeprefix(_PREFIX)
        entries = read_json(file)
        if not isinstance(entries, list):
            raise DataError(f"{file}: a list of runs was expected, not {type(entries).__name__}; is it the right file?")
        runs = Runs(metrics[0], metrics, "step", tally)
        arch, batch = _architecture(task, architectures)
        for i, entry in enumerate(entries):
            where = f"{file}: run {i}"
            values = {m.name: _losses(entry, m.name.removesuffix("_loss"), where) for m in metrics}
            runs.add(
                f"{task}-{i}",
                np.arange(len(values[metrics[0].name])) * _STEPS,
                values,
                config={**batch, **item(entry, "hp", where, dict)},
                arch=arch,
                group=f"cfg{i}",  # configuration i is the same in every task
            )
        yield ImportedTask(task, "imdb", "imdb", "txt-classification", runs.curves())


def _losses(entry: object, part: str, where: str) -> Any:
    return numbers(item(item(entry, part, where), "loss", f"{where}: {part}"), f"{where}: {part} loss")


def _architecture(task: str, architectures: dict[str, dict[str, Any]]) -> tuple[str | None, dict[str, int]]:
    """The architecture, and the batch size, that a task's name tells."""
    match = _NAME.fullmatch(task)
    if match is None:
        return None, {}
    patch, cell, units, pooling, batch = match.groups()
    arch = f"{cell.lower()}-{units}-{pooling or ''}-{patch}"
    architectures[arch] = {"arch": arch, "format": "rnn", "spec": arch, "graph": stated_graph(arch, "rnn")}
    return arch, {"batch": int(batch)}
