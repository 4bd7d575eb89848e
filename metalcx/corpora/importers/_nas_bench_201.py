"""NAS-Bench-201 and NATS-Bench (Dong et al.): every cell on three datasets, 12 and 200 epochs, several seeds.

Layouts, as read by `nas_201_api` and `nats_bench` of the same author: one file (``NAS-Bench-201-v1_1-096897.pth``,
``NATS-tss-v1_0-3ffb9.pickle.pbz2``) of ``{"meta_archs": [...], "arch2infos": {index: results}, "evaluated_indexes"}``,
or a folder of one file an architecture (``000000.pickle.pbz2`` beside ``meta.pickle.pbz2``, ``000000-FULL.pth``), which
holds the results alone: ``{"less" | "full" | "12" | "200": {"arch_index", "arch_str", "all_results": {(dataset, seed):
{"epochs", "train_acc1es", "eval_acc1es": {"x-valid@0": ...}, ...}}}}``. Files are read by the restricted loader; the
2 GB file takes ten minutes or more and several times its size in memory, a folder takes little.

On CIFAR the set ``ori-test`` is the test set; elsewhere it is validation and test set together, and ``x-test`` is the
test set. What was evaluated after the last epoch only has one value. Seconds are those of training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._families import family
from metalcx.corpora.importers._nas_cells import canonical_cell
from metalcx.corpora.importers._restricted import load_plain
from metalcx.corpora.importers._runs import Runs, found, item, only, primary
from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError

_PARTS = ("test", "valtest", "val", "train")
_METRICS = (
    *(Metric(f"{part}_accuracy", "max", 0.0, 1.0, "fraction") for part in _PARTS),
    *(Metric(f"{part}_loss", "min", 0.0, unit="nat") for part in _PARTS),
)
_TASKS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
_ONE = re.compile(r"\d+(\.pickle\.pbz2|-FULL\.pth)")
_EPOCHS = {"less": 12, "full": 200}


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read NAS-Bench-201 or NATS-Bench, a file or a folder; see `Importer`."""
    metrics = primary(options, _METRICS, "nas-bench-201")
    architectures: dict[str, dict[str, Any]] = {}
    return Imported(
        name="nas-bench-201",
        time_unit="epoch",
        metrics=metrics,
        licence="MIT",
        citation="arXiv:2001.00326",
        redistributable=True,
        tasks=only(_tasks(src, options, metrics, tally, architectures), options, tally),
        architectures=architectures.values(),
        seconds=True,
    )


def _tasks(
    src: Path,
    options: ImportOptions,
    metrics: tuple[Metric, ...],
    tally: Tally,
    architectures: dict[str, dict[str, Any]],
) -> Iterator[ImportedTask]:
    """All tasks are collected before the first is given: each file holds a little of each."""
    runs: dict[str, Runs] = {}
    for where, results in _all_results(src):
        for hp in sorted(results, key=_epochs, reverse=True):
            state = item(results, hp, where, dict)
            arch = _architecture(item(state, "arch_str", where, str), architectures)
            for trial, result in item(state, "all_results", where, dict).items():
                dataset, seed = _trial(trial, where)
                columns = _columns(result, dataset, f"{where}: {hp}: {dataset}, seed {seed}")
                if dataset not in runs:
                    first = options.metric and metrics[0]
                    runs[dataset] = Runs(first or _fullest(columns), metrics, "epoch", tally, True, False)
                _add(runs[dataset], dataset, state, architectures[arch], hp, seed, columns)
                _note_size(architectures[arch], dataset, result)
    for dataset in sorted(runs, key=lambda name: (_TASKS.index(name) if name in _TASKS else len(_TASKS), name)):
        yield _task(dataset, runs.pop(dataset))


def _task(dataset: str, runs: Runs) -> ImportedTask:
    name = dataset.lower()
    data = name.removesuffix("-valid")
    return ImportedTask(name, data, family(data), "img-classification", runs.curves(), runs.seeds)


