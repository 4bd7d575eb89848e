"""Experiments of Ray Tune that its tests share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ray import tune
from trainings import MODEL, losses

from metalcx.integrations.ray import MetalcxScheduler, MetalcxStopper

WHOLE = [losses(final) for final in (0.02, 0.03, 0.04, 0.05, 0.06)]


def trainable(curves: Sequence[Sequence[float]], waits: tuple[int, int, Path] | None = None) -> Callable:
    """Reports these values, those that are None without the metric, with a checkpoint each.

    Args:
        curves: Of each trial.
        waits: Trial and epoch after which it waits to be killed, and the file that says so.
    """

    def train(config: dict) -> None:
        begun = tune.get_checkpoint()
        done = 0 if begun is None else int(Path(begun.path, "epoch").read_text())
        for epoch, value in enumerate(curves[config["i"]][done:], done + 1):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "epoch").write_text(str(epoch))
                metrics = {"other": 1.0} | ({} if value is None else {"val_loss": value})
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
            if waits is not None and (config["i"], epoch) == waits[:2] and not waits[2].exists():
                waits[2].touch()
                time.sleep(300)

    return train


def tuner_of(kind: str, train: object, trials: int, folder: Path, mode: str = "min", **options) -> tune.Tuner:
    """An experiment that a stopper or a scheduler watches, one trial after another in one process."""
    judge = {"stopper": MetalcxStopper, "scheduler": MetalcxScheduler}[kind]("val_loss", mode, model=MODEL, **options)
    scheduler = judge if kind == "scheduler" else None
    return tune.Tuner(
        train,
        param_space={"i": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=1, reuse_actors=True, scheduler=scheduler),
        run_config=tune.RunConfig(
            name="experiment", storage_path=str(folder), verbose=0, stop=judge if kind == "stopper" else None
        ),
    )


def ends_of(results: tune.ResultGrid) -> list[int]:
    """The last epoch of each trial."""
    assert not results.errors
    return [result.metrics["training_iteration"] for result in sorted(results, key=lambda r: r.config["i"])]
