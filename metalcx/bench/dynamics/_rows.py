"""The rows of the table: what each is, and how it forecasts the test runs of a fold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from metalcx.bench.dynamics._fold import Fold
from metalcx.bench.dynamics._graph import given, learned
from metalcx.bench.dynamics._latent import LATENT, LatentDynamics
from metalcx.bench.dynamics._model import Effort, Model, train
from metalcx.bench.dynamics._pfn import kept_pfn, pfn_forecast
from metalcx.bench.dynamics._recurrent import VRNN, RecurrentLSTM
from metalcx.curves._batch import FloatArray
from metalcx.forecasters import SRM, Baseline, PowerLaw
from metalcx.protocol import Forecaster


def _latent(read: Callable[..., torch.nn.Module] | None, stochastic: bool, fold: Fold) -> Model:
    return LatentDynamics(fold, None if read is None else read(fold, LATENT), stochastic)


#: What is trained on the training architectures' whole curves, by name.
TRAINED: dict[str, Callable[[Fold], Model]] = {
    "lc-gode": partial(_latent, learned, False),
    "lc-gode-sde": partial(_latent, learned, True),
    "lc-gode-encoder": partial(_latent, given, False),
    "node": partial(_latent, None, False),
    "nsde": partial(_latent, None, True),
    "lstm": RecurrentLSTM,
    "vrnn": VRNN,
}

#: What reads the training runs as a support, by name.
SUPPORTED: dict[str, Callable[[], Forecaster]] = {
    "last": partial(Baseline, "last"),
    "affine": partial(Baseline, "affine"),
    "power-law": PowerLaw,
    "srm": SRM,
}

#: What learned from a prior alone, and what learned on other datasets and reads a few runs of this one.
PFN_ROW, BASE_ROW = "lc-pfn", "metalcx-base-k20"
BASE = "metalcx-base"

ROWS = (*TRAINED, PFN_ROW, *SUPPORTED, BASE_ROW)

#: Rows that read an architecture, or the hyperparameters beside it; all others read the curve alone.
READERS = ("lc-gode", "lc-gode-sde", "lc-gode-encoder", "srm", BASE_ROW)

#: Training runs that a support has at most, and in the few-shot row.
SUPPORT, FEW = 100, 20


@dataclass(frozen=True)
class Told:
    """A row's forecasts of the test runs of a fold.

    Attributes:
        values: Shape (n, T - c), in the metric's unit.
        train: Seconds of processor time before the first forecast.
        test: Seconds for all of them.
        step: Training step whose weights were kept; 0 where nothing is trained.
    """

    values: FloatArray
    train: float
    test: float
    step: int = 0


def forecast_row(name: str, fold: Fold, seed: int, effort: Effort, work: Path) -> Told:
    """Train what is to be trained and forecast the test runs.

    Args:
        name: One of `ROWS`.
        fold: The split.
        seed: Of weights and draws.
        effort: How much training.
        work: Folder in which the LC-PFN is kept, which is the same for all folds.
    """
    if name in TRAINED:
        trained = train(TRAINED[name], fold, effort, seed)
        started = time.process_time()
        with torch.no_grad():
            told = fold.values(trained.model.forecast(fold.batch(fold.test)))
        return Told(told, trained.seconds, time.process_time() - started, trained.step)
    if name == PFN_ROW:
        model, seconds = kept_pfn(work, effort.curves)
        started = time.process_time()
        return Told(pfn_forecast(model, fold, fold.test), seconds, time.process_time() - started)
    few = name == BASE_ROW
    return _supported(_base() if few else SUPPORTED[name](), fold, FEW if few else SUPPORT, seed)


def _supported(base: Forecaster, fold: Fold, k: int, seed: int) -> Told:
    """By a forecaster of the protocol, the first `k` training runs its support."""
    started = time.process_time()
    model = base.adapt(fold.curves(fold.train[:k]), seed=seed)
    ready = time.process_time()
    queries = fold.curves(fold.test).truncate(fold.task.t[fold.seen - 1])
    values = np.asarray(model.forecast(queries, fold.task.t[fold.seen :]).mean, dtype=np.float64)
    return Told(values.reshape(len(fold.test), -1), ready - started, time.process_time() - ready)


def _base() -> Forecaster:
    from metalcx import hub

    return hub.load(BASE)


def learned_from(corpus: str) -> bool:
    """Whether what ships as `BASE` learned from a corpus, by its card's list of source tasks."""
    return any(str(task).startswith(f"{corpus}/") for task in _known("source_tasks"))


def knows_family(family: str) -> bool:
    """Whether it learned from other networks on a family of datasets."""
    return family in _known("source_families")


def _known(what: str) -> list[str]:
    from metalcx import hub

    return list(hub.describe(BASE)["metrics"].get(what, []))
