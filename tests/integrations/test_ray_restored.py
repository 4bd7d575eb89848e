"""Experiments that broke off and are restored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trainings import EPOCHS, LOSS, MODEL, losses

from metalcx.decide import DecisionLog
from metalcx.integrations._board import Board
from metalcx.integrations._policy import policy_of
from metalcx.integrations._run import Run

pytestmark = pytest.mark.slow
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")

from experiments import WHOLE, ends_of, trainable, tuner_of  # noqa: E402

from metalcx.integrations.ray import MetalcxScheduler  # noqa: E402


def ended(log: Path) -> dict[tuple[int, float], tuple[bool, float, float]]:
    """What was decided at last about each trial, by its number, at each time: to stop, probability and incumbent."""
    found = DecisionLog(log).read()
    return {
        (int(d.run.rpartition("_")[2]), d.t): (d.stop, *np.nan_to_num([d.probability, d.incumbent]).tolist())
        for d in found
    }


def one_by_one(curves: Sequence[Sequence[float]], log: Path) -> dict[tuple[int, float], tuple[bool, float, float]]:
    """What is decided about trainings that nothing interrupts."""
    board, policy = Board(LOSS), policy_of(MODEL, log=log)
    for i, values in enumerate(curves):
        run = Run(board, policy, str(i))
        for t, value in enumerate(values, 1):
            if run.report(t, value).stop:
                break
        run.end()
    return ended(log)


KILLED = """
import sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
import ray
import test_ray_restored as t

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
t.experiment_that_is_killed(sys.argv[1], sys.argv[2] == "folder").fit()
"""

#: Two are stopped, one before and one after the kill; between them is the one that is training then.
INTERRUPTED = [*WHOLE, [1.0] * EPOCHS, losses(0.015), [1.0] * EPOCHS, losses(0.01)]


def experiment_that_is_killed(kind: str, folder: bool) -> tune.Tuner:
    """In the working directory; it waits in the seventh trial."""
    train = trainable(INTERRUPTED, (6, 4, Path("waits").absolute()))
    options = {"runs": "runs" if folder else None, "log": Path("log.jsonl").absolute(), "lower": 0.0}
    return tuner_of(kind, train, len(INTERRUPTED), Path("ray").absolute(), **options)


def stored(folder: Path, after: float) -> bool:
    """Whether Ray has taken a snapshot since, and is not writing one now."""
    written = [path.stat().st_mtime for path in folder.rglob("*")]
    snapshots = [path.stat().st_mtime for path in folder.glob("experiment/experiment_state*")]
    return max(snapshots, default=0.0) > after and time.time() - max(written) > 1.5


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    ("kind", "folder", "how"),
    [("stopper", False, signal.SIGKILL), ("scheduler", True, signal.SIGKILL), ("scheduler", False, signal.SIGINT)],
)
def test_an_experiment_that_broke_off_is_restored_with_its_decisions(
    tmp_path: Path, kind: str, folder: bool, how: signal.Signals
) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", KILLED, kind, "folder" if folder else "memory", *paths]
    waits, give_up = tmp_path / "waits", time.monotonic() + 600
    # Ray takes its snapshots seldom, unless it is told to.
    with subprocess.Popen(command, env=os.environ | {"TUNE_GLOBAL_CHECKPOINT_S": "5"}) as broken:
        while not waits.exists() or not stored(tmp_path / "ray", waits.stat().st_mtime + 1):
            assert broken.poll() is None, "it ended by itself"
            assert time.monotonic() < give_up
            time.sleep(0.2)
        broken.send_signal(how)
    before = ended(tmp_path / "log.jsonl")
    restored = tune.Tuner.restore(str(tmp_path / "ray" / "experiment"), trainable=trainable(INTERRUPTED))
    ends = ends_of(restored.fit())
    whole = one_by_one(INTERRUPTED, tmp_path / "whole.jsonl")
    assert max(before) == (6, 4.0)
    assert before == {key: whole[key] for key in before}
    after = ended(tmp_path / "log.jsonl")
    # Ray's own log may lack points of a trial, which then weighs otherwise in the forecasts of others.
    exact = kind == "stopper" or folder
    assert after == whole if exact else {k: v[0] for k, v in after.items()} == {k: v[0] for k, v in whole.items()}
    assert ends == [max(int(t) for i, t in whole if i == trial) for trial in range(len(INTERRUPTED))]
    assert ends[5] == ends[7] < EPOCHS
    if folder:
        records = Board(LOSS, tmp_path / "runs")._records
        statuses = [records[run].status for run in sorted(records)]
        assert statuses == [*["completed"] * 5, "censored", "completed", "censored", "completed"]
        assert all(len(r.points) == EPOCHS for r in records.values() if r.status == "completed")


def test_the_last_result_of_a_trial_is_known_where_rays_log_is_gone(tmp_path: Path) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    scheduler = MetalcxScheduler("val_loss", "min", lower=0.0, model=MODEL)
    storage = SimpleNamespace(storage_filesystem=fs.LocalFileSystem(), trial_fs_path=str(tmp_path))
    known = {"storage": storage, "has_reported_at_least_once": True, "config": {}, "should_stop": lambda result: False}
    for i, values in enumerate(WHOLE):
        last = {"training_iteration": EPOCHS, "val_loss": values[-1], "done": False}
        scheduler.on_trial_add(None, SimpleNamespace(trial_id=f"t{i}", status="TERMINATED", last_result=last, **known))
    last = {"training_iteration": 3, "val_loss": 1.0, "done": True}
    scheduler.on_trial_add(None, SimpleNamespace(trial_id="t5", status="TERMINATED", last_result=last, **known))
    assert scheduler.debug_string() == "metalcx: 1 of 6 trials were stopped"
    new = SimpleNamespace(trial_id="t6", config={})
    assert scheduler.on_trial_result(None, new, {"training_iteration": 1, "val_loss": 1.0}) == "STOP"
