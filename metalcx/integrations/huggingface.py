"""Hugging Face Trainer: a callback that ends a training whose forecast will hardly beat earlier ones.

Example:
    Seven trainings of a line, of which the last ones hardly learn::

        import torch
        import transformers

        from metalcx.integrations.huggingface import MetalcxCallback


        class Line(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(1, 1)

            def forward(self, x, labels):
                out = self.layer(x)
                return {"loss": (out - labels).square().mean(), "logits": out}


        data = [{"x": x, "labels": 3 * x + 1} for x in torch.linspace(-1, 1, 16)[:, None]]
        for lr in (0.2, 0.15, 0.1, 0.25, 0.18, 0.0001, 0.0002):
            stopping = MetalcxCallback("loss", greater_is_better=False, lower=0.0, runs="runs")
            args = transformers.TrainingArguments(
                output_dir="out",
                learning_rate=lr,
                optim="sgd",
                num_train_epochs=12,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
            )
            torch.manual_seed(0)
            trainer = transformers.Trainer(Line(), args, train_dataset=data, eval_dataset=data, callbacks=[stopping])
            trainer.train()
            print(lr, trainer.state.epoch, stopping.decision.reason)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

try:
    from transformers.trainer_callback import ExportableState, TrainerCallback
except ImportError as error:
    from metalcx.integrations._policy import needs

    raise needs("transformers", "huggingface", error) from None

from metalcx.curves import Curves
from metalcx.decide import Decision
from metalcx.integrations._board import Board
from metalcx.integrations._policy import MODEL, PolicyOptions, declared, policy_of
from metalcx.integrations._record import as_json, from_json
from metalcx.integrations._run import Run, new_name

__all__ = ["MetalcxCallback"]


class MetalcxCallback(TrainerCallback, ExportableState):
    """Ends a training that will hardly beat the earlier ones; the main process decides for all.

    What was measured before a checkpoint is read from the Trainer's own history. With
    ``restore_callback_states_from_checkpoint`` the run keeps its id too.

    Args:
        metric_for_best_model: Name of the evaluation's metric, with or without ``eval_``.
        greater_is_better: Whether higher values are better.
        lower: Smallest possible value, if there is one.
        upper: Largest possible value, if there is one.
        runs: Finished runs to compare with, or a folder that keeps them and this one; processes may share it.
        run: Id of this training, by default a new one.
        config: Hyperparameters; by default those of the trial, learning rate, weight decay and batch size.
        arch: The architecture as text, such as ``ArchGraph.to_json()``.
        time: What t counts, ``"epoch"`` or ``"step"``.
        model: The name or folder of a forecaster, loaded when first needed.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.
        **policy: Further arguments of `metalcx.StopPolicy`. The horizon is ``num_train_epochs`` (or ``max_steps``, in
            steps) unless another is given.

    Attributes:
        decision: The last decision, or None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        metric_for_best_model: str,
        greater_is_better: bool,
        *,
        lower: float | None = None,
        upper: float | None = None,
        runs: Curves | Sequence[Mapping[str, Any]] | str | Path | None = None,
        run: str | None = None,
        config: Mapping[str, Any] | None = None,
        arch: str | None = None,
        time: Literal["epoch", "step"] = "epoch",
        model: str | Path = MODEL,
        check_finite: bool = True,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        name = f"eval_{metric_for_best_model.removeprefix('eval_')}"
        self._metric = declared(name, "max" if greater_is_better else "min", lower, upper)
        self._policy, self._runs = policy_of(model, **policy), from_json(runs, self._metric)
        self._name, self._config, self._time = run if run is not None else new_name(), config, time
        self._check_finite, self._arch = check_finite, arch
        self._args: dict[str, Any] = {"metric_for_best_model": name, "greater_is_better": greater_is_better}
        self._args |= {"lower": lower, "upper": upper, "config": config, "time": time, "check_finite": check_finite}
        self._args |= {"arch": arch, "model": str(model), **policy, "log": policy.get("log") and str(policy["log"])}
        self._run: Run | None = None
        self._training = False

    @property
    def decision(self) -> Decision | None:
        """The last decision, or None."""
        return None if self._run is None else self._run.decision

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the arguments as JSON values, the run's id among them."""
        return {"args": self._args | {"run": self._name, "runs": as_json(self._runs)}, "attributes": {}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the run, or take it up where the Trainer's history ends."""
        self._training = True
        if not state.is_world_process_zero:
            return
        config = self._config if self._config is not None else _config(args) | (state.trial_params or {})
        horizon = state.max_steps if self._time == "step" else args.num_train_epochs if args.max_steps <= 0 else None
        board = Board(self._metric, self._runs, self._arch)
        self._run = Run(board, self._policy, self._name, config, horizon, self._check_finite)
        logged = [entry for entry in state.log_history if self._metric.name in entry]
        values = [float(entry[self._metric.name]) for entry in logged]
        self._run.restore([(self._t(e["step"], e["epoch"]), y) for e, y in zip(logged, values, strict=True)])

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Decide; an evaluation without the metric, or one that is not part of a training, decides nothing."""
        if not self._training:
            return
        value = kwargs.get("metrics", {}).get(self._metric.name)
        stop = False
        if self._run is not None and value is not None and state.epoch is not None:
            stop = self._run.report(self._t(state.global_step, state.epoch), float(value)).stop
        if _agreed(stop):
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say how the run ended."""
        self._training = False
        if self._run is not None:
            self._run.end()

    def _t(self, step: float, epoch: float) -> float:
        # The Trainer adds fractions up; the rest of that is no time.
        return float(step) if self._time == "step" else round(float(epoch), 6)


def _config(args: Any) -> dict[str, Any]:
    names = ("learning_rate", "weight_decay", "train_batch_size")
    return {name: getattr(args, name) for name in names}


def _agreed(stop: bool) -> bool:
    """What the main process found, in all processes: one that went on alone would wait for the others for ever."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return stop
    held = [stop]
    distributed.broadcast_object_list(held, src=0)
    return held[0]
