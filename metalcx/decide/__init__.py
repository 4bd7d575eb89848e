"""What to do with a forecast: rank runs, stop those that will not win; and what to try next.

Everything here holds anything that keeps `metalcx.protocol.Forecaster`, or `Belief`, and knows no model.
"""

from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._policy import StopPolicy
from metalcx.decide._rank import Ranking, rank
from metalcx.decide._reasons import ENOUGH, Evidence
from metalcx.decide._suggest import Belief, Choice, expected_improvement, suggest

__all__ = [
    "ENOUGH",
    "Belief",
    "Choice",
    "Decision",
    "DecisionLog",
    "Evidence",
    "Ranking",
    "StopPolicy",
    "expected_improvement",
    "rank",
    "suggest",
]
