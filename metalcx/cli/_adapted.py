"""The model that commands forecast with: as it was adapted, or a base adapted on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metalcx.cli._output import note

if TYPE_CHECKING:
    from metalcx.curves import Curves
    from metalcx.protocol import Forecaster


def is_base(model: str) -> bool:
    """Whether a model has not been adapted to a task yet."""
    from metalcx import hub

    return hub.describe(model)["base"] is None


def adapted(model: str, data: Curves, seed: int) -> Forecaster:
    """An adapted model as it is; a base, adapted to the finished runs of `data`."""
    from metalcx import hub

    forecaster = hub.load(model)
    if is_base(model):
        support = data.finished()
        if not len(support):
            note(f"metalcx: no run of the table is finished; {model} forecasts without any support")
        forecaster = forecaster.adapt(support, seed=seed)
    return forecaster
