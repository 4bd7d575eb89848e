from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import EPOCHS, LOSS, MODEL, earlier, losses

from metalcx.curves import Metric
from metalcx.decide import Decision
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.integrations._board import Board
from metalcx.integrations.loop import watch


def train(values: list[float], runs: object, **options: object) -> list[Decision]:
    """The decisions of a training that ends when it is told to."""
    decisions = []
    with watch(LOSS, runs, model=MODEL, **{"horizon": EPOCHS, **options}) as run:
        for epoch, value in enumerate(values, 1):
            decisions.append(run.report(epoch, value))
            if decisions[-1].stop:
                break
    return decisions


def test_a_hopeless_training_is_stopped_and_a_promising_one_is_not() -> None:
    assert train([1.0] * EPOCHS, earlier())[-1].stop
    assert [d.stop for d in train(losses(0.01), earlier())] == [False] * EPOCHS


def test_runs_of_a_folder_are_those_that_are_compared_with(tmp_path: Path) -> None:
    for final in (0.02, 0.03, 0.04, 0.05, 0.06):
        assert not any(d.stop for d in train(losses(final), tmp_path))
    assert train([1.0] * EPOCHS, tmp_path, config={"lr": 0})[-1].stop
    board = Board(LOSS, tmp_path)
    board.start("mine")
    assert sorted(board.curves("mine").status) == ["censored", *["completed"] * 5, "running"]


def test_the_metric_may_be_text_and_the_last_decision_is_at_hand() -> None:
    with watch("val_loss:min:0", earlier(), model=MODEL) as run:
        assert run.decision is None
        assert run.report(1, 0.5) is run.decision


@pytest.mark.parametrize(
    ("values", "options", "status"),
    [
        (losses(0.01), {}, "completed"),
        (losses(0.01)[:6], {}, "censored"),
        (losses(0.01)[:6], {"horizon": None}, "completed"),
        ([1.0, 1.0, 1.0, 1.0], {}, "censored"),
        ([0.4, float("nan")], {}, "diverged"),
        ([0.4, float("nan")], {"check_finite": False, "horizon": None}, "completed"),
        ([], {}, "running"),
    ],
)
def test_how_a_training_ended_is_kept(tmp_path: Path, values, options, status: str) -> None:
    for final in (0.02, 0.03, 0.04, 0.05, 0.06):
        train(losses(final), tmp_path)
    train(values, tmp_path, run="mine", **options)
    assert Board(LOSS, tmp_path)._records["mine"].status == status


def test_a_training_that_broke_off_goes_on_with_the_same_decisions(tmp_path: Path) -> None:
    values = losses(0.01)
    whole = train(values, earlier(), run="mine")
    folder = tmp_path / "runs"
    for i, final in enumerate((0.02, 0.03, 0.04, 0.05, 0.06)):
        train(losses(final), folder, run=f"earlier {i}")
    first: list[Decision] = []
    with pytest.raises(KeyboardInterrupt):
        broken_off(folder, values[:6], first)
    with watch(LOSS, folder, run="mine", model=MODEL, horizon=EPOCHS) as run:
        # From a checkpoint after the fourth epoch.
        again = [run.report(epoch, values[epoch - 1]) for epoch in range(5, EPOCHS + 1)]
    assert [d.to_dict() for d in first] == [d.to_dict() for d in whole[:6]]
    assert [d.to_dict() for d in again] == [d.to_dict() for d in whole[4:]]


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_with_the_same_decisions(tmp_path: Path) -> None:
    values = losses(0.01)
    whole = train(values, earlier(), run="mine")
    code = """
import os, signal, sys
sys.path[:0] = sys.argv[1:]
from trainings import EPOCHS, MODEL, losses
from metalcx.integrations.loop import watch
for i, final in enumerate((0.02, 0.03, 0.04, 0.05, 0.06, 0.01)):
    with watch("val_loss:min:0", "runs", run=f"earlier {i}" if i < 5 else "mine", model=MODEL, horizon=EPOCHS) as run:
        for epoch, value in enumerate(losses(final), 1):
            run.report(epoch, value)
            if i == 5 and epoch == 6:
                os.kill(os.getpid(), signal.SIGKILL)
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    killed = subprocess.run([sys.executable, "-c", code, *paths], check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    with watch(LOSS, tmp_path / "runs", run="mine", model=MODEL, horizon=EPOCHS) as run:
        again = [run.report(epoch, values[epoch - 1]) for epoch in range(7, EPOCHS + 1)]
    assert [d.to_dict() for d in again] == [d.to_dict() for d in whole[6:]]


def test_epochs_without_the_metric_and_a_metric_that_grows() -> None:
    metric = Metric("accuracy", "max", None, 1.0)
    ends = {}
    for name, values in (("hopeless", [0.0] * EPOCHS), ("promising", [1 - y for y in losses(0.01)])):
        with watch(metric, earlier(metric), model=MODEL, horizon=EPOCHS) as run:
            for epoch in range(2, EPOCHS + 1, 2):
                ends[name] = epoch
                if run.report(epoch, values[epoch - 1]).stop:
                    break
    assert ends["hopeless"] < ends["promising"] == EPOCHS


def test_the_forecaster_is_told_of_architectures() -> None:
    class Seeing(Baseline):
        seen = None

        def forecast(self, queries, at):
            Seeing.seen = queries
            return super().forecast(queries, at)

    with watch(
        LOSS,
        earlier(),
        config={"depth": 3},
        arch=lambda config: f"{config['depth']} layers",
        model=Seeing("last"),
        horizon=EPOCHS,
    ) as run:
        run.report(1, 0.5)
    assert Seeing.seen.arch.tolist() == ["3 layers"]


def broken_off(folder: Path, values: list[float], decisions: list[Decision]) -> None:
    """A training that is interrupted after these values."""
    with watch(LOSS, folder, run="mine", model=MODEL, horizon=EPOCHS) as run:
        decisions.extend(run.report(epoch, value) for epoch, value in enumerate(values, 1))
        raise KeyboardInterrupt


def test_a_dry_run_stops_nothing() -> None:
    decisions = train([1.0] * EPOCHS, earlier(), dry_run=True)
    assert len(decisions) == EPOCHS
    assert decisions[-2].reason.startswith("would be stopped")


@pytest.mark.slow
def test_processes_share_a_folder(tmp_path: Path) -> None:
    code = """
import sys
sys.path[:0] = sys.argv[2:]
from trainings import MODEL, losses
from metalcx.integrations.loop import watch
for i in range(4):
    with watch("val_loss:min:0", sys.argv[1], model=MODEL, horizon=10) as run:
        for epoch, value in enumerate(losses(0.01 * (i + 1)), 1):
            run.report(epoch, value)
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", code, str(tmp_path / "runs"), *paths]
    at_once = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in at_once:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    board = Board(LOSS, tmp_path / "runs")
    board.start("mine")
    curves = board.curves("mine")
    assert len(curves) == 9
    assert curves.length.tolist() == [10] * 8 + [0]


def test_what_is_wrong_is_said_before_the_training() -> None:
    with pytest.raises(DataError, match="has no goal"), watch("val_loss"):
        pass
    with pytest.raises(ValueError, match="patience"), watch(LOSS, patience=0):
        pass
    with pytest.raises(DataError, match="declare the same metric"), watch("loss:min", earlier()):
        pass
