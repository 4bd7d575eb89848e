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
_LAYER = re.compile(r"([A-Z]+)\((\d+(?:,\s*\d+)*)\)")
#: MetaQNN's layers: operation, and what its arguments are.
_LAYERS = {
    "C": ("conv", ("out", "kernel", "stride")),
    "P": ("max_pool", ("kernel", "stride")),
    "D": ("dropout", ("index",)),
    "FC": ("linear", ("out",)),
    "GAP": ("global_pool", ("out",)),
    "SM": ("softmax", ("out",)),
}


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
        net = str(known["net"])
        return {"arch": net, "format": "metaqnn", "spec": net, "features": features, "graph": metaqnn_graph(net)}
    if {"num_blocks", "num_filters", "filter_size"} <= known.keys():
        features = {column: known[column] for column in ("num_blocks", "num_filters", "filter_size")}
        name = "resnet-b{num_blocks}-f{num_filters}-k{filter_size}".format(**known)
        return {"arch": name, "format": "resnet", "spec": name, "features": features}
    if {"n_layer", "n_inputs"} <= known.keys():
        name = "lstm-l{n_layer}-u{n_inputs}".format(**known)
        features = {column: known[column] for column in ("n_layer", "n_inputs")}
        cells = [{"op": "lstm", "out": known["n_inputs"]}] * int(known["n_layer"])
        graph = _chain([{"op": "embedding", "out": known["n_inputs"]}, *cells, {"op": "linear"}])
        return {"arch": name, "format": "rnn", "spec": name, "features": features, "graph": graph}
    return None


def metaqnn_graph(net: str) -> dict[str, Any] | None:
    """The chain of MetaQNN's layers, such as ``[C(64,1,1), P(2,2), SM(10)]``; None where a layer is not known."""
    layers = []
    parts = _LAYER.findall(net)
    for kind, arguments in parts:
        op, names = _LAYERS.get(kind, ("", ()))
        sizes = [int(size) for size in arguments.split(",")]
        # D(k, n) is the k-th of n dropouts.
        if not op or len(sizes) < len(names):
            return None
        layers.append({"op": op, **dict(zip(names, sizes, strict=False))})
    rest = _LAYER.sub("", net)
    return _chain(layers) if layers and not rest.strip("[], ") else None


def _chain(ops: list[dict[str, Any]]) -> dict[str, Any]:
    nodes = [{"op": "input"}, *ops, {"op": "output"}]
    return {"nodes": nodes, "edges": [[i, i + 1] for i in range(len(nodes) - 1)]}
