"""LCDB 1.1 (Yan, Mohr, Viering): error rates of 28 learners over training-set size, on OpenML datasets.

Layout, as in ``docs/data`` of github.com/learning-curve-research/LCDB-1.1: ``er/<OpenML id>.json`` holds numbers over
(learner, statistic, anchor, train/val/test), null where not measured; ``meta.json`` names the axes, ``names.json`` the
datasets. Beside it or two folders up, ``metadata/datasets_FULL_summary.csv`` has the sizes of the datasets.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.importers._base import Imported, ImportedTask, ImportOptions, Tally
from metalcx.corpora.importers._families import openml_family
from metalcx.corpora.importers._runs import Runs, found, item, numbers, only, primary, read_json
from metalcx.curves import Metric
from metalcx.errors import DataError

_PARTS = {"val": "val_error_rate", "test": "test_error_rate", "train": "train_error_rate"}
_METRICS = tuple(Metric(name, "min", 0.0, 1.0, "fraction") for name in _PARTS.values())
_UNIT = "training-set size"
_SUMMARY = Path("metadata") / "datasets_FULL_summary.csv"
_META = {"n_train": "#Samples", "n_features": "#Features", "n_classes": "#Classes"}


def read(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Read LCDB 1.1: its repository, or the folder ``docs/data``; see `Importer`."""
    metrics = primary(options, _METRICS, "lcdb")
    home = next((src / part for part in ("", "docs/data", "data") if (src / part / "er").is_dir()), src)
    files = found((home / "er").glob("*.json"), src, "er/*.json")
    axes = read_json(home / "meta.json")
    learners = item(axes, "learners", f"{home / 'meta.json'}", list)
    return Imported(
        name="lcdb11",
        time_unit=_UNIT,
        metrics=metrics,
        licence="CC BY 4.0",
        citation="arXiv:2505.15657",
        redistributable=True,
        tasks=only(_tasks(home, sorted(files, key=_number), axes, metrics, tally), options, tally),
        architectures=[{"arch": str(name), "format": "name"} for name in learners],
    )


def _number(file: Path) -> tuple[int, str]:
    return (int(file.stem) if file.stem.isdigit() else 0, file.stem)


def _tasks(
    home: Path, files: list[Path], axes: Any, metrics: tuple[Metric, ...], tally: Tally
) -> Iterator[ImportedTask]:
    names = read_json(home / "names.json")
    sizes = _sizes(home)
    for file in files:
        name = item(names, file.stem, f"{home / 'names.json'}", str)
        task = f"openml-{file.stem}"
        runs = Runs(metrics[0], metrics, _UNIT, tally, nan_diverges=False)
        _read_file(file, axes, task, runs)
        meta = {**sizes.get(file.stem, {}), "openml_name": name}
        yield ImportedTask(task, task, openml_family(name), "tabular-classification", runs.curves(), meta=meta)


def _read_file(file: Path, axes: Any, task: str, runs: Runs) -> None:
    where = str(file)
    anchors = numbers(item(axes, "anchors", "meta.json"), "meta.json: anchors")
    labels = [item(axes, key, "meta.json", list) for key in ("learners", "stat_labels", "tvt_labels")]
    learners, statistics, parts = labels
    table = _table(read_json(file), (len(learners), len(statistics), len(anchors), len(parts)), where)
    if "mean" not in statistics or not _PARTS.keys() <= set(parts):
        raise DataError(f"{where}: meta.json names no mean of train, val and test; is it that of LCDB 1.1?")
    mean = table[:, statistics.index("mean")]
    for learner, curve in zip(learners, mean, strict=True):
        _add(runs, f"{task}-{learner}", str(learner), anchors, dict(zip(parts, curve.T, strict=True)))


def _add(
    runs: Runs, name: str, learner: str, anchors: npt.NDArray[np.float64], curve: dict[str, npt.NDArray[np.float64]]
) -> None:
    """A null says that the anchor was not measured, never that the learner diverged."""
    values = {metric: curve[part] for part, metric in _PARTS.items()}
    measured = np.isfinite(list(values.values())).any(axis=0)
    runs.add(name, anchors[measured], {m: v[measured] for m, v in values.items()}, arch=learner)


def _table(value: Any, shape: tuple[int, ...], where: str) -> npt.NDArray[np.float64]:
    try:
        table = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{where}: is no table of numbers; fetch it again") from None
    if table.shape != shape:
        raise DataError(f"{where}: has shape {table.shape}, and meta.json says {shape}; fetch both of one version")
    return table


def _sizes(home: Path) -> dict[str, dict[str, int]]:
    """Sizes of datasets by OpenML id, where the repository's summary is at hand."""
    file = next((base / _SUMMARY for base in (home, home.parent.parent) if (base / _SUMMARY).is_file()), None)
    if file is None:
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        return {row["OpenML_ID"]: {name: int(row[column]) for name, column in _META.items()} for row in rows}
    except (KeyError, ValueError, TypeError):
        raise DataError(f"{file}: is not the summary of LCDB 1.1; fetch it again, or take it away") from None
