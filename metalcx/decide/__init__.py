"""What to do with a forecast: rank runs, stop those that will not win.

Everything here holds anything that keeps `metalcx.protocol.Forecaster` and knows no model.
"""

from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._policy import StopPolicy
from metalcx.decide._prefixes import PrefixForecasts, Recording
from metalcx.decide._rank import Ranking, rank
from metalcx.decide._replay import Advice, Event, Outcome, Progress, Replay, StopRule, outcome, simulate, summary
from metalcx.decide._rules import NoStopping, PolicyRule, doublings, replay

__all__ = [
    "Advice",
    "Decision",
    "DecisionLog",
    "Event",
    "NoStopping",
    "Outcome",
    "PolicyRule",
    "PrefixForecasts",
    "Progress",
    "Ranking",
    "Recording",
    "Replay",
    "StopPolicy",
    "StopRule",
    "doublings",
    "outcome",
    "rank",
    "replay",
    "simulate",
    "summary",
]
