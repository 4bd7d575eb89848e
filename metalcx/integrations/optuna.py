"""Optuna: a pruner that stops a trial when its forecast will hardly beat the study's best.

Example:
    A study of small trainings::

        import numpy as np
        import optuna

        from metalcx.integrations.optuna import MetalcxPruner


        def objective(trial):
            lr = trial.suggest_float("lr", 1e-4, 0.5, log=True)
            rng = np.random.default_rng(trial.number)
            for epoch in range(1, 31):
                accuracy = 0.9 * (1 - np.exp(-lr * epoch)) + rng.normal(0, 0.002)  # train an epoch, and evaluate
                trial.report(accuracy, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned()
            return accuracy


        pruner = MetalcxPruner(lower=-0.1, upper=1.0, horizon=30)
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(direction="maximize", pruner=pruner, sampler=sampler)
        study.optimize(objective, n_trials=12)
        states = [trial.state.name for trial in study.trials]
        print(f"{states.count('PRUNED')} of 12 were pruned; best {study.best_value:.3f}")
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Unpack

try:
    from optuna.pruners import BasePruner
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    from metalcx.integrations._policy import needs

    raise needs("optuna", "optuna", error) from None

from metalcx.corpora.importers._settings import flat
from metalcx.curves import Curves, Metric
from metalcx.integrations._policy import MODEL, PolicyOptions, declared, judge, policy_of
from metalcx.integrations._record import Arch, Record, arch_of, to_curves
from metalcx.protocol import Forecaster

__all__ = ["MetalcxPruner"]

_STATUS = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "censored"}


class MetalcxPruner(BasePruner):
    """Prunes a trial whose forecast says that it will hardly beat the best finished trial.

    What it knows it reads from the study, so that any storage, threads, processes and a study that was killed are
    alike to it. Trials are compared by what they reported; their parameters are told to the forecaster. A
    failed trial counts only if its values had diverged. Several objectives are refused by Optuna itself.

    Args:
        lower: Smallest possible value of what trials report, if there is one; the goal is the study's direction.
        upper: Largest possible value, if there is one.
        arch: The architecture as text, such as ``ArchGraph.to_json()``, or what makes that of a trial's parameters.
        model: The forecaster, or the name or folder of one, loaded when first needed.
        wrapped_pruner: Another pruner; a trial is pruned if it or this one says so.
        n_startup_trials: No trial is pruned before so many have finished without diverging.
        n_warmup_steps: No trial is pruned before it has reported this step.
        check_finite: Prune at a value that is not finite; else such a value counts as not measured.
        **policy: Further arguments of `metalcx.StopPolicy`, such as ``threshold`` and ``horizon``, the last step of a
            whole trial (by default the median of the complete ones').

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        *,
        lower: float | None = None,
        upper: float | None = None,
        arch: Arch = None,
        model: str | Path | Forecaster = MODEL,
        wrapped_pruner: BasePruner | None = None,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        check_finite: bool = True,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        self._metrics = {goal: declared("value", goal, lower, upper) for goal in ("max", "min")}
        policy.setdefault("startup", n_startup_trials)
        policy.setdefault("grace", n_warmup_steps)
        self._policy = policy_of(model, **policy)
        self._wrapped_pruner = wrapped_pruner
        self._check_finite, self._arch = check_finite, arch
        # Finished trials do not change: theirs are read once. Threads that fill this at once fill in the same.
        self._records: dict[Hashable, Record | None] = {}
        self._finished: tuple[list[Hashable], Curves | None] = [], None

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should be pruned; Optuna's `Trial.should_prune` asks."""
        # Asked first and always: successive halving keeps its own account of the trials it was asked about.
        if self._wrapped_pruner is not None and self._wrapped_pruner.prune(study, trial):
            return True
        metric = self._metrics["max" if study.direction == StudyDirection.MAXIMIZE else "min"]
        record = self._record(metric, trial)
        if not record.points:
            return False
        own = to_curves(metric, [record])
        others = self._others(metric, study)
        return judge(self._policy, own if others is None else Curves.concat([others, own])).stop

    def _others(self, metric: Metric, study: Study) -> Curves | None:
        states = (*_STATUS, TrialState.FAIL)
        keyed = {
            # The time of its end tells a trial from that of another study.
            (trial.number, trial.datetime_complete, metric): trial
            for trial in study.get_trials(deepcopy=False, states=states)
        }
        known, curves = self._finished
        if known != list(keyed):
            for key in keyed.keys() - self._records.keys():
                self._records[key] = self._ended(metric, keyed[key])
            records = [record for record in map(self._records.get, keyed) if record is not None]
            curves = to_curves(metric, records) if records else None
            self._finished = list(keyed), curves
        return curves

    def _ended(self, metric: Metric, trial: FrozenTrial) -> Record | None:
        record = self._record(metric, trial)
        if record.status != "diverged":
            record.status = _STATUS.get(trial.state, "running")
        return record if record.points and record.status != "running" else None

    def _record(self, metric: Metric, trial: FrozenTrial) -> Record:
        params: dict[str, Any] = flat(trial.params)
        record = Record(str(trial.number), params)
        for step, value in sorted(trial.intermediate_values.items()):
            if record.status == "running":
                record.add(metric, float(step), float(value), self._check_finite)
        # A trial that failed before it reported may lack the parameters that tell.
        record.arch = arch_of(self._arch, trial.params) if record.points else None
        return record
