"""LCBench (Zimmer et al.): funnel-shaped perceptrons on OpenML datasets, 2,000 configurations, about 50 epochs.

Layout, as read by `api.py` of github.com/automl/LCBench (``data_2k.json``, ``data_2k_lw.json``,
``six_datasets_lw.json``): dataset -> configuration -> ``{"config": {...}, "log": {tag: [...]}, "results": {...}}``.
Accuracies are percentages there and fractions here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._families import openml_family
from metalcx.corpora.importers._json_stream import JsonCursor
from metalcx.corpora.importers._runs import Runs, item, numbers, only, primary
from metalcx.curves import Metric
from metalcx.errors import DataError

_ACCURACIES = {
    "val_accuracy": "Train/val_accuracy",
    "val_balanced_accuracy": "Train/val_balanced_accuracy",
    "test_accuracy": "Train/test_result",
    "test_balanced_accuracy": "Train/test_balanced_accuracy",
    "train_accuracy": "Train/train_accuracy",
    "train_balanced_accuracy": "Train/train_balanced_accuracy",
}
_LOSSES = {
    "val_cross_entropy": "Train/val_cross_entropy",
    "test_cross_entropy": "Train/test_cross_entropy",
    "train_cross_entropy": "Train/train_cross_entropy",
    "train_loss": "Train/loss",
}
_TAGS = _ACCURACIES | _LOSSES
_META = {"n_train": "instances", "n_features": "features", "n_classes": "classes"}


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read LCBench; see `Importer`."""
    metrics = primary(options, _metrics(src), "lcbench")
    architectures: dict[str, dict[str, Any]] = {}
    return Imported(
        name="lcbench",
        time_unit="epoch",
        metrics=metrics,
        licence="Apache-2.0",
        citation="arXiv:2006.13799",
        redistributable=True,
        tasks=only(_tasks(src, metrics, tally, architectures), options, tally),
        architectures=architectures.values(),
        seconds=True,
    )


def _metrics(src: Path) -> list[Metric]:
    """What the first run logs: the light files leave some tags out."""
    cursor = JsonCursor(src)
    for dataset in cursor.members():
        for config in cursor.members():
            log = item(cursor.value(), "log", f"{src}: {dataset}: {config}", dict)
            names = [name for name, tag in _TAGS.items() if tag in log]
            if not names:
                raise DataError(f"{src}: {dataset}: {config}: logs none of the tags of LCBench; is it the right file?")
            return [_metric(name) for name in names]
    raise DataError(f"{src}: holds no run; give the published JSON file")


def _metric(name: str) -> Metric:
    return Metric(name, "max", 0.0, 1.0, "fraction") if name in _ACCURACIES else Metric(name, "min", 0.0, unit="nat")


def _tasks(
    src: Path, metrics: tuple[Metric, ...], tally: Tally, architectures: dict[str, dict[str, Any]]
) -> Iterator[ImportedTask]:
    cursor = JsonCursor(src)
    for dataset in cursor.members():
        runs = Runs(metrics[0], metrics, "epoch", tally, seconds=True)
        meta: dict[str, object] = {}
        for config in cursor.members():
            run = cursor.value()
            where = f"{src}: {dataset}: {config}"
            meta = meta or _meta(item(run, "results", where, dict), item(run, "config", where, dict))
            _add(runs, dataset, config, run, where, architectures)
        yield ImportedTask(
            dataset,
            dataset.lower(),
            openml_family(dataset),
            "tabular-classification",
            runs.curves(),
            runs.seeds,
            meta,
        )
    cursor.finish()


def _add(runs: Runs, dataset: str, name: str, run: Any, where: str, architectures: dict[str, dict[str, Any]]) -> None:
    log = item(run, "log", where, dict)
    config = item(run, "config", where, dict)
    columns = {m.name: numbers(item(log, _TAGS[m.name], where), f"{where}: {_TAGS[m.name]}") for m in runs.metrics}
    values = {name: column / 100 if name in _ACCURACIES else column for name, column in columns.items()}
    n = len(values[runs.metric.name])
    t = numbers(log["epoch"], f"{where}: epoch") if "epoch" in log else np.arange(float(n))
    if "time" in log:
        values["seconds"] = numbers(log["time"], f"{where}: time")
    arch = _architecture(config)
    if arch:
        architectures[str(arch["arch"])] = arch
    runs.add(
        f"{dataset}-{name}",
        t,
        values,
        config={k: v for k, v in config.items() if isinstance(v, (str, int, float))},
        arch=str(arch["arch"]) if arch else None,
        group=f"cfg{name}",
        seed=item(run, "results", where, dict).get("seed", config.get("seed")),
    )


def _architecture(config: dict[str, Any]) -> dict[str, Any] | None:
    if not {"num_layers", "max_units"} <= config.keys():
        return None
    features = {key: config[key] for key in ("num_layers", "max_units")}
    shape = config.get("mlp_shape", "funnel")
    name = f"mlp-{shape}-l{features['num_layers']}-u{features['max_units']}"
    return {"arch": name, "format": "mlp", "spec": name, "features": features}


def _meta(*tables: dict[str, Any]) -> dict[str, object]:
    """Sizes of the dataset, which stand with the results; as numbers, though some files hold them as text."""
    known = {name: next((t[tag] for t in tables if tag in t), None) for name, tag in _META.items()}
    return {name: _whole(value) for name, value in known.items() if _whole(value) is not None}


def _whole(value: object) -> int | None:
    try:
        return int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
