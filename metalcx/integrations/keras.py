"""Keras 3: a callback that ends a training whose forecast will hardly beat earlier ones.

Example:
    Seven trainings of a line, of which the last ones hardly learn::

        import keras
        import numpy as np

        from metalcx.integrations.keras import MetalcxStopping

        x = np.linspace(-1, 1, 32)[:, None]
        y = 3 * x + 1
        for lr in (0.2, 0.15, 0.1, 0.25, 0.18, 0.0001, 0.0002):
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile(keras.optimizers.SGD(lr), "mse")
            stopping = MetalcxStopping("val_loss", "min", lower=0.0, runs="runs", config={"lr": lr})
            history = model.fit(x, y, validation_data=(x, y), epochs=12, verbose=0, callbacks=[stopping])
            print(lr, len(history.epoch), stopping.decision.reason)
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

try:
    from keras.callbacks import Callback
except ImportError as error:
    from metalcx.integrations._policy import needs

    raise needs("keras", "keras", error) from None

from metalcx.curves import Curves
from metalcx.decide import Decision
from metalcx.integrations._board import Board
from metalcx.integrations._policy import MODEL, PolicyOptions, declared, policy_of
from metalcx.integrations._record import Arch
from metalcx.integrations._run import Run, new_name
from metalcx.protocol import Forecaster

__all__ = ["MetalcxStopping"]


class MetalcxStopping(Callback):
    """Ends a training that will hardly beat the earlier ones.

    Times are epochs, counted from 1; those of ``fit`` are the horizon unless another is given. A training that is
    taken up again (``initial_epoch``, ``BackupAndRestore``) goes on where it was if `runs` is a folder and `run` an id.

    Args:
        monitor: Name of the metric in the logs.
        mode: ``"min"`` or ``"max"``.
        lower: Smallest possible value, if there is one.
        upper: Largest possible value, if there is one.
        runs: Finished runs to compare with, or a folder that keeps them and this one; processes may share it.
        run: Id of this training, by default a new one for each ``fit``.
        config: Hyperparameters.
        arch: The architecture as text, such as ``ArchGraph.to_json()``, or what makes that of the hyperparameters.
        model: The forecaster, or the name or folder of one, loaded when first needed.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.
        start_from_epoch: No training is stopped before so many epochs.
        verbose: Print why a training is stopped.
        **policy: Further arguments of `metalcx.StopPolicy`, such as ``threshold``.

    Attributes:
        decision: The last decision, or None.

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
        config: Mapping[str, Any] | None = None,
        arch: Arch = None,
        model: str | Path | Forecaster = MODEL,
        check_finite: bool = True,
        start_from_epoch: int = 0,
        verbose: int = 0,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        super().__init__()
        policy.setdefault("grace", start_from_epoch)
        self.monitor, self.verbose = monitor, verbose
        self._metric, self._policy = declared(monitor, mode, lower, upper), policy_of(model, **policy)
        self._runs, self._name, self._config, self._arch = runs, run, config, arch
        self._check_finite = check_finite
        self._run: Run | None = None

    @property
    def decision(self) -> Decision | None:
        """The last decision, or None."""
        return None if self._run is None else self._run.decision

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begin the run, or take it up."""
        name = self._name if self._name is not None else new_name()
        epochs = (self.params or {}).get("epochs")
        board = Board(self._metric, self._runs, self._arch)
        self._run = Run(board, self._policy, name, self._config, epochs, self._check_finite)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Decide; an epoch without the metric decides nothing."""
        value = (logs or {}).get(self.monitor)
        if value is None or self._run is None:
            there = ", ".join(logs or {})
            warnings.warn(f"the metric {self.monitor!r} is not among the logs ({there}); no decision", stacklevel=2)
            return
        decision = self._run.report(epoch + 1.0, float(value))
        if decision.stop:
            self.model.stop_training = True
            if self.verbose:
                print(f"Epoch {epoch + 1}: {decision.reason}")

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Say how the run ended."""
        if self._run is not None:
            self._run.end()
