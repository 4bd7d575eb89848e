"""Peak accuracy from the features of early epochs: for networks at hand, where a curve alone says little."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from metalcx.histories._calibration import Calibration as Calibration
from metalcx.histories._corpus import HistoryCorpus as HistoryCorpus
from metalcx.histories._forecaster import HistoryForecaster as HistoryForecaster
from metalcx.histories._forecaster import peak_so_far as peak_so_far
from metalcx.histories._history import History as History
from metalcx.histories._proxies import Proxy as Proxy
from metalcx.histories._proxies import fit_proxy as fit_proxy
from metalcx.histories._traits import TraitTable as TraitTable
from metalcx.histories._traits import traits_of as traits_of

if TYPE_CHECKING:
    from metalcx.histories._recorder import FeatureRecorder as FeatureRecorder
    from metalcx.histories._sample import FixedSample as FixedSample

__all__ = [
    "Calibration",
    "FeatureRecorder",
    "FixedSample",
    "History",
    "HistoryCorpus",
    "HistoryForecaster",
    "Proxy",
    "TraitTable",
    "fit_proxy",
    "peak_so_far",
    "traits_of",
]

#: What stands on torch, by name, and where it is.
_ON_TORCH = {"FeatureRecorder": "_recorder", "FixedSample": "_sample"}


def __getattr__(name: str) -> Any:
    """Load what stands on torch when it is first asked for."""
    if name in _ON_TORCH:
        return getattr(import_module(f"metalcx.histories.{_ON_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
