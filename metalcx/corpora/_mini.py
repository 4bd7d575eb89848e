"""The mini corpus: what is trained, with which configurations, and how it becomes a corpus folder."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora._mini_data import Split, TaskSpec, prepare
from metalcx.corpora._mini_nets import ACTIVATIONS, Architecture, cnn, mlp
from metalcx.corpora._mini_train import Trained, train
from metalcx.errors import DataError, name_some

# Families: OpenML, and so other corpora, have `digits` (optdigits), `iris` and `breast-cancer` (wdbc) too. Wine (by
# cultivar, not wine quality) and diabetes (Efron et al. 2004, not Pima) share examples with no other data of that name,
# and so have words of their own.
_DIGITS: dict[str, Any] = {"dataset": "digits", "family": "digits", "metric": "val_accuracy", "n_val": 400}
_DIGITS_MLP: dict[str, Any] = {**_DIGITS, "net": "mlp", "epochs": 40}
_DIGITS_CNN: dict[str, Any] = {**_DIGITS, "net": "cnn", "epochs": 36, "n_train": 300, "batch_sizes": (32, 64)}

TASKS = (
    TaskSpec("digits-mlp", n_train=400, batch_sizes=(32, 64), **_DIGITS_MLP),
    TaskSpec("digits-mlp-few", n_train=120, batch_sizes=(16, 32), **_DIGITS_MLP),
    TaskSpec("digits-mlp-label-noise", n_train=400, batch_sizes=(32, 64), label_noise=0.4, **_DIGITS_MLP),
    TaskSpec("digits-cnn", **_DIGITS_CNN),
    TaskSpec("digits-cnn-pixel-noise", pixel_noise=1.0, **_DIGITS_CNN),
    TaskSpec("breast-cancer-mlp", "breast_cancer", "breast-cancer", "mlp", "val_loss", 200, 369, 40, patience=True),
    TaskSpec("wine-mlp", "wine", "wine-cultivars", "mlp", "val_loss", 60, 118, 40, batch_sizes=(8, 16, 32)),
    TaskSpec("iris-mlp", "iris", "iris", "mlp", "val_accuracy", 45, 105, 50, batch_sizes=(8, 16)),
    TaskSpec("diabetes-mlp", "diabetes", "diabetes-efron", "mlp", "val_r2", 200, 242, 40, batch_sizes=(16, 32)),
)


@dataclass(frozen=True)
class Plan:
    """A run that is to be trained: everything but the data.

    Attributes:
        architecture: The network.
        config: Hyperparameters, those of the architecture included.
        group: Number of the configuration within the task; runs that share it differ in the seed alone.
        seed: Of the initial weights, the order of the examples and dropout.
    """

    architecture: Architecture
    config: dict[str, Any]
    group: int
    seed: int


@dataclass(frozen=True)
class TaskRuns:
    """All runs of a task, trained.

    Attributes:
        spec: The task.
        split: The data it was trained on.
        plans: What was trained, one a run.
        trained: What came out, in the same order.
    """

    spec: TaskSpec
    split: Split
    plans: tuple[Plan, ...]
    trained: tuple[Trained, ...]


def select(names: Iterable[str] | None) -> tuple[TaskSpec, ...]:
    """The tasks with these names, all by default.

    Raises:
        DataError: If there is no task of a name.
    """
    wanted = None if names is None else list(names)
    unknown = [] if wanted is None else [n for n in wanted if n not in {spec.task for spec in TASKS}]
    if unknown:
        raise DataError(f"no task {name_some(unknown)}; there are {name_some((s.task for s in TASKS), len(TASKS))}")
    return tuple(spec for spec in TASKS if wanted is None or spec.task in wanted)


def plan_runs(spec: TaskSpec, split: Split, n_runs: int, seed: int) -> tuple[Plan, ...]:
    """Draw architectures and configurations; every eighth run repeats an earlier configuration with another seed."""
    rng = np.random.default_rng([seed, zlib.crc32(spec.task.encode())])
    draw = _draw_mlp if spec.net == "mlp" else _draw_cnn
    pool = [draw(rng, split) for _ in range(min(spec.n_arch, n_runs))]
    plans: list[Plan] = []
    for i in range(n_runs):
        if i % 8 == 7:
            plan = plans[int(rng.integers(len(plans)))]
        else:
            architecture, sizes = pool[int(rng.integers(len(pool)))]
            plan = Plan(architecture, sizes | _draw_training(rng, spec), i - i // 8, 0)
        plans.append(replace(plan, seed=int(rng.integers(2**31))))
    return tuple(plans)


def _draw_mlp(rng: np.random.Generator, split: Split) -> tuple[Architecture, dict[str, Any]]:
    sizes = {
        "depth": int(rng.integers(1, 5)),
        "width": int(rng.choice([8, 16, 32, 64, 128])),
        "activation": str(rng.choice(ACTIVATIONS)),
        "norm": str(rng.choice(["none", "batch", "layer"], p=[0.5, 0.25, 0.25])),
        "dropout": float(rng.choice([0.0, 0.1, 0.3], p=[0.6, 0.2, 0.2])),
    }
    return mlp(split.n_features, max(1, split.n_classes), **sizes), {"net": "mlp", **sizes}  # type: ignore[arg-type]


def _draw_cnn(rng: np.random.Generator, split: Split) -> tuple[Architecture, dict[str, Any]]:
    sizes = {
        "channels": int(rng.choice([4, 8, 16])),
        "blocks": int(rng.integers(1, 4)),
        "kernel": int(rng.choice([3, 5])),
        "activation": str(rng.choice(ACTIVATIONS)),
        "norm": str(rng.choice(["none", "batch", "group"], p=[0.5, 0.25, 0.25])),
        "residual": bool(rng.integers(2)),
    }
    return cnn(split.x_train.shape[-1], split.n_classes, **sizes), {"net": "cnn", **sizes}  # type: ignore[arg-type]


def _draw_training(rng: np.random.Generator, spec: TaskSpec) -> dict[str, Any]:
    """The rest of a configuration; learning rates reach from far too small to divergence."""
    adam = bool(rng.integers(2))
    low, high = (-4.0, -0.5) if adam else (-3.0, 0.5)
    config: dict[str, Any] = {
        "optimiser": "adam" if adam else "sgd",
        "learning_rate": float(f"{10 ** rng.uniform(low, high):.4g}"),
        "schedule": str(rng.choice(["constant", "cosine", "step"])),
        "weight_decay": float(f"{10 ** rng.uniform(-6, -2):.3g}") if rng.random() < 0.5 else 0.0,
        "batch_size": int(rng.choice(spec.batch_sizes)),
        "epochs": spec.epochs,
    }
    if not adam:
        config["momentum"] = float(rng.choice([0.0, 0.9]))
    if not spec.regression:
        config["label_smoothing"] = float(rng.choice([0.0, 0.1], p=[0.7, 0.3]))
    if spec.patience and rng.random() < 0.4:
        config["patience"] = 8
    return config


def train_task(
    spec: TaskSpec, n_runs: int, seed: int, cache: Path | None = None, progress: Callable[[str], None] | None = None
) -> TaskRuns:
    """Train all runs of a task, or take them from `cache`, where the same plan was trained before."""
    split = prepare(spec)
    plans = plan_runs(spec, split, n_runs, seed)
    kept = None if cache is None else cache / f"{spec.task}-{_fingerprint(spec, plans)}.npz"
    if kept is not None and kept.is_file():
        return TaskRuns(spec, split, plans, tuple(_from_cache(kept)))
    trained = []
    for i, plan in enumerate(plans, 1):
        trained.append(train(plan.architecture, plan.config, split, plan.seed))
        if progress is not None:
            progress(f"{spec.task}: run {i} of {n_runs}, {trained[-1].status}")
    if kept is not None:
        _to_cache(kept, trained)
    return TaskRuns(spec, split, plans, tuple(trained))


def _fingerprint(spec: TaskSpec, plans: tuple[Plan, ...]) -> str:
    text = json.dumps([asdict(spec), [[p.architecture.name, p.config, p.seed] for p in plans]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _to_cache(path: Path, trained: list[Trained]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    with fresh.open("wb") as file:
        np.savez_compressed(
            file,
            status=np.array([run.status for run in trained]),
            length=np.array([len(run.t) for run in trained]),
            t=np.concatenate([run.t for run in trained]),
            values=np.concatenate([run.values for run in trained]),
        )
    os.replace(fresh, path)


def _from_cache(path: Path) -> Iterator[Trained]:
    with np.load(path, allow_pickle=False) as found:
        status, t, values = found["status"], found["t"], found["values"]
        stops = np.cumsum(found["length"])
    for word, start, stop in zip(status, [0, *stops[:-1]], stops, strict=True):
        yield Trained(str(word), t[start:stop], values[start:stop])
