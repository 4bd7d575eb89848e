"""Ray Tune: a stopper, and a scheduler, that end trials whose forecast will hardly beat the best.

Example:
    Eight trials, of which the last ones hardly learn::

        import numpy as np
        from ray import tune

        from metalcx.integrations.ray import MetalcxStopper


        def train(config):
            for epoch in range(1, 13):
                tune.report({"accuracy": 0.9 * (1 - np.exp(-config["lr"] * epoch))})


        rates = [0.5, 0.4, 0.3, 0.45, 0.35, 0.0001, 0.0002, 0.0003]
        stopper = MetalcxStopper("accuracy", "max", lower=0.0, upper=1.0, horizon=12)
        results = tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space={"lr": tune.grid_search(rates)},
            tune_config=tune.TuneConfig(max_concurrent_trials=1),
            run_config=tune.RunConfig(stop=stopper, verbose=0),
        ).fit()
        print([result.metrics["training_iteration"] for result in results])
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

try:
    from ray.air.constants import EXPR_RESULT_FILE
    from ray.tune import Stopper
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import FIFOScheduler, TrialScheduler
    from ray.tune.utils import flatten_dict
except ImportError as error:
    from metalcx.integrations._policy import needs

    raise needs("ray[tune]", "ray", error) from None

from metalcx.curves import Curves
from metalcx.integrations._board import Board
from metalcx.integrations._policy import MODEL, PolicyOptions, declared, policy_of
from metalcx.integrations._record import Arch, Record
from metalcx.integrations._run import Run
from metalcx.protocol import Forecaster

__all__ = ["MetalcxScheduler", "MetalcxStopper"]


class _Trials:
    """What stopper and scheduler share: the trials of an experiment. Arguments are those of `MetalcxStopper`."""

    def __init__(
        self,
        metric: str,
        mode: str,
        *,
        lower: float | None = None,
        upper: float | None = None,
        time_attr: str = "training_iteration",
        runs: Curves | str | Path | None = None,
        arch: Arch = None,
        model: str | Path | Forecaster = MODEL,
        grace_period: float = 0.0,
        check_finite: bool = True,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        super().__init__()
        policy.setdefault("grace", grace_period)
        self._time_attr, self._check_finite = time_attr, check_finite
        self._policy = policy_of(model, **policy)
        self._board = Board(declared(metric, mode, lower, upper), runs, arch)
        self._trials: dict[str, Run] = {}

    def _hopeless(self, trial: str, result: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
        point = self._point(result)
        return point is not None and self._run(trial, config).report(*point).stop

    def _point(self, result: Mapping[str, Any]) -> tuple[float, float] | None:
        """Time and value, if a result has both; ``a/b`` is the b of a, as everywhere in Tune."""
        flat = flatten_dict(dict(result))
        value, t = flat.get(self._board.metric.name), flat.get(self._time_attr)
        # Tune's log of results writes a NaN of NumPy's single precision as "null".
        return None if value is None or t is None else (float(t), float("nan" if value == "null" else value))

    def _run(self, trial: str, config: Mapping[str, Any]) -> Run:
        if trial not in self._trials:
            self._trials[trial] = Run(self._board, self._policy, trial, config, check_finite=self._check_finite)
        return self._trials[trial]

    def _ended(self, trial: str) -> None:
        if trial in self._trials:
            self._trials[trial].end()


class MetalcxStopper(_Trials, Stopper):
    """Stops trials that will hardly beat the best finished one; composes with others in a ``CombinedStopper``.

    A stopper is not told of trials that end by another criterion: with the horizon it knows that they have. Ray keeps
    it in its snapshots of the experiment, with which it is restored (``Tuner.restore``).

    Args:
        metric: Name of the reported metric. A result without it decides nothing.
        mode: ``"min"`` or ``"max"``.
        lower: Smallest possible value, if there is one.
        upper: Largest possible value, if there is one.
        time_attr: What t counts.
        runs: Finished runs to compare with, or a folder that keeps them and the trials of this experiment.
        arch: The architecture as text, such as ``ArchGraph.to_json()``, or what makes that of a trial's configuration.
        model: The forecaster, or the name or folder of one, loaded when first needed.
        grace_period: No trial is stopped before this time.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.
        **policy: Further arguments of `metalcx.StopPolicy`, such as ``threshold`` and ``horizon``, the time at which a
            trial is complete.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial should end."""
        stop = self._hopeless(trial_id, result, result.get("config", {}))
        horizon = self._policy.horizon
        whole = horizon is not None and result.get(self._time_attr, 0) >= horizon
        if stop or whole or result.get("done"):
            self._ended(trial_id)
        return stop

    def stop_all(self) -> bool:
        """Never: it judges trials, not experiments."""
        return False


class MetalcxScheduler(_Trials, FIFOScheduler):
    """Runs trials in their order and stops those that will hardly beat the best; told of every end.

    Arguments are those of `MetalcxStopper`. One of the two is enough. Ray restores a scheduler as it was when the
    experiment began: what trials had reported by then it reads from a folder of `runs`, or from Ray's own log, which
    may lack points of a trial.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take up a trial that had reported before the experiment was restored."""
        if trial.trial_id in self._trials or not trial.has_reported_at_least_once:
            return
        results, known = [*_logged(trial), trial.last_result], Record(trial.trial_id)
        for point in filter(None, map(self._point, results)):
            known.add(self._board.metric, *point, self._check_finite)
        if known.points:
            run = self._run(trial.trial_id, trial.config)
            run.restore(list(known.points.items()))
            if trial.status == Trial.TERMINATED:
                run.end(_was_stopped(trial, results[-1]))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        stop = self._hopeless(trial.trial_id, result, trial.config)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """The trial ended, by itself or stopped."""
        self._ended(trial.trial_id)

    def debug_string(self) -> str:
        """One line for Ray's console."""
        stopped = sum(run.stopped for run in self._trials.values())
        return f"metalcx: {stopped} of {len(self._trials)} trials were stopped"


def _logged(trial: Any) -> list[dict[str, Any]]:
    """What Ray's log of a trial's results holds where the experiment is stored."""
    stored = trial.storage
    try:
        with stored.storage_filesystem.open_input_stream(f"{stored.trial_fs_path}/{EXPR_RESULT_FILE}") as log:
            return [json.loads(line) for line in log.readall().decode().split("\n")[:-1]]
    except FileNotFoundError:
        return []


def _was_stopped(trial: Any, result: Mapping[str, Any]) -> bool:
    """Whether its last result ended a trial that neither ended itself nor met the experiment's own criteria."""
    return bool(result.get("done")) and not trial.should_stop(flatten_dict({**result, "done": False}))
