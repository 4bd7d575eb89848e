"""The protocols by which everything is judged."""

from metalcx.bench._bootstrap import Gain as Gain
from metalcx.bench._bootstrap import gain as gain
from metalcx.bench._encoder import run_encoder as run_encoder
from metalcx.bench._encoder_rows import METHODS as METHODS
from metalcx.bench._encoder_rows import Effort as Effort
from metalcx.bench._encoder_timing import time_encoders as time_encoders
from metalcx.bench._histories import run_histories as run_histories
from metalcx.bench._score import crps as crps
from metalcx.bench._stopping import run_stopping as run_stopping
from metalcx.bench._suggest import run_suggest as run_suggest
from metalcx.bench._suggest_choice import chosen_for as chosen_for
from metalcx.bench._transfer import run_transfer as run_transfer

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
