from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from trainings import EPOCHS, LOSS, MODEL, earlier, losses

from metalcx.integrations._board import Board

pytestmark = pytest.mark.slow
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
ray = pytest.importorskip("ray", reason="ray is not installed")
tune = pytest.importorskip("ray.tune", reason="ray[tune] is not installed")

from metalcx.integrations.ray import MetalcxScheduler, MetalcxStopper  # noqa: E402

WHOLE = [losses(final) for final in (0.02, 0.03, 0.04, 0.05, 0.06)]


@pytest.fixture(scope="module")
def local() -> Iterator[None]:
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


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
@pytest.mark.parametrize("kind", ["stopper", "scheduler"])
def test_an_experiment(tmp_path: Path, kind: str) -> None:
    curves = [*WHOLE, [1.0] * EPOCHS]

    def train(config: dict) -> None:
        for value in config["curves"][config["i"]]:
            tune.report({"val_loss": value})

    options = {"lower": 0.0, "model": MODEL, "runs": tmp_path / "runs"}
    judge = (MetalcxStopper if kind == "stopper" else MetalcxScheduler)("val_loss", "min", **options)
    results = tune.Tuner(
        train,
        param_space={"i": tune.grid_search(list(range(6))), "curves": curves},
        tune_config=tune.TuneConfig(max_concurrent_trials=1, scheduler=judge if kind == "scheduler" else None),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path / "ray"), verbose=0, stop=judge if kind == "stopper" else None
        ),
    ).fit()
    assert not results.errors
    ends = [result.metrics["training_iteration"] for result in sorted(results, key=lambda r: r.config["i"])]
    assert ends[:5] == [EPOCHS] * 5
    assert ends[5] < EPOCHS
    statuses = sorted(record.status for record in Board(LOSS, tmp_path / "runs")._records.values())
    assert statuses == ["censored", *["completed"] * 5]


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="'auto'"):
        MetalcxStopper("val_loss", "auto")
    with pytest.raises(ValueError, match="startup"):
        stopper_of(startup=0)
