from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import EPOCHS, LOSS, MODEL, earlier, losses

from metalcx.curves import Metric
from metalcx.integrations._board import Board

pytestmark = pytest.mark.slow
pl = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

import torch  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from metalcx.integrations.lightning import MetalcxStopping  # noqa: E402

QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
DATA = DataLoader(TensorDataset(torch.linspace(-1, 1, 8)[:, None]), batch_size=2)


def line_of(root):
    """A line that is trained in earnest and logs the losses that it is given, validation by validation."""

    class Line(root.LightningModule):
        def __init__(self, values: list[float], name: str = "val_loss") -> None:
            super().__init__()
            self.save_hyperparameters(ignore=["values"])
            self.layer = torch.nn.Linear(1, 1)
            self.values, self.logged = values, name

        def training_step(self, batch, index):
            return (self.layer(batch[0]) - 3 * batch[0]).square().mean()

        def validation_step(self, batch, index):
            done = 0 if self.trainer.sanity_checking else self.trainer.global_step
            self.log(self.logged, torch.tensor(self.values[max(done // 4 - 1, 0)]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    return Line


def fit(values: list[float], stopping, root=pl, name: str = "val_loss", path: str | None = None, **options):
    options = {"max_epochs": EPOCHS, "enable_checkpointing": False, **QUIET, **options}
    trainer = root.Trainer(callbacks=[stopping], **options)
    trainer.fit(line_of(root)(values, name), DATA, DATA, ckpt_path=path)
    return trainer


def stopping_of(runs=None, mode: str = "min", **options) -> MetalcxStopping:
    return MetalcxStopping("val_loss", mode, **{"lower": 0.0, "runs": runs, "model": MODEL, **options})


def test_a_hopeless_training_ends_and_a_promising_one_does_not() -> None:
    hopeless = stopping_of(earlier())
    trainer = fit([1.0] * EPOCHS, hopeless)
    assert trainer.current_epoch < EPOCHS
    assert hopeless.stopping_reason_message.startswith(f"stopped: P(val_loss at {EPOCHS} <")
    promising = stopping_of(earlier())
    assert fit(losses(0.01), promising).current_epoch == EPOCHS
    assert promising.stopping_reason_message is None
    assert promising.decision.t == EPOCHS


@pytest.mark.parametrize("root", ["lightning.pytorch", "pytorch_lightning"])
def test_a_folder_of_runs_under_either_root(tmp_path: Path, root: str) -> None:
    host = pytest.importorskip(root)
    folder = tmp_path / "runs"
    for final in (0.02, 0.03, 0.04, 0.05, 0.06):
        fit(losses(final), stopping_of(folder, startup=6), host)
    assert fit([1.0] * EPOCHS, stopping_of(folder), host).current_epoch < EPOCHS
    records = Board(LOSS, folder)._records.values()
    assert sorted(r.status for r in records) == ["censored", *["completed"] * 5]
    assert all(r.config == {"name": "val_loss"} for r in records)
    assert [*next(iter(records)).points] == [float(epoch) for epoch in range(1, EPOCHS + 1)]


def test_not_finite_ends_a_training_or_counts_as_not_measured() -> None:
    broken = [losses(0.01)[0], float("nan"), *losses(0.01)[2:]]
    diverged = stopping_of(earlier())
    assert fit(broken, diverged).current_epoch == 2
    assert "not finite" in diverged.stopping_reason_message
    assert fit(broken, stopping_of(earlier(), check_finite=False)).current_epoch == EPOCHS


def test_an_infinite_value_and_a_metric_that_grows() -> None:
    broken = [losses(0.01)[0], float("inf"), *losses(0.01)[2:]]
    assert fit(broken, stopping_of(earlier())).current_epoch == 2
    runs = earlier(Metric("val_loss", "max", None, 1.0))
    hopeless, promising = (stopping_of(runs, "max", lower=None, upper=1.0, arch=str) for _ in range(2))
    assert fit([0.0] * EPOCHS, hopeless).current_epoch < EPOCHS
    assert fit([1 - y for y in losses(0.01)], promising).current_epoch == EPOCHS
    assert promising._run._record.arch == "{'name': 'val_loss'}"


def test_a_metric_that_is_not_logged() -> None:
    with pytest.raises(RuntimeError, match="'val_loss' was not logged, 'other' was"):
        fit(losses(0.1), stopping_of(earlier()), name="other")
    assert fit([1.0] * EPOCHS, stopping_of(earlier(), strict=False), name="other").current_epoch == EPOCHS


@pytest.mark.parametrize("folder", [True, False])
def test_a_checkpoint_takes_the_run_up(tmp_path: Path, folder: bool) -> None:
    runs = tmp_path / "runs" if folder else earlier()
    first = stopping_of(runs)
    trainer = fit(losses(0.01), first, max_epochs=4, enable_checkpointing=True, default_root_dir=tmp_path)
    trainer.save_checkpoint(tmp_path / "four.ckpt")
    second = stopping_of(runs)
    fit(losses(0.01), second, path=str(tmp_path / "four.ckpt"))
    state = second.state_dict()
    assert state["run"] == first.state_dict()["run"]
    assert [t for t, _ in state["points"]] == [float(epoch) for epoch in range(1, EPOCHS + 1)]
    if folder:
        (record,) = Board(LOSS, runs)._records.values()
        assert (record.status, len(record.points)) == ("completed", EPOCHS)


def test_validation_within_an_epoch_and_every_other_epoch() -> None:
    often = stopping_of(earlier(), threshold=0.0)
    fit(losses(0.01), often, val_check_interval=0.5, max_epochs=2)
    assert [t for t, _ in often.state_dict()["points"]] == [0.5, 1.0, 1.5, 2.0]
    seldom = stopping_of(earlier())
    fit(losses(0.01), seldom, check_val_every_n_epoch=2)
    assert [t for t, _ in seldom.state_dict()["points"]] == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_trial_run_decides_nothing() -> None:
    stopping = stopping_of(earlier())
    fit([1.0] * EPOCHS, stopping, fast_dev_run=3)
    assert stopping.decision is None


def test_processes_of_one_training_end_together(tmp_path: Path) -> None:
    code = """
import sys
sys.path[:0] = sys.argv[1:]
import torch
import test_lightning as t

# Only the first process knows that it is hopeless; without it the second would go on for ever.
trainer = t.fit([1.0] * t.EPOCHS, t.stopping_of(t.earlier()), strategy="ddp", devices=2, num_nodes=1)
print(f"rank {trainer.global_rank} ended at {trainer.current_epoch}", flush=True)
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script = tmp_path / "train.py"
    script.write_text(code)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, str(script), *paths], capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    ends = dict(re.findall(r"rank (\d) ended at (\d+)", done.stdout))
    assert ends.keys() == {"0", "1"}, done.stdout
    assert ends["0"] == ends["1"]
    assert int(ends["0"]) < EPOCHS


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="'auto'"):
        stopping_of(mode="auto")
    with pytest.raises(ValueError, match="threshold"):
        stopping_of(threshold=3.0)
    assert stopping_of().state_key != stopping_of(mode="max").state_key
