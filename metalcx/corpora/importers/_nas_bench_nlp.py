"""NAS-Bench-NLP (Klyuchnikov et al.): recurrent cells on language data, 50 epochs.

Layout (``train_logs_*/logs.zip`` of github.com/fmsnew/nas-bench-nlp-release, or a folder of what is in it): one
``log_stats_model_<recipe>_<date>_<id>.json`` a run, with the arguments of the training, ``recepie`` (the cell as JSON
text), ``train_losses``, ``val_losses``, ``test_losses``, ``wall_times`` (seconds of each epoch's training) and
``status``. Losses are logarithms of perplexities.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metalcx._zip import ZIP_ERRORS
from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._runs import Runs, found, item, numbers, parse_json, read_bytes
from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError

_METRICS = tuple(Metric(f"{part}_loss", "min", 0.0, unit="nat") for part in ("val", "train", "test"))
_CONFIG = (
    "batch_size",
    "bptt",
    "emsize",
    "nhid",
    "nlayers",
    "dropout",
    "dropouth",
    "dropouti",
    "dropoute",
    "wdrop",
    "lr",
    "wdecay",
    "clip",
)
#: Name of the data's folder -> task, dataset, family.
_DATA = {
    "ptb": ("penntreebank", "penntreebank", "penntreebank"),
    "wikitext-2": ("wikitext-2", "wikitext", "wikitext-2"),
}
_LARGEST = 1 << 26


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read ``logs.zip``, or a folder of logs; see `Importer`."""
    if options.metric is not None and (options.metric.name, options.metric.goal) != ("val_loss", "min"):
        raise DataError("nas-bench-nlp: the metric is val_loss:min; leave --metric out")
    architectures: dict[str, dict[str, Any]] = {}
    return Imported(
        name="nas-bench-nlp",
        time_unit="epoch",
        metrics=_METRICS,
        licence="Apache-2.0",
        citation="arXiv:2006.07116",
        redistributable=True,
        tasks=_tasks(src, options, tally, architectures),
        architectures=architectures.values(),
        seconds=True,
    )


def _tasks(
    src: Path, options: ImportOptions, tally: Tally, architectures: dict[str, dict[str, Any]]
) -> Iterator[ImportedTask]:
    """One task for each dataset that the logs name."""
    runs: dict[str, Runs] = {}
    for name, data in _logs(src):
        where = f"{src}: {name}"
        log = parse_json(data, where)
        folder = Path(item(log, "data", where, str)).name
        if folder not in runs:
            runs[folder] = Runs(_METRICS[0], _METRICS, "epoch", tally, seconds=True)
        _add(runs[folder], Path(name).stem, log, where, architectures)
    if len(runs) > 1 and (options.dataset or options.family):
        raise DataError(f"{src}: holds logs of several datasets; leave --dataset and --family out")
    for folder in sorted(runs):
        task, dataset, family = _DATA.get(folder, (folder, folder, folder))
        dataset, family = options.dataset or dataset, options.family or options.dataset or family
        name = options.task or task if len(runs) == 1 else task
        yield ImportedTask(name, dataset, family, "language-modelling", runs[folder].curves())


def _logs(src: Path) -> Iterator[tuple[str, bytes]]:
    if src.is_dir():
        for file in found(src.rglob("log_stats_model_*.json"), src, "log_stats_model_*.json"):
            yield file.relative_to(src).as_posix(), read_bytes(file)
        return
    try:
        with zipfile.ZipFile(src) as archive:
            entries = [e for e in archive.infolist() if re.fullmatch(r"(.*/)?log_stats_model_[^/]*\.json", e.filename)]
            for entry in sorted(entries, key=lambda entry: entry.filename):
                if entry.file_size > _LARGEST:
                    raise DataError(f"{src}: {entry.filename!r:.80} unpacks to {entry.file_size} bytes; that is no log")
                yield entry.filename, archive.read(entry)
    except ZIP_ERRORS as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{src}: is no zip archive of logs ({reason!s:.80}); give logs.zip or its folder") from None


def _add(runs: Runs, name: str, log: Any, where: str, architectures: dict[str, dict[str, Any]]) -> None:
    values = {f"{part}_loss": _losses(log, f"{part}_losses", where) for part in ("val", "train", "test")}
    arch = _architecture(log, where, architectures)
    times = numbers(log.get("wall_times", []), f"{where}: wall_times")
    if len(times) == len(values["val_loss"]):
        values["seconds"] = times.cumsum()
    status = log.get("status", "OK")
    if not len(values["val_loss"]):
        runs.tally.skip(name, "no epoch was finished")
        return
    runs.add(
        name,
        np.arange(1.0, len(values["val_loss"]) + 1),
        values,
        config={key: log[key] for key in _CONFIG if isinstance(log.get(key), (int, float))},
        arch=arch,
        group=arch,
        status="completed" if status == "OK" else "censored",
    )


def _losses(log: Any, key: str, where: str) -> Any:
    return numbers(item(log, key, where), f"{where}: {key}")


def _architecture(log: Any, where: str, architectures: dict[str, dict[str, Any]]) -> str:
    arch = f"recipe-{item(log, 'recepie_id', where, int)}"
    if arch not in architectures:
        text = item(log, "recepie", where, str)
        _check_recipe(parse_json(text.encode(), f"{where}: recepie"), where)
        features = {"n_params": log["num_params"]} if isinstance(log.get("num_params"), int) else None
        architectures[arch] = {
            "arch": arch,
            "format": "nasbench-nlp",
            "spec": text,
            "features": features,
            "graph": stated_graph(text, "nasbench-nlp"),
        }
    return arch


def _check_recipe(recipe: Any, where: str) -> None:
    """What is no ``{name: {"op", "input"}}`` is refused; a recipe without a new state, say, has no graph.

    Raises:
        DataError: If it is none.
    """
    if not isinstance(recipe, dict):
        raise DataError(f"{where}: the recipe is {type(recipe).__name__}, not an object of operations")
    for name, node in recipe.items():
        item(node, "input", f"{where}: {name}", list)
        item(node, "op", f"{where}: {name}")
