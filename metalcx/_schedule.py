"""How a learning rate rises and falls in a training."""

from __future__ import annotations

import math

#: Share of the training in which the rate rises.
WARM_UP = 0.1


def warmed_and_annealed(share: float) -> float:
    """Factor on the peak rate: up a line over the first tenth, down a cosine to 0 after it.

    Args:
        share: How much of the training is done, in [0, 1].
    """
    if share < WARM_UP:
        return share / WARM_UP + 0.01
    return 0.5 * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))
