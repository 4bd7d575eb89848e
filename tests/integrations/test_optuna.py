from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from trainings import EPOCHS, MODEL, losses

from metalcx.decide import DecisionLog
from metalcx.forecasters import Baseline

pytestmark = pytest.mark.slow
optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from metalcx.integrations.optuna import MetalcxPruner  # noqa: E402

FINALS = (0.02, 0.03, 0.04, 0.05, 0.06)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(curves: list[list[float]], sign: float = 1.0):
    """Trial i reports the i-th curve."""

    def train(trial: optuna.Trial) -> float:
        trial.suggest_float("lr", 0.1, 0.2)
        for epoch, value in enumerate(curves[trial.number], 1):
            trial.report(sign * value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned()
        return sign * value

    return train


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


def study_of(pruner, direction: str = "minimize", **options) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(direction=direction, pruner=pruner, sampler=sampler, **options)


WHOLE = [losses(final) for final in FINALS]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_a_hopeless_trial_is_pruned_in_either_direction(direction: str, sign: float) -> None:
    study = study_of(MetalcxPruner(model=MODEL), direction)
    study.optimize(objective([*WHOLE, [1.0] * EPOCHS, losses(0.01)], sign), n_trials=7)
    assert states(study) == ["COMPLETE"] * 5 + ["PRUNED", "COMPLETE"]
    assert study.trials[5].last_step < EPOCHS


def test_it_asks_the_policy_about_the_curves_of_the_study(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    study = study_of(MetalcxPruner(model=MODEL, log=log, lower=0.0))
    study.optimize(objective([*WHOLE, [1.0] * EPOCHS]), n_trials=6)
    last = DecisionLog(log).read()[-1]
    assert (last.run, last.stop, last.horizon) == ("5", True, EPOCHS)
    assert last.incumbent == pytest.approx(min(w[-1] for w in WHOLE))


def test_parameters_are_configurations() -> None:
    class Seeing(Baseline):
        seen = None

        def adapt(self, support, **options):
            Seeing.seen = support
            return super().adapt(support, **options)

    def train(trial: optuna.Trial) -> float:
        trial.suggest_float("lr", 0.1, 0.2)
        trial.suggest_categorical("opt", ["sgd", "adam"])
        return objective([*WHOLE, losses(0.01)])(trial)

    study = study_of(MetalcxPruner(model=Seeing("shift"), arch=lambda params: f"net of {params['opt']}"))
    study.optimize(train, n_trials=6)
    assert Seeing.seen.config["lr"].tolist() == [t.params["lr"] for t in study.trials[:5]]
    assert set(Seeing.seen.config["opt"]) == {"sgd", "adam"}
    assert Seeing.seen.arch.tolist() == [f"net of {opt}" for opt in Seeing.seen.config["opt"]]


def test_not_finite_is_pruned_or_not_measured() -> None:
    broken = [losses(0.01)[0], float("nan"), *losses(0.01)[2:]]
    infinite = [float("inf") if value != value else value for value in broken]
    study = study_of(MetalcxPruner(model=MODEL))
    study.optimize(objective([*WHOLE, infinite]), n_trials=6)
    assert states(study)[5] == "PRUNED"
    for check_finite, state in ((True, "PRUNED"), (False, "COMPLETE")):
        study = study_of(MetalcxPruner(model=MODEL, check_finite=check_finite))
        study.optimize(objective([*WHOLE, broken]), n_trials=6)
        assert states(study)[5] == state


def test_a_trial_that_reports_nothing_or_fails_harms_nobody() -> None:
    def train(trial: optuna.Trial) -> float:
        if trial.number == 2:
            assert not trial.should_prune()
            return 0.5
        if trial.number == 3:
            trial.report(0.0, 1)
            raise ValueError("broken")
        return objective([*WHOLE, [], [], *WHOLE, [1.0] * EPOCHS])(trial)

    pruner = MetalcxPruner(model=MODEL)
    curves = [*WHOLE[:2], [], [], *WHOLE[2:], [1.0] * EPOCHS]

    def either(trial: optuna.Trial) -> float:
        return train(trial) if trial.number in (2, 3) else objective(curves)(trial)

    study = study_of(pruner)
    study.optimize(either, n_trials=8, catch=ValueError)
    assert states(study) == ["COMPLETE"] * 3 + ["FAIL"] + ["COMPLETE"] * 3 + ["PRUNED"]


def test_a_wrapped_pruner_prunes_too_and_it_can_be_wrapped() -> None:
    class Always(optuna.pruners.BasePruner):
        def prune(self, study, trial) -> bool:
            return trial.last_step == 3

    study = study_of(MetalcxPruner(model=MODEL, wrapped_pruner=Always()))
    study.optimize(objective([losses(0.1)]), n_trials=1)
    assert study.trials[0].last_step == 3
    patient = optuna.pruners.PatientPruner(MetalcxPruner(model=MODEL), patience=4)
    study = study_of(patient)
    study.optimize(objective([*WHOLE, [1.0] * EPOCHS]), n_trials=6)
    assert study.trials[5].last_step > 4


def test_startup_and_warmup() -> None:
    curves = [*WHOLE, [1.0] * EPOCHS]
    study = study_of(MetalcxPruner(model=MODEL, n_startup_trials=6))
    study.optimize(objective(curves), n_trials=6)
    assert states(study) == ["COMPLETE"] * 6
    study = study_of(MetalcxPruner(model=MODEL, n_warmup_steps=7))
    study.optimize(objective(curves), n_trials=6)
    assert study.trials[5].last_step == 7
    for options in ({"n_startup_trials": 0}, {"threshold": -1}, {"lower": 1.0, "upper": 0.0}):
        with pytest.raises(ValueError):
            MetalcxPruner(**options)


def storages(folder: Path) -> dict[str, object]:
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    return {"rdb": f"sqlite:///{folder}/study.db", "journal": optuna.storages.JournalStorage(journal)}


@pytest.mark.parametrize("kind", ["rdb", "journal"])
def test_a_study_that_ended_goes_on_with_another_pruner_object(tmp_path: Path, kind: str) -> None:
    curves = [*WHOLE, [1.0] * EPOCHS]
    study = study_of(MetalcxPruner(model=MODEL), storage=storages(tmp_path)[kind], study_name="s")
    study.optimize(objective(curves), n_trials=5)
    again = optuna.load_study(study_name="s", storage=storages(tmp_path)[kind], pruner=MetalcxPruner(model=MODEL))
    again.optimize(objective(curves), n_trials=1)
    assert states(again) == ["COMPLETE"] * 5 + ["PRUNED"]


def test_threads_share_a_pruner() -> None:
    curves = [*WHOLE, *([[1.0] * EPOCHS, losses(0.015)] * 6)]
    study = study_of(MetalcxPruner(model=MODEL))
    study.optimize(objective(curves), n_trials=5)
    meet = threading.Barrier(4, timeout=20)

    def train(trial: optuna.Trial) -> float:
        meet.wait()
        return objective(curves)(trial)

    study.optimize(train, n_trials=12, n_jobs=4)
    assert states(study)[5:] == ["PRUNED", "COMPLETE"] * 6


def test_studies_do_not_mix() -> None:
    pruner = MetalcxPruner(model=MODEL)
    first = study_of(pruner)
    first.optimize(objective([*WHOLE, [1.0] * EPOCHS]), n_trials=6)
    second = study_of(pruner, "maximize")
    second.optimize(objective([list(np.array(w) / 10) for w in WHOLE] + [[1.0] * EPOCHS]), n_trials=6)
    assert states(second) == ["COMPLETE"] * 6


def test_a_value_out_of_the_declared_bounds_is_said_at_once() -> None:
    study = study_of(MetalcxPruner(model=MODEL, lower=0.0, upper=1.0))
    with pytest.raises(ValueError, match="'0': 87 at t = 1 leaves the bounds"):
        study.optimize(objective([[87.0]]), n_trials=1)
