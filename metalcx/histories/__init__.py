"""Peak accuracy from the features of early epochs: for networks at hand, where a curve alone says little."""

from metalcx.histories._history import History as History
from metalcx.histories._proxies import Proxy as Proxy
from metalcx.histories._proxies import fit_proxy as fit_proxy
from metalcx.histories._recorder import FeatureRecorder as FeatureRecorder
from metalcx.histories._sample import FixedSample as FixedSample

__all__ = ["FeatureRecorder", "FixedSample", "History", "Proxy", "fit_proxy"]
