"""Curves of Baker et al., "Accelerating Neural Architecture Search using Performance Prediction".

Layout (``data/*.csv`` of github.com/MITAutoML/accelerating_nas): one row a run, one column an epoch (``acc_0`` or
``ep_0`` on), the columns before them describe the run. ``lstm_ptb.csv`` has one epoch more than its header names. The
two files ``cudaconvnet_*.csv`` are described in the repository's README only; they are read by the same rule.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._families import family
from metalcx.corpora.importers._runs import Runs, found, only, primary
from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError, name_some

_METRICS = (
    Metric("val_accuracy", "max", 0.0, 1.0, "fraction"),
    Metric("val_perplexity", "min", 1.0, unit="perplexity"),
)
#: File -> what its networks were trained on.
_DATASETS = {
    "alexnet_imagenet": "imagenet",
    "cudaconvnet_cifar10": "cifar10",
    "cudaconvnet_svhn": "svhn",
    "deep_resnets_cifar10": "cifar10",
    "deep_resnets_tinyimagenet": "tinyimagenet",
    "lstm_ptb": "penntreebank",
    "metaqnn_cifar10": "cifar10",
    "metaqnn_svhn": "svhn",
}
_EPOCH = re.compile(r"(?:acc|ep)_(\d+)")
_NOT_CONFIG = ("location", "training_dataset", "net")


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read the folder of CSV files, or one of them; see `Importer`."""
    if options.metric is not None:
        raise DataError("baker: its two metrics belong to different tasks; leave --metric out")
    primary(options, _METRICS, "baker")
    home = src / "data" if (src / "data").is_dir() else src
    files = found(home.glob("*.csv"), src, "*.csv") if home.is_dir() else [src]
    architectures: dict[str, dict[str, Any]] = {}
    return Imported(
        name="baker2018",
        time_unit="epoch",
        metrics=_METRICS,
        licence="MIT",
        citation="arXiv:1705.10823",
        redistributable=True,
        tasks=only(_tasks(files, tally, architectures), options, tally),
        architectures=architectures.values(),
    )


def _tasks(files: list[Path], tally: Tally, architectures: dict[str, dict[str, Any]]) -> Iterator[ImportedTask]:
    for file in files:
        task = file.stem
        if task not in _DATASETS:
            tally.skip(file.name, "is none of the files of this dataset")
            continue
        data = _DATASETS[task]
        text = data == "penntreebank"
        metric = _METRICS[1] if text else _METRICS[0]
        runs = Runs(metric, _METRICS, "epoch", tally)
        _read_file(file, task, runs, architectures)
        domain = "language-modelling" if text else "img-classification"
        yield ImportedTask(task, data, family(data), domain, runs.curves())


def _read_file(file: Path, task: str, runs: Runs, architectures: dict[str, dict[str, Any]]) -> None:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            header = next(rows, [])
            first = next((i for i, column in enumerate(header) if _EPOCH.fullmatch(column)), len(header))
            if first == len(header):
                raise DataError(f"{file}: has no columns acc_0 on, but {name_some(header)}; is it the right file?")
            start = float(header[first].split("_")[1])
            for number, row in enumerate(row for row in rows if row):
                where = f"{file}: row {number + 2}"
                known = dict(zip(header[:first], row, strict=False))
                values = _values(row[first:], where)
                if len(values) < len(header) - first:
                    raise DataError(f"{where}: ends after {len(values)} epochs; the file is cut off, fetch it again")
                _add(runs, f"{task}-{number}", known, start, values, architectures)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: cannot be read as CSV ({reason!s:.80}); fetch it again") from None


def _values(cells: list[str], where: str) -> Any:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise DataError(f"{where}: an epoch is no number ({error}); mend that row") from None


def _add(
    runs: Runs, name: str, known: dict[str, str], start: float, values: Any, architectures: dict[str, dict[str, Any]]
) -> None:
    described = {column: _plain(text) for column, text in known.items() if column not in _NOT_CONFIG[:2]}
    if "n_layer" in described:
        described["base_model"] = "lstm"
    architecture = _architecture(described)
    if architecture:
        architectures[architecture["arch"]] = architecture
    runs.add(
        name,
        np.arange(len(values)) + start,
        {runs.metric.name: values},
        config={column: value for column, value in described.items() if column not in _NOT_CONFIG},
        arch=architecture["arch"] if architecture else None,
        group=json.dumps(described, sort_keys=True),
    )


def _plain(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _architecture(known: dict[str, Any]) -> dict[str, Any] | None:
    """The architecture, where the columns describe one."""
    if "net" in known:
        features = {"depth": known.get("depth"), "n_params": known.get("num_params")}
        return _with_graph(str(known["net"]), "metaqnn", features)
    if {"num_blocks", "num_filters", "filter_size"} <= known.keys():
        features = {column: known[column] for column in ("num_blocks", "num_filters", "filter_size")}
        name = "resnet-b{num_blocks}-f{num_filters}-k{filter_size}".format(**known)
        return {"arch": name, "format": "resnet", "spec": name, "features": features}
    if {"n_layer", "n_inputs"} <= known.keys():
        name = "lstm-l{n_layer}-u{n_inputs}".format(**known)
        features = {column: known[column] for column in ("n_layer", "n_inputs")}
        return _with_graph(name, "rnn", features)
    return None


def _with_graph(spec: str, format: str, features: dict[str, Any]) -> dict[str, Any]:
    graph = stated_graph(spec, format)
    return {"arch": spec, "format": format, "spec": spec, "features": features, "graph": graph}
