"""What to do with a forecast: rank runs, stop those that will not win.

Everything here holds anything that keeps `metalcx.protocol.Forecaster` and knows no model.
"""

from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._policy import StopPolicy
from metalcx.decide._rank import Ranking, rank

__all__ = ["Decision", "DecisionLog", "Ranking", "StopPolicy", "rank"]
