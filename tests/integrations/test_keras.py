from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from trainings import EPOCHS, LOSS, MODEL, earlier, losses

from metalcx.curves import Metric
from metalcx.decide import DecisionLog
from metalcx.integrations._board import Board

pytestmark = pytest.mark.slow
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")

from metalcx.integrations.keras import MetalcxStopping  # noqa: E402

X = np.linspace(-1, 1, 16)[:, None]


class Logged(keras.callbacks.Callback):
    """Puts values of one's own into the logs, ahead of what reads them."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        logs["val_loss"] = self.values[epoch]


def fit(values: list[float], stopping: MetalcxStopping, more=(), **options) -> int:
    """The last epoch of a training."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    options = {"epochs": EPOCHS, "verbose": 0, **options}
    return model.fit(X, 3 * X, callbacks=[Logged(values), stopping, *more], **options).epoch[-1] + 1


def stopping_of(runs=None, **options) -> MetalcxStopping:
    return MetalcxStopping("val_loss", "min", **{"lower": 0.0, "runs": runs, "model": MODEL, **options})


def test_a_hopeless_training_ends_and_a_promising_one_does_not(capsys) -> None:
    hopeless = stopping_of(earlier(), verbose=1)
    last = fit([1.0] * EPOCHS, hopeless)
    assert last < EPOCHS
    assert f"Epoch {last}: stopped: P(val_loss at {EPOCHS} <" in capsys.readouterr().out
    assert hopeless.decision.stop
    assert fit(losses(0.01), stopping_of(earlier())) == EPOCHS


def test_a_folder_of_runs_and_one_callback_for_several_trainings(tmp_path: Path) -> None:
    for final in (0.02, 0.03, 0.04, 0.05, 0.06):
        fit(losses(final), stopping_of(tmp_path, startup=6, config={"final": final}))
    stopping = stopping_of(tmp_path)
    assert fit([1.0] * EPOCHS, stopping) < EPOCHS
    assert fit([1.0] * EPOCHS, stopping) < EPOCHS
    records = Board(LOSS, tmp_path)._records.values()
    assert sorted(r.status for r in records) == ["censored"] * 2 + ["completed"] * 5
    assert sorted(r.config["final"] for r in records if r.config) == [0.02, 0.03, 0.04, 0.05, 0.06]


def test_not_finite_ends_a_training_or_counts_as_not_measured() -> None:
    broken = [losses(0.01)[0], float("nan"), *losses(0.01)[2:]]
    assert fit(broken, stopping_of(earlier())) == 2
    assert fit(broken, stopping_of(earlier(), check_finite=False)) == EPOCHS


def test_an_infinite_value_and_a_metric_that_grows() -> None:
    assert fit([losses(0.01)[0], float("inf"), *losses(0.01)[2:]], stopping_of(earlier())) == 2
    metric = Metric("val_loss", "max", None, 1.0)
    grows = {"mode": "max", "upper": 1.0, "runs": earlier(metric), "model": MODEL}
    assert fit([0.0] * EPOCHS, MetalcxStopping("val_loss", **grows)) < EPOCHS
    assert fit([1 - y for y in losses(0.01)], MetalcxStopping("val_loss", **grows)) == EPOCHS


def test_a_metric_that_is_missing_decides_nothing() -> None:
    stopping = MetalcxStopping("val_auc", "max", runs=None, model=MODEL)
    with pytest.warns(UserWarning, match=r"'val_auc' is not among the logs \(loss, val_loss\)"):
        assert fit([1.0] * EPOCHS, stopping) == EPOCHS
    assert stopping.decision is None


def test_a_training_that_is_taken_up_goes_on_where_it_was(tmp_path: Path) -> None:
    fit(losses(0.01), stopping_of(tmp_path, run="mine"), epochs=4)
    fit(losses(0.01), stopping_of(tmp_path, run="mine"), initial_epoch=4)
    (record,) = Board(LOSS, tmp_path)._records.values()
    assert list(record.points.values()) == pytest.approx(losses(0.01))
    assert record.status == "completed"


def test_keras_own_backup_takes_a_training_up_with_its_decisions(tmp_path: Path) -> None:
    class Dies(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs=None) -> None:
            if epoch == 4:
                raise KeyboardInterrupt

    logs, values = [tmp_path / "broken.jsonl", tmp_path / "whole.jsonl"], losses(0.01)
    for final in (0.02, 0.03, 0.04, 0.05, 0.06):
        fit(losses(final), stopping_of(tmp_path / "runs", startup=6))
    shutil.copytree(tmp_path / "runs", tmp_path / "others")
    backup = [keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        fit(values, stopping_of(tmp_path / "runs", run="mine", log=logs[0]), more=[backup[0], Dies()])
    assert len(DecisionLog(logs[0]).read()) == 4
    fit(values, stopping_of(tmp_path / "runs", run="mine", log=logs[0]), more=[backup[1]])
    fit(values, stopping_of(tmp_path / "others", run="mine", log=logs[1]))
    broken, whole = ([d.to_dict() for d in DecisionLog(log).read()] for log in logs)
    assert broken == whole


def test_no_training_is_stopped_before_its_first_epochs() -> None:
    assert fit([1.0] * EPOCHS, stopping_of(earlier(), start_from_epoch=6)) == 6


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="'auto'"):
        MetalcxStopping("val_loss", "auto")
    with pytest.raises(ValueError, match="patience"):
        stopping_of(patience=0)
