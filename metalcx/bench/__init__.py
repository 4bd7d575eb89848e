"""The protocols by which everything is judged."""

from metalcx.bench._bootstrap import Gain as Gain
from metalcx.bench._bootstrap import gain as gain
from metalcx.bench.encoder._rows import METHODS as METHODS
from metalcx.bench.encoder._rows import Effort as Effort
from metalcx.bench.encoder._run import run_encoder as run_encoder
from metalcx.bench.encoder._timing import time_encoders as time_encoders
from metalcx.bench.histories._run import run_histories as run_histories
from metalcx.bench.stopping._run import run_stopping as run_stopping
from metalcx.bench.suggest._choice import chosen_for as chosen_for
from metalcx.bench.suggest._run import run_suggest as run_suggest
from metalcx.bench.transfer._run import run_transfer as run_transfer
from metalcx.bench.transfer._score import crps as crps

__all__ = [
    "METHODS",
    "Effort",
    "Gain",
    "chosen_for",
    "crps",
    "gain",
    "run_encoder",
    "run_histories",
    "run_stopping",
    "run_suggest",
    "run_transfer",
    "time_encoders",
]
