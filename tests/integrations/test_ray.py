from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from trainings import EPOCHS, LOSS, MODEL, earlier, losses

from metalcx.curves import Metric
from metalcx.integrations._board import Board

pytestmark = pytest.mark.slow
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
pytest.importorskip("ray.tune", reason="ray[tune] is not installed")

from experiments import WHOLE, ends_of, trainable, tuner_of  # noqa: E402

from metalcx.integrations.ray import MetalcxScheduler, MetalcxStopper  # noqa: E402


def stopper_of(runs=None, **options) -> MetalcxStopper:
    return MetalcxStopper("val_loss", "min", **{"lower": 0.0, "runs": runs, "model": MODEL, **options})


def told(judge: MetalcxStopper, curves: dict[str, list[float]], **more) -> dict[str, int]:
    """Trials one after another, as Tune tells of them; where each ended."""
    ends = {}
    for trial, values in curves.items():
        for t, value in enumerate(values, 1):
            ends[trial] = t
            if judge(trial, {"training_iteration": t, "val_loss": value, "config": {"lr": {"a": 1}}, **more}):
                break
    return ends


def named(*curves: list[float]) -> dict[str, list[float]]:
    return {f"t{i}": values for i, values in enumerate(curves)}


def test_trials_that_reach_the_horizon_are_what_is_to_be_beaten(tmp_path: Path) -> None:
    ends = told(stopper_of(tmp_path, horizon=EPOCHS), named(*WHOLE, [1.0] * EPOCHS, losses(0.01)))
    assert list(ends.values())[:5] == [EPOCHS] * 5
    assert ends["t5"] < EPOCHS
    assert ends["t6"] == EPOCHS
    records = Board(LOSS, tmp_path)._records
    assert [records[f"t{i}"].status for i in range(7)] == ["completed"] * 5 + ["censored", "completed"]
    assert records["t0"].config == {"lr.a": 1}


def test_a_result_without_the_metric_or_not_finite() -> None:
    stopper = stopper_of(earlier())
    assert not stopper("a", {"training_iteration": 1, "other": 1.0})
    assert not stopper("a", {"val_loss": 1.0})
    assert not stopper("b", {"training_iteration": 1, "val_loss": losses(0.01)[0]})
    assert stopper("b", {"training_iteration": 2, "val_loss": float("nan")})
    nested = MetalcxStopper("eval/loss", "min", model=MODEL)
    assert nested("c", {"training_iteration": 1, "eval": {"loss": float("nan")}})
    lenient = stopper_of(earlier(), check_finite=False)
    assert not lenient("b", {"training_iteration": 1, "val_loss": float("nan")})
    assert not lenient.stop_all()


def test_the_time_may_be_another_and_a_grace_period_is_kept() -> None:
    stopper = stopper_of(earlier(), time_attr="epoch", grace_period=3)
    stops = [stopper("a", {"training_iteration": 99, "epoch": t, "val_loss": 1.0}) for t in (1, 2, 3)]
    assert stops == [False, False, True]


def test_a_folder_keeps_trials_for_an_experiment_that_is_restored(tmp_path: Path) -> None:
    stored = pickle.dumps(stopper_of(tmp_path, horizon=EPOCHS))
    told(pickle.loads(stored), named(*WHOLE))
    assert told(pickle.loads(stored), {"new": [1.0] * EPOCHS})["new"] < EPOCHS


def test_a_trial_that_ends_by_itself_says_so() -> None:
    stopper = stopper_of()
    for trial, values in named(*WHOLE).items():
        told(stopper, {trial: values[:-1]})
        stopper(trial, {"training_iteration": EPOCHS, "val_loss": values[-1], "done": True})
    assert told(stopper, {"new": [1.0] * EPOCHS})["new"] < EPOCHS


def test_the_scheduler_knows_every_end() -> None:
    scheduler = MetalcxScheduler("val_loss", "min", lower=0.0, model=MODEL)
    answers = []
    for trial_id, values in named(*WHOLE, [1.0] * EPOCHS).items():
        trial = SimpleNamespace(trial_id=trial_id, config={"lr": 1})
        for t, value in enumerate(values, 1):
            answers.append(scheduler.on_trial_result(None, trial, {"training_iteration": t, "val_loss": value}))
            if answers[-1] == "STOP":
                break
        scheduler.on_trial_complete(None, trial, {})
    assert answers.count("STOP") == 1
    assert scheduler.debug_string() == "metalcx: 1 of 6 trials were stopped"


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(("kind", "mode"), [("stopper", "min"), ("scheduler", "max")])
def test_an_experiment(tmp_path: Path, kind: str, mode: str) -> None:
    good = losses(0.01)
    curves = [*WHOLE, [1.0] * EPOCHS, good, [None] * EPOCHS, [good[0], None, *good[2:]]]
    curves += [[good[0], broken, *good[2:]] for broken in (float("nan"), float("inf"))]
    if mode == "max":
        curves = [[None if y is None else 1 - y for y in values] for values in curves]
    bounds = {"lower": 0.0} if mode == "min" else {"upper": 1.0}
    tuner = tuner_of(kind, trainable(curves), len(curves), tmp_path / "ray", mode, runs=tmp_path / "runs", **bounds)
    ends = ends_of(tuner.fit())
    assert ends[:5] == [EPOCHS] * 5
    assert ends[5] < EPOCHS
    assert ends[6:] == [EPOCHS, EPOCHS, EPOCHS, 2, 2], "promising, missing, missing once, NaN, infinite"
    records = Board(Metric("val_loss", mode, **bounds), tmp_path / "runs")._records.values()
    statuses = sorted(record.status for record in records)
    assert statuses == ["censored", *["completed"] * 7, *["diverged"] * 2]


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="'auto'"):
        MetalcxStopper("val_loss", "auto")
    with pytest.raises(ValueError, match="startup"):
        stopper_of(startup=0)
