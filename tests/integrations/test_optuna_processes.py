"""Studies of several processes, and of one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import EPOCHS, MODEL, losses

from metalcx.decide import DecisionLog

pytestmark = pytest.mark.slow
optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from test_optuna import WHOLE, objective, states, study_of  # noqa: E402

from metalcx.integrations.optuna import MetalcxPruner  # noqa: E402

#: Before and after the seventh trial, in which a study is killed or which fails, one is hopeless.
KILLED = [*WHOLE, [1.0] * EPOCHS, [], [1.0] * EPOCHS, losses(0.01)]


def test_processes_share_a_study(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = study_of(MetalcxPruner(model=MODEL), storage=storage, study_name="s")
    study.optimize(objective(WHOLE), n_trials=5)
    code = """
import sys
sys.path[:0] = sys.argv[2:]
import optuna
from trainings import MODEL, losses
from metalcx.integrations.optuna import MetalcxPruner

def train(trial):
    for epoch in range(1, 11):
        trial.report(1.0, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return 1.0

study = optuna.load_study(study_name="s", storage=sys.argv[1], pruner=MetalcxPruner(model=MODEL))
study.optimize(train, n_trials=3)
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    at_once = [subprocess.Popen([sys.executable, "-c", code, storage, *paths]) for _ in range(2)]
    assert [process.wait() for process in at_once] == [0, 0]
    assert states(study) == ["COMPLETE"] * 5 + ["PRUNED"] * 6


def test_a_study_that_was_killed_resumes_with_its_decisions(tmp_path: Path) -> None:
    code = """
import os, signal, sys
sys.path[:0] = sys.argv[1:]
import optuna
import test_optuna as t
from test_optuna_processes import KILLED

def dies(trial):
    if trial.number == 6:
        trial.report(0.5, 1)
        trial.should_prune()
        os.kill(os.getpid(), signal.SIGKILL)
    return t.objective(KILLED)(trial)

study = t.study_of(t.MetalcxPruner(model=t.MODEL, log="log.jsonl"), storage="sqlite:///study.db", study_name="s")
study.optimize(dies, n_trials=9)
"""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    killed = subprocess.run([sys.executable, "-c", code, *paths], check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    pruners = [MetalcxPruner(model=MODEL, log=tmp_path / f"{name}.jsonl") for name in ("log", "whole")]
    again = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/study.db", pruner=pruners[0])
    again.optimize(objective(KILLED), n_trials=2)
    whole = study_of(pruners[1])
    whole.optimize(objective(KILLED), n_trials=9, catch=NameError)
    assert states(again) == [*["COMPLETE"] * 5, "PRUNED", "RUNNING", "PRUNED", "COMPLETE"]
    logs = [DecisionLog(tmp_path / f"{name}.jsonl").read() for name in ("log", "whole")]
    broken, unbroken = ({(d.run, d.t): d.to_dict() for d in log if d.run != "6"} for log in logs)
    assert broken == unbroken
