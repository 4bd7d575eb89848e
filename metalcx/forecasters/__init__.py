"""Forecasters behind one protocol: the simple baselines, SRM, boosted trees and what is meta-trained."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metalcx.forecasters._base import BaseForecaster as BaseForecaster
from metalcx.forecasters._one_epoch import OneEpoch as OneEpoch
from metalcx.forecasters._power_law import PowerLaw as PowerLaw
from metalcx.forecasters._simple import Baseline as Baseline
from metalcx.forecasters._srm import SRM as SRM
from metalcx.forecasters._trees import BoostedTrees as BoostedTrees

if TYPE_CHECKING:
    from metalcx.forecasters._ensemble import Ensemble as Ensemble
    from metalcx.forecasters._expert_gate import ExpertGate as ExpertGate
    from metalcx.forecasters._graph_ode import LatentGraphODE as LatentGraphODE
    from metalcx.forecasters._latent_kronecker import LatentKroneckerGP as LatentKroneckerGP
    from metalcx.forecasters._lstm import LSTM as LSTM
    from metalcx.forecasters._rank_net import RankNet as RankNet

__all__ = [
    "LSTM",
    "SRM",
    "BaseForecaster",
    "Baseline",
    "BoostedTrees",
    "Ensemble",
    "ExpertGate",
    "LatentGraphODE",
    "LatentKroneckerGP",
    "OneEpoch",
    "PowerLaw",
    "RankNet",
]


#: What stands on torch or on scipy's optimisers, which take their time to load, by name, and where it is.
_LATER = {
    "Ensemble": "_ensemble",
    "ExpertGate": "_expert_gate",
    "LatentGraphODE": "_graph_ode",
    "LSTM": "_lstm",
    "LatentKroneckerGP": "_latent_kronecker",
    "RankNet": "_rank_net",
}


def __getattr__(name: str) -> Any:
    """Load it when it is first asked for."""
    if name in _LATER:
        return getattr(import_module(f"metalcx.forecasters.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
