"""The latent graph ODE's paper by its own protocol: one dataset, held-out architectures, and controls of its kind."""

from metalcx.bench.dynamics._model import Effort as Effort
from metalcx.bench.dynamics._rows import ROWS as ROWS
from metalcx.bench.dynamics._run import run_dynamics as run_dynamics

__all__ = ["ROWS", "Effort", "run_dynamics"]
