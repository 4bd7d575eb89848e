"""Lightning: a callback that ends a training whose forecast will hardly beat earlier ones.

Example:
    Seven trainings of a line, of which the last ones hardly learn::

        import lightning.pytorch as pl
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        from metalcx.integrations.lightning import MetalcxStopping


        class Line(pl.LightningModule):
            def __init__(self, lr):
                super().__init__()
                self.save_hyperparameters()
                self.layer = torch.nn.Linear(1, 1)

            def loss(self, batch):
                return (self.layer(batch[0]) - 3 * batch[0] - 1).square().mean()

            def training_step(self, batch, index):
                return self.loss(batch)

            def validation_step(self, batch, index):
                self.log("val_loss", self.loss(batch))

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), self.hparams.lr)


        data = DataLoader(TensorDataset(torch.linspace(-1, 1, 16)[:, None]), batch_size=8)
        for lr in (0.2, 0.15, 0.1, 0.25, 0.18, 0.0001, 0.0002):
            stopping = MetalcxStopping("val_loss", "min", lower=0.0, runs="runs", verbose=True)
            quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
            trainer = pl.Trainer(max_epochs=12, accelerator="cpu", logger=False, callbacks=[stopping], **quiet)
            trainer.fit(Line(lr), data, data)
            print(lr, trainer.current_epoch, stopping.stopping_reason_message)
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Unpack

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    try:
        from pytorch_lightning.callbacks import Callback
    except ImportError as error:
        from metalcx.integrations._policy import needs

        raise needs("lightning or pytorch-lightning", "lightning", error) from None

from metalcx.curves import Curves
from metalcx.integrations._board import Board
from metalcx.integrations._policy import MODEL, PolicyOptions, declared, policy_of
from metalcx.integrations._record import Arch
from metalcx.integrations._run import Run, new_name
from metalcx.protocol import Forecaster

__all__ = ["MetalcxStopping"]

_LOG = logging.getLogger(__name__)


class MetalcxStopping(Callback):
    """Ends a training that will hardly beat the earlier ones. One process decides, all of them end.

    Times are epochs, ``max_epochs`` is the horizon unless another is given; a validation within an epoch has a
    fraction as its time. What was measured travels in Lightning's checkpoints.

    Args:
        monitor: Name of the logged metric.
        mode: ``"min"`` or ``"max"``.
        lower: Smallest possible value, if there is one.
        upper: Largest possible value, if there is one.
        runs: Finished runs to compare with, or a folder that keeps them and this one; processes may share it.
        run: Id of this training, by default a new one.
        arch: The architecture as text, such as ``ArchGraph.to_json()``, or what makes that of the module's
            hyperparameters.
        model: The forecaster, or the name or folder of one, loaded when first needed.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.
        strict: Whether a metric that was not logged is an error; else the training goes on without a decision.
        check_on_train_epoch_end: As in Lightning's ``EarlyStopping``: by default after validation if that is not once
            an epoch.
        verbose: Log each decision.
        **policy: Further arguments of `metalcx.StopPolicy`, such as ``threshold`` and ``grace``.

    Attributes:
        decision: The last decision of this process, or None.
        stopping_reason_message: Why the training was stopped, or None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        monitor: str,
        mode: str,
        *,
        lower: float | None = None,
        upper: float | None = None,
        runs: Curves | str | Path | None = None,
        run: str | None = None,
        arch: Arch = None,
        model: str | Path | Forecaster = MODEL,
        check_finite: bool = True,
        strict: bool = True,
        check_on_train_epoch_end: bool | None = None,
        verbose: bool = False,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        super().__init__()
        self.monitor, self.mode, self.strict, self.verbose = monitor, mode, strict, verbose
        self.check_finite, self.check_on_train_epoch_end = check_finite, check_on_train_epoch_end
        self.stopping_reason_message: str | None = None
        self._metric, self._policy, self._runs = declared(monitor, mode, lower, upper), policy_of(model, **policy), runs
        self._name, self._points = run if run is not None else new_name(), list[tuple[float, float]]()
        self._arch = arch
        self._run: Run | None = None

    @property
    def state_key(self) -> str:
        """Tells callbacks of several metrics apart in a checkpoint."""
        return f"{type(self).__qualname__}{{'monitor': {self.monitor!r}, 'mode': {self.mode!r}}}"

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the run's id and what was measured."""
        return {"run": self._name, "points": self._points if self._run is None else self._run.points()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the run of a checkpoint."""
        self._name, self._points = str(state_dict["run"]), [(float(t), float(y)) for t, y in state_dict["points"]]

    @property
    def decision(self) -> Any:
        """The last decision of this process, a `metalcx.Decision`, or None."""
        return None if self._run is None else self._run.decision

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, or take it up."""
        if self.check_on_train_epoch_end is None:
            self.check_on_train_epoch_end = trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1
        if trainer.fast_dev_run or not trainer.is_global_zero:
            return
        horizon = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
        config = dict(getattr(pl_module, "hparams", {}))
        board = Board(self._metric, self._runs, self._arch)
        self._run = Run(board, self._policy, self._name, config, horizon, self.check_finite)
        self._run.restore(self._points)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Decide, unless validation is where that happens."""
        if self.check_on_train_epoch_end:
            self._check(trainer, trainer.current_epoch + 1.0)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Decide, where validation is not once an epoch."""
        if self.check_on_train_epoch_end or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
        self._check(trainer, trainer.current_epoch + done)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Say how the run ended."""
        if self._run is not None:
            self._run.end()

    def _check(self, trainer: Any, t: float) -> None:
        if trainer.fast_dev_run:
            return
        value = trainer.callback_metrics.get(self.monitor)
        if value is None and self.strict:
            there = ", ".join(map(repr, trainer.callback_metrics)) or "nothing"
            raise RuntimeError(
                f"the metric {self.monitor!r} was not logged, {there} was; name one, or give strict=False"
            )
        stop = False
        if self._run is not None and value is not None:
            decision = self._run.report(t, float(value))
            stop = decision.stop
            self.stopping_reason_message = decision.reason if stop else None
            if self.verbose:
                _LOG.info("epoch %g: %s", t, decision.reason)
        # Asked of all processes, whatever each found: one that left it out would wait for the others for ever.
        stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        trainer.should_stop = trainer.should_stop or stop
