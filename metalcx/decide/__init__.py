"""What to do with a forecast: rank runs, stop those that will not win.

Everything here holds anything that keeps `metalcx.protocol.Forecaster` and knows no model.
"""

from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._policy import StopPolicy
from metalcx.decide._rank import Ranking, rank
from metalcx.decide._replay import Event, Outcome, Replay, StopRule, outcome, simulate, summary
from metalcx.decide._rules import replay

__all__ = [
    "Decision",
    "DecisionLog",
    "Event",
    "Outcome",
    "Ranking",
    "Replay",
    "StopPolicy",
    "StopRule",
    "outcome",
    "rank",
    "replay",
    "simulate",
    "summary",
]
