"""Size and parts of a latent graph ODE."""

from __future__ import annotations

from dataclasses import dataclass, field

from metalcx.errors import DataError
from metalcx.forecasters._gate_network import GateConfig

#: Solvers of torchdiffeq that take no options.
METHODS = ("rk4", "euler", "midpoint", "heun2", "heun3", "dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun")


@dataclass(frozen=True)
class OdeConfig:
    """Size and parts of an `OdeNetwork`.

    Args:
        gate: Of the expert gate.
        latent: Numbers in a state.
        hidden: Units of every hidden layer.
        heads: Ways in which the support is weighed.
        arch: Width of embeddings of architectures; 0 if they are not read.
        config: Whether configurations are read. On datasets of another corpus that did harm from K = 10 on: what a
            hyperparameter does is learned there from the support alone (`ResidualGP`).
        support: Whether single support runs are read, beside what the gate's features say of all together.
        companions: Whether further metrics are read.
        experts: Whether it corrects the expert gate; else the last value.
        dropout: Share dropped in training of what drives and starts a state and of what is read of it, and of runs
            whose architecture, configuration, or further metrics are then not told.
        dynamics: ``ode``, or ``direct``: a decoder that is told the time.
        method: Solver of torchdiffeq.

    Raises:
        DataError: If a size is not positive, or a choice is not known.
    """

    gate: GateConfig = field(default_factory=GateConfig)
    latent: int = 16
    hidden: int = 64
    heads: int = 4
    arch: int = 0
    config: bool = False
    support: bool = True
    companions: bool = True
    experts: bool = True
    dropout: float = 0.2
    dynamics: str = "ode"
    method: str = "rk4"

    def __post_init__(self) -> None:
        if min(self.latent, self.hidden, self.heads) < 1 or self.arch < 0 or not 0 <= self.dropout < 1:
            raise DataError(f"sizes are positive and dropout lies in [0, 1); got {self}")
        if self.dynamics not in ("ode", "direct"):
            raise DataError(f"dynamics is ode or direct; got {self.dynamics!r:.40}")
        if self.method not in METHODS:
            raise DataError(f"method is one of {', '.join(METHODS)}; got {self.method!r:.40}")
