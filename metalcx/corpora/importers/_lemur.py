"""LEMUR (nn-dataset, Goodarzi et al.): scores by epoch of many networks on shared datasets.

Layout (``ab/nn/stat`` of github.com/ABrain-One/nn-dataset): a folder ``<task>_<dataset>_<metric>_<network>`` holds
``<epoch>.json``, a list of trials ``{"accuracy", "duration", "uid", ...hyperparameters}``; a trial has the same ``uid``
at every epoch, and ``duration`` counts nanoseconds since its start. Older files have no ``uid``: there a trial is known
by its hyperparameters. Networks are known by name; runs of one network are a group.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._families import family
from metalcx.corpora.importers._runs import Runs, found, item, numbers, only, primary, read_json
from metalcx.curves import Metric
from metalcx.errors import DataError

_METRICS = (Metric("score", "max", 0.0, 1.0, "fraction"),)
_NOT_CONFIG = ("accuracy", "duration", "uid", "epoch")
_DATASETS = {"cifar-10": "cifar10", "cifar-100": "cifar100"}


@dataclass
class _Trial:
    config: dict[str, Any]
    points: dict[int, tuple[object, object]] = field(default_factory=dict)


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read LEMUR: its repository, or the folder ``ab/nn/stat``; see `Importer`."""
    metrics = primary(options, _METRICS, "lemur")
    home = src / "ab" / "nn" / "stat" if (src / "ab" / "nn" / "stat").is_dir() else src
    folders = _folders(home, tally)
    networks = sorted({folder.name.split("_", 3)[3] for folder in folders})
    return Imported(
        name="lemur",
        time_unit="epoch",
        metrics=metrics,
        licence="MIT",
        citation="arXiv:2504.10552",
        redistributable=True,
        tasks=only(_tasks(folders, metrics, tally), options, tally),
        architectures=[{"arch": network, "format": "lemur"} for network in networks],
        seconds=True,
    )


def _folders(home: Path, tally: Tally) -> list[Path]:
    folders = []
    for path in found(home.iterdir() if home.is_dir() else [], home, "folder <task>_<dataset>_<metric>_<network>"):
        if path.is_dir() and path.name.count("_") >= 3 and all(path.name.split("_", 3)):
            folders.append(path)
        else:
            tally.skip(path.name, "is no folder <task>_<dataset>_<metric>_<network>")
    return found(folders, home, "folder <task>_<dataset>_<metric>_<network>")


def _tasks(folders: list[Path], metrics: tuple[Metric, ...], tally: Tally) -> Iterator[ImportedTask]:
    by_task = sorted(folders, key=lambda folder: folder.name.split("_", 3))
    for (domain, dataset, score), group in itertools.groupby(by_task, lambda folder: folder.name.split("_", 3)[:3]):
        runs = Runs(metrics[0], metrics, "epoch", tally, seconds=True)
        for folder in group:
            for number, trial in enumerate(_trials(folder, tally).values()):
                _add(runs, f"{folder.name}-{number}", folder, trial)
        data = _DATASETS.get(dataset, dataset)
        yield ImportedTask(f"{domain}/{dataset}/{score}", data, family(data), domain, runs.curves())


def _trials(folder: Path, tally: Tally) -> dict[str, _Trial]:
    trials: dict[str, _Trial] = {}
    for file in sorted(folder.iterdir(), key=lambda file: (len(file.name), file.name)):
        if file.suffix != ".json" or not file.stem.isdigit():
            tally.skip(f"{folder.name}/{file.name}", "is no <epoch>.json")
            continue
        entries = read_json(file)
        if not isinstance(entries, list):
            raise DataError(f"{file}: a list of trials was expected, not {type(entries).__name__}; fetch it again")
        for entry in entries:
            _take(entry, int(file.stem), file, trials, tally)
    return trials


def _take(entry: Any, epoch: int, file: Path, trials: dict[str, _Trial], tally: Tally) -> None:
    score = item(entry, "accuracy", str(file))
    config = {key: value for key, value in entry.items() if key not in _NOT_CONFIG}
    uid = entry.get("uid")
    name = uid if isinstance(uid, str) else json.dumps(config, sort_keys=True)
    trial = trials.setdefault(name, _Trial(config))
    if epoch in trial.points:
        tally.skip(f"{file.parent.name}/{file.name}: {name:.80}", "a second score of a trial at the same epoch")
    else:
        trial.points[epoch] = score, entry.get("duration")


def _add(runs: Runs, name: str, folder: Path, trial: _Trial) -> None:
    epochs = sorted(trial.points)
    where = f"{folder}: trial {trial.config!s:.60}"
    scores, durations = zip(*(trial.points[epoch] for epoch in epochs), strict=True)
    network = folder.name.split("_", 3)[3]
    runs.add(
        name,
        np.array(epochs, dtype=float),
        {"score": numbers(list(scores), where), "seconds": numbers(list(durations), where) / 1e9},
        config={key: value for key, value in trial.config.items() if isinstance(value, (str, int, float))},
        arch=network,
        group=network,
    )
