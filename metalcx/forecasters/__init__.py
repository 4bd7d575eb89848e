"""Forecasters behind one protocol: the simple baselines, SRM, boosted trees and what is meta-trained."""

from typing import TYPE_CHECKING, Any

from metalcx.forecasters._base import BaseForecaster as BaseForecaster
from metalcx.forecasters._latent_kronecker import LatentKroneckerGP as LatentKroneckerGP
from metalcx.forecasters._one_epoch import OneEpoch as OneEpoch
from metalcx.forecasters._power_law import PowerLaw as PowerLaw
from metalcx.forecasters._simple import Baseline as Baseline
from metalcx.forecasters._srm import SRM as SRM
from metalcx.forecasters._trees import BoostedTrees as BoostedTrees

if TYPE_CHECKING:
    from metalcx.forecasters._expert_gate import ExpertGate as ExpertGate
    from metalcx.forecasters._graph_ode import LatentGraphODE as LatentGraphODE

__all__ = [
    "SRM",
    "BaseForecaster",
    "Baseline",
    "BoostedTrees",
    "ExpertGate",
    "LatentGraphODE",
    "LatentKroneckerGP",
    "OneEpoch",
    "PowerLaw",
]


def __getattr__(name: str) -> Any:
    """Load what stands on torch when it is first asked for."""
    if name == "ExpertGate":
        from metalcx.forecasters._expert_gate import ExpertGate

        return ExpertGate
    if name == "LatentGraphODE":
        from metalcx.forecasters._graph_ode import LatentGraphODE

        return LatentGraphODE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
