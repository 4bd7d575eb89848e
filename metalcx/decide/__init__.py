"""What to do with a forecast: rank runs, stop those that will not win, search with it; and what to try next.

Everything here holds anything that keeps `metalcx.protocol.Forecaster`, or `Belief`, and knows no model.
"""

from metalcx.decide._advice import Advice, Progress, StopRule
from metalcx.decide._asha import asha
from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._fast_hyperband import f_hyperband
from metalcx.decide._halving import Bracket, brackets, hyperband, successive_halving
from metalcx.decide._outcome import Outcome, orders_of, outcome, summary
from metalcx.decide._policy import StopPolicy
from metalcx.decide._prefixes import PrefixForecasts, Recording
from metalcx.decide._q_search import EPSILON_SCHEDULE, q_search, stretched
from metalcx.decide._random_search import EarlyStop, random_search
from metalcx.decide._rank import Ranking, rank
from metalcx.decide._reasons import ENOUGH, Evidence
from metalcx.decide._record import SearchRecord, Step
from metalcx.decide._replay import Event, Replay, simulate
from metalcx.decide._rules import MOST_SUPPORT, MOST_SUPPORT_LIVE, NoStopping, PolicyRule, doublings, replay
from metalcx.decide._score import BestPlace, ForecastScore, LastValue, Score
from metalcx.decide._suggest import Belief, Choice, expected_improvement, suggest
from metalcx.decide._support import support_of
from metalcx.decide._thaw import thaw
from metalcx.decide._trials import Recorded, Trials

__all__ = [
    "ENOUGH",
    "EPSILON_SCHEDULE",
    "MOST_SUPPORT",
    "MOST_SUPPORT_LIVE",
    "Advice",
    "Belief",
    "BestPlace",
    "Bracket",
    "Choice",
    "Decision",
    "DecisionLog",
    "EarlyStop",
    "Event",
    "Evidence",
    "ForecastScore",
    "LastValue",
    "NoStopping",
    "Outcome",
    "PolicyRule",
    "PrefixForecasts",
    "Progress",
    "Ranking",
    "Recorded",
    "Recording",
    "Replay",
    "Score",
    "SearchRecord",
    "Step",
    "StopPolicy",
    "StopRule",
    "Trials",
    "asha",
    "brackets",
    "doublings",
    "expected_improvement",
    "f_hyperband",
    "hyperband",
    "orders_of",
    "outcome",
    "q_search",
    "random_search",
    "rank",
    "replay",
    "simulate",
    "stretched",
    "successive_halving",
    "suggest",
    "summary",
    "support_of",
    "thaw",
]
