"""The trained runs of the mini corpus, written as a corpus folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from metalcx.corpora._mini import TaskRuns, select, train_task
from metalcx.corpora._mini_train import MEASURED
from metalcx.corpora._writer import CorpusWriter
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError

NAME = "sklearn-mini"
LICENCE = "Apache-2.0"
CITATION = (
    "The metalcx authors: sklearn-mini, learning curves of small networks. Data: Pedregosa et al., Scikit-learn, "
    "JMLR 12, 2011, and the sources that its loaders name"
)
METRICS = (
    Metric("val_accuracy", "max", 0.0, 1.0, "fraction"),
    Metric("val_r2", "max", None, 1.0, "fraction of variance"),
    Metric("val_loss", "min", 0.0, None, "nat; regression: variance of the training targets"),
    Metric("train_loss", "min", 0.0, None, "nat; regression: variance of the training targets"),
)


def build_mini(
    path: str | Path,
    *,
    tasks: Iterable[str] | None = None,
    n_runs: int = 64,
    epochs: int | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Train the networks of the mini corpus and write it; the same seed gives the same corpus, its `seconds` excepted.

    Args:
        path: Folder of the corpus; an older corpus there is replaced when the new one is whole and valid.
        tasks: Names of tasks, all by default.
        n_runs: Runs a task.
        epochs: Budget of every run; by default each task has its own.
        seed: Of everything that is drawn but the splits of the data, which are fixed.
        cache: Folder that keeps each finished task, so that an interrupted build goes on where it was.
        progress: Called with a line of text after every run.

    Returns:
        The folder.

    Raises:
        DataError: On an unknown task, or fewer than one run or epoch.
        CorpusError: If the folder is something else than a corpus or cannot be written.
    """
    if n_runs < 1 or (epochs is not None and epochs < 1):
        raise DataError(f"a task needs a run and an epoch at least; got n_runs={n_runs}, epochs={epochs}")
    specs = [spec if epochs is None else replace(spec, epochs=epochs) for spec in select(tasks)]
    kept = None if cache is None else Path(cache)
    with CorpusWriter(
        path,
        name=NAME,
        time_unit="epoch",
        metrics=METRICS,
        licence=LICENCE,
        citation=CITATION,
        redistributable=True,
        seconds=True,
        extra={"seed": seed},
    ) as writer:
        known: set[str] = set()
        for spec in specs:
            _add(writer, train_task(spec, n_runs, seed, kept, progress), known)
    return Path(path)


def _add(writer: CorpusWriter, runs: TaskRuns, known: set[str]) -> None:
    spec, split = runs.spec, runs.split
    kind = "regression" if spec.regression else "classification"
    writer.add_task(
        spec.task,
        dataset=f"sklearn-{spec.dataset.replace('_', '-')}",
        family=spec.family,
        domain=f"{'img' if spec.dataset == 'digits' else 'tabular'}-{kind}",
        metric=spec.metric,
        n_train=spec.n_train,
        n_val=spec.n_val,
        n_features=split.n_features,
        n_classes=split.n_classes,
        label_noise=spec.label_noise,
        pixel_noise=spec.pixel_noise,
    )
    for plan in runs.plans:
        net = plan.architecture
        if net.name not in known:
            known.add(net.name)
            features, graph = {"n_params": net.n_params}, net.graph_json()
            writer.add_architecture(net.name, format="metalcx-mini", spec=net.name, features=features, graph=graph)
    writer.add_runs(spec.task, curves_of(runs), seed=[plan.seed for plan in runs.plans])


def curves_of(runs: TaskRuns) -> Curves:
    """The curves of a task, in the order of its plans; a metric that does not apply to the task is left out."""
    spec, plans = runs.spec, runs.plans
    absent = "val_accuracy" if spec.regression else "val_r2"
    table = np.concatenate([run.values for run in runs.trained]).astype(np.float64)
    return Curves(
        metric=next(m for m in METRICS if m.name == spec.metric),
        ids=np.array([f"{spec.task}-{i:03d}" for i in range(len(plans))], dtype=object),
        offsets=np.cumsum([0, *(len(run.t) for run in runs.trained)]).astype(np.int64),
        t=np.concatenate([run.t for run in runs.trained]),
        values={name: table[:, k] for k, name in enumerate(MEASURED) if name != absent},
        status=np.array([run.status for run in runs.trained], dtype=object),
        # Objects, so that a whole number stays one where other runs lack the hyperparameter.
        config=pd.DataFrame([plan.config for plan in plans], dtype=object),
        arch=np.array([plan.architecture.name for plan in plans], dtype=object),
        group=np.array([f"{spec.task}-config-{plan.group:03d}" for plan in plans], dtype=object),
        time_unit="epoch",
    )
