"""From trained networks to the corpora in `datasets/histories` and, of fresh tasks, `datasets/histories-fresh`.

python benchmarks/history_corpus.py WORK [DST] [--fresh]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from history_fresh_tasks import FRESH
from history_tasks import EPOCHS, TASKS, HistoryTask
from history_training import CHECKPOINTS, SAMPLE
from safetensors.numpy import save_file

from metalcx.corpora import CorpusWriter
from metalcx.corpora.build._networks import build_network
from metalcx.curves import Curves, Metric
from metalcx.graphs import trace
from metalcx.histories import History
from metalcx.histories._corpus import FEATURES, HISTORIES, LABELS, PREDICTED
from metalcx.histories._traits import TRAITS, proxies_of, traits_of

#: Epochs at which proxies are fitted; of the other checkpoints only the network's own predictions are kept.
CUTS = (1, 2, 4, 8)
#: Checkpoints of the runs whose features are kept: enough for the first three cuts.
WITH_FEATURES = 5

METRICS = (
    Metric("val_accuracy", "max", 0.0, 1.0, "fraction"),
    Metric("ema_accuracy", "max", 0.0, 1.0, "fraction, of the average of weights"),
    Metric("train_loss", "min", 0.0, None, "nat"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("dst", type=Path, nargs="?", help="by default the corpus of that name in datasets/")
    parser.add_argument("--fresh", action="store_true", help="the tasks that no decision was made with in view")
    given = parser.parse_args()
    tasks, name = (FRESH, "histories-fresh") if given.fresh else (TASKS, "histories")
    dst = given.dst or Path("datasets", name)
    torch.set_num_threads(1)
    histories: list[pd.DataFrame] = []
    labels: list[dict[str, Any]] = []
    features: dict[str, np.ndarray] = {}
    first = 0
    with CorpusWriter(
        dst,
        name=name,
        time_unit="epoch",
        metrics=METRICS,
        licence="Apache-2.0",
        citation=f"The metalcx authors: {name}, features of early epochs of small networks. Data: Pedregosa et al., "
        "Scikit-learn, JMLR 12, 2011, and processes of our own",
        redistributable=True,
        seconds=True,
    ) as writer:
        known: set[str] = set()
        for task in tasks:
            data = task.make()
            files = sorted(given.work.glob(f"{task.name}-[0-9]*.json"))
            runs = [json.loads(file.read_text()) for file in files]
            about = {"n_train": task.n_train, "n_val": task.n_val, "n_classes": data.n_classes, "epochs": EPOCHS}
            writer.add_task(
                task.name, dataset=task.name, family=task.family, domain=task.domain, metric="val_accuracy", **about
            )
            architectures = [_architecture(run, data) for run in runs]
            for architecture in architectures:
                if architecture["arch"] not in known:
                    known.add(architecture["arch"])
                    writer.add_architecture(**architecture)
            writer.add_runs(task.name, _curves(task, runs, architectures), [run["seed"] for run in runs])
            for i, file in enumerate(files):
                histories.append(_rows(first + i, file, runs[i]))
            middle = sorted(range(len(runs)), key=lambda i: max(runs[i]["accuracy"]))[2 * len(runs) // 3]
            features |= _features(task, middle, files[middle])
            labels.append(
                {"task": task.name, "train": data.y_train[:SAMPLE].astype(np.uint8).tobytes(),
                 "val": data.y_val.astype(np.uint8).tobytes()}
            )  # fmt: skip
            first += len(runs)
            print(task.name, len(runs), flush=True)
    pd.concat(histories).to_parquet(dst / HISTORIES, index=False, compression="zstd", compression_level=19)
    pd.DataFrame(labels).to_parquet(dst / LABELS, index=False, compression="zstd")
    save_file(features, dst / FEATURES)


def _curves(task: HistoryTask, runs: list[dict[str, Any]], architectures: list[dict[str, Any]]) -> Curves:
    length = [EPOCHS + 1 if run["broken"] is None else run["broken"] + 1 for run in runs]
    values: dict[str, list[np.ndarray]] = {
        name: [] for name in ("val_accuracy", "ema_accuracy", "train_loss", "seconds")
    }
    for run, n in zip(runs, length, strict=True):
        loss = np.array([np.nan, *run["loss"]])[:n]
        columns = [np.array(run["accuracy"][:n]), np.array(run["ema"][:n]), loss, np.array(run["seconds"][:n])]
        if run["broken"] is not None:
            columns[0][-1], columns[1][-1], columns[2][-1] = np.inf, np.nan, np.inf
        for name, column in zip(values, columns, strict=True):
            values[name].append(column)
    configs = [{"network": run["network"], **_single(run["settings"]), **run["config"]} for run in runs]
    names = [f"{task.name}/{i:03d}" for i in range(len(runs))]
    return Curves(
        metric=METRICS[0],
        metrics=METRICS,
        ids=np.array(names, dtype=object),
        offsets=np.concatenate([[0], np.cumsum(length)]),
        t=np.concatenate([np.arange(n, dtype=np.float64) for n in length]),
        values={name: np.concatenate(column) for name, column in values.items()},
        status=np.array(["completed" if run["broken"] is None else "diverged" for run in runs], dtype=object),
        config=pd.DataFrame(configs, dtype=object),
        arch=np.array([a["arch"] for a in architectures], dtype=object),
        time_unit="epoch",
    )


def _single(settings: dict[str, Any]) -> dict[str, Any]:
    """What is a single value, and depth and width of a perceptron."""
    widths = settings.get("widths")
    shape = {} if widths is None else {"depth": len(widths), "width": max(widths)}
    return {k: v for k, v in settings.items() if not isinstance(v, (list, tuple))} | shape


def _architecture(run: dict[str, Any], data: Any) -> dict[str, Any]:
    model = build_network(run["network"], run["settings"], data.x_train.shape[1:], data.n_classes)
    graph = trace(model, torch.from_numpy(data.x_train[:1]))
    spec = json.dumps({"network": run["network"], **run["settings"]}, separators=(",", ":"))
    ends = [graph.nodes[0], graph.nodes[-1]]
    digest = hashlib.sha256(json.dumps([spec, ends], sort_keys=True).encode()).hexdigest()[:12]
    return {
        "arch": f"{run['network']}-{digest}",
        "format": "metalcx-build",
        "spec": spec,
        "features": {"n_params": graph.n_params, "macs": graph.macs, "nodes": len(graph.nodes)},
        "graph": json.loads(graph.to_json()),
    }


def _rows(number: int, file: Path, run: dict[str, Any]) -> pd.DataFrame:
    history = History.load(file.with_suffix(".history"))
    spent = dict(zip(CHECKPOINTS, np.cumsum(run["recording"]), strict=True))
    rows = []
    for t in map(int, history.t):
        if run["broken"] is not None and t >= run["broken"]:
            break
        row: dict[str, Any] = {"run": np.int32(number), "t": np.float32(t), "recording": np.float32(spent[t])}
        predicted = {"own": history.until(t).outputs[-1, history.n_train :].argmax(-1)}
        traits = np.full(len(TRAITS), np.nan)
        if t in CUTS:
            began = time.thread_time()
            fits = proxies_of(history.until(t))
            traits = traits_of(history.until(t), fits)
            row["proxies"] = np.float32(time.thread_time() - began)
            predicted |= {name: fits[name].val.argmax(1) for name in PREDICTED if name != "own"}
        row |= dict(zip(TRAITS, traits.astype(np.float32), strict=True))
        row |= {f"{n}_classes": predicted[n].astype(np.uint8).tobytes() if n in predicted else b"" for n in PREDICTED}
        rows.append(row)
    return pd.DataFrame(rows)


def _features(task: HistoryTask, number: int, file: Path) -> dict[str, np.ndarray]:
    """Features of a run in the upper third, as they were recorded."""
    history = History.load(file.with_suffix(".history"))
    some = history.take(np.arange(WITH_FEATURES))
    name = f"{task.name}/{number:03d}"
    return {f"{name}.{what}": np.ascontiguousarray(getattr(some, what)) for what in ("t", "features", "outputs")}


if __name__ == "__main__":
    main()