def _all_results(src: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if src.is_dir():
        files = [file for file in src.iterdir() if _ONE.fullmatch(file.name)]
        for file in found(files, src, "000000.pickle.pbz2 or 000000-FULL.pth"):
            yield str(file), _as_results(load_plain(file), str(file))
        return
    whole = load_plain(src)
    infos = item(whole, "arch2infos", str(src), dict)
    del whole
    for index in sorted(infos):
        yield f"{src}: architecture {index}", _as_results(infos.pop(index), f"{src}: architecture {index}")


def _as_results(value: Any, where: str) -> dict[str, Any]:
    keys = list(value) if isinstance(value, dict) else []
    if not keys or not all(isinstance(key, str) and (key in _EPOCHS or key.isdigit()) for key in keys):
        raise DataError(f"{where}: holds no results by number of epochs; is it the right file?")
    return dict(value)


def _epochs(hp: str) -> int:
    return _EPOCHS.get(hp) or int(hp)


def _trial(trial: Any, where: str) -> tuple[str, object]:
    if not isinstance(trial, tuple) or len(trial) != 2 or not isinstance(trial[0], str):
        raise DataError(f"{where}: results are not filed by (dataset, seed); is it the right file?")
    return trial


def _add(
    runs: Runs,
    dataset: str,
    state: dict[str, Any],
    architecture: dict[str, Any],
    hp: str,
    seed: object,
    columns: dict[str, npt.NDArray[np.float64]],
) -> None:
    arch = architecture["arch"]
    n = len(next(iter(columns.values())))
    runs.add(
        f"{dataset.lower()}-{state.get('arch_index', arch)}-e{_epochs(hp)}-s{seed}",
        np.arange(1.0, n + 1),
        columns,
        config={"epochs": _epochs(hp)},
        arch=arch,
        group=canonical_cell(arch) if architecture["format"] == "nasbench201" else arch,
        seed=seed,
    )


def _columns(result: Any, dataset: str, where: str) -> dict[str, npt.NDArray[np.float64]]:
    epochs = item(result, "epochs", where, int)
    if not 0 < epochs <= 10_000:
        raise DataError(f"{where}: {epochs} epochs make no curve; fetch the file again")
    keys = list(range(epochs))
    columns = {
        "train_accuracy": _series(item(result, "train_acc1es", where), keys, where) / 100,
        "train_loss": _series(item(result, "train_losses", where), keys, where),
    }
    for name, part in _parts(dataset).items():
        tags = [f"{name}@{epoch}" for epoch in keys]
        columns[f"{part}_accuracy"] = _series(item(result, "eval_acc1es", where), tags, where) / 100
        columns[f"{part}_loss"] = _series(item(result, "eval_losses", where), tags, where)
    times = _series(result.get("train_times"), keys, where)
    if np.isfinite(times).all() and (times >= 0).all():
        columns["seconds"] = times.cumsum()
    return columns


def _parts(dataset: str) -> dict[str, str]:
    """Evaluated sets -> what they are here."""
    if _is_cifar10(dataset):
        return {"x-valid": "val", "ori-test": "test"}
    return {"x-valid": "val", "x-test": "test", "ori-test": "valtest"}


def _is_cifar10(dataset: str) -> bool:
    return dataset in ("cifar10", "cifar10-valid")


def _series(table: Any, keys: list[Any], where: str) -> npt.NDArray[np.float64]:
    """The values of `keys`, NaN where there is none."""
    if isinstance(table, list):
        table = dict(enumerate(table))
    if table is None:
        table = {}
    if not isinstance(table, dict):
        raise DataError(f"{where}: values by epoch were expected, not {type(table).__name__}; fetch the file again")
    try:
        return np.array([np.nan if table.get(key) is None else float(table[key]) for key in keys])
    except (TypeError, ValueError):
        raise DataError(f"{where}: a value is no number; fetch the file again") from None


def _fullest(columns: dict[str, npt.NDArray[np.float64]]) -> Metric:
    """The accuracy that was measured at most epochs, on the test set if that is as good as any."""
    candidates = [m for m in _METRICS[:3] if m.name in columns]
    return max(candidates, key=lambda m: int(np.isfinite(columns[m.name]).sum()))


def _architecture(text: str, architectures: dict[str, dict[str, Any]]) -> str:
    if text not in architectures:
        graph = stated_graph(text, "nasbench201")
        format = "nats-size" if graph is None else "nasbench201"
        architectures[text] = {"arch": text, "format": format, "spec": text, "features": None, "graph": graph}
    return text


def _note_size(architecture: dict[str, Any], dataset: str, result: dict[str, Any]) -> None:
    """Cost of the network that classifies CIFAR-10, as published: millions of operations and of parameters."""
    size = {name: result.get(key) for name, key in (("flop_m", "flop"), ("params_m", "params"))}
    if _is_cifar10(dataset) and all(_is_number(v) for v in size.values()):
        architecture["features"] = {name: float(value) for name, value in size.items()}  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))
