"""The protocols by which everything is judged."""

from metalcx.bench._bootstrap import Gain as Gain
from metalcx.bench._bootstrap import gain as gain
from metalcx.bench._score import crps as crps
from metalcx.bench._transfer import run_transfer as run_transfer

__all__ = ["Gain", "crps", "gain", "run_transfer"]
