"""Curves: what was measured while networks trained. Knows nothing of torch, graphs or files."""

from metalcx.curves._batch import PaddedCurves as PaddedCurves
from metalcx.curves._batch import pad as pad
from metalcx.curves._curves import STATUSES as STATUSES
from metalcx.curves._curves import Curves as Curves
from metalcx.curves._metric import Metric as Metric
from metalcx.curves._scaling import Scaling as Scaling

__all__ = ["STATUSES", "Curves", "Metric", "PaddedCurves", "Scaling", "pad"]
