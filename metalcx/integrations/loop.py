"""Any training loop: report a value, and be told whether to go on.

Runs are compared with those that a folder keeps, to which this one is added. Nothing is stopped before five of
them have finished (`startup`).

Example:
    Ten short trainings, of which the later ones are judged by the earlier ones::

        import numpy as np

        from metalcx.integrations.loop import watch

        rng = np.random.default_rng(0)
        stopped = 0
        for lr in (0.3, 0.2, 0.1, 0.25, 0.15, 0.28, 0.0003, 0.22, 0.0001, 0.0002):
            with watch("val_loss:min:0", runs="runs", config={"lr": lr}, horizon=30) as run:
                for epoch in range(1, 31):
                    val_loss = 0.1 + np.exp(-lr * epoch) + rng.normal(0, 0.002)  # train an epoch, and evaluate
                    if run.report(epoch, val_loss).stop:
                        print(f"lr {lr}: {run.decision.reason}")
                        stopped += 1
                        break
        print(f"{stopped} of 10 were stopped")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from metalcx.curves import Curves, Metric
from metalcx.integrations._board import Board
from metalcx.integrations._policy import MODEL, PolicyOptions, policy_of
from metalcx.integrations._record import Arch
from metalcx.integrations._run import Run
from metalcx.protocol import Forecaster

__all__ = ["Run", "watch"]


@contextmanager
def watch(
    metric: Metric | str,
    runs: Curves | str | Path | None = None,
    *,
    run: str | None = None,
    config: Mapping[str, Any] | None = None,
    arch: Arch = None,
    model: str | Path | Forecaster = MODEL,
    check_finite: bool = True,
    **policy: Unpack[PolicyOptions],
) -> Iterator[Run]:
    """A training that is watched while the block runs; `Run.report` gives a `metalcx.Decision`.

    The training has ended when the block is left, unless by an error: then it can be taken up under its id.

    Args:
        metric: What is reported, or ``name:goal[:lower[:upper]]``.
        runs: Finished runs to compare with, or a folder that keeps them and this one; processes may share it.
        run: Id of this training, by default a new one; one that the folder has is taken up where it was.
        config: Hyperparameters.
        arch: The architecture as text, such as ``ArchGraph.to_json()``, or what makes that of the hyperparameters.
        model: The forecaster, or the name or folder of one, loaded when first needed.
        check_finite: Stop at a value that is not finite; else such a value counts as not measured.
        **policy: Arguments of `metalcx.StopPolicy`, such as ``threshold``, ``grace`` and ``horizon``, the time at
            which a training is complete.

    Raises:
        DataError: If the metric is not declared well, or earlier runs measure something else.
        ValueError: If an argument is out of range.
    """
    declared = Metric.parse(metric) if isinstance(metric, str) else metric
    watched = Run(Board(declared, runs, arch), policy_of(model, **policy), run, config, check_finite=check_finite)
    yield watched
    watched.end()
