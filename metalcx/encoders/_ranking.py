"""Learning an order: pairs of graphs of which one is better, and the loss that asks for a margin between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: Of so many numbers all pairs are looked at at once.
FEW = 400


def pairs_among(n: int, most: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Pairs of places among n, shape (2, pairs): all there are, or `most` drawn from them.

    Args:
        n: Places.
        most: How many pairs at most.
        random: Of the draw.
    """
    if n * (n - 1) // 2 <= most:
        return np.stack(np.triu_indices(n, 1))
    return random.integers(0, n, (2, most))


def hinge(scores: Tensor, values: Tensor, pairs: Tensor, margin: float) -> Tensor:
    """Mean over pairs of what is missing to the margin: max(0, margin - (score of the better - of the worse)).

    Args:
        scores: Shape (..., n).
        values: Higher is better, shape (..., n). Of equal values neither is; NaN is in no pair.
        pairs: Shape (..., 2, p); of two places that are the same, neither is better.
        margin: By how much the better should be ahead.

    Returns:
        Shape (...); 0 where there is no pair of a better and a worse.
    """
    gap, lead = (of.gather(-1, pairs[..., 0, :]) - of.gather(-1, pairs[..., 1, :]) for of in (values, scores))
    unequal = gap.abs() > 0
    missing = torch.relu(margin - torch.where(gap > 0, lead, -lead))
    # Of a score that is of no use, not even a gradient that is none.
    return torch.where(unequal, missing, 0.0).sum(-1) / unequal.sum(-1).clamp(min=1)


def kendall(scores: Tensor, values: Tensor) -> Tensor:
    """Kendall's tau-b; -1 where it is not defined, as all are alike.

    Args:
        scores: Shape (m, n).
        values: Shape (m, n).
    """
    if scores.shape[1] > FEW:  # all pairs would be too many
        from scipy.stats import kendalltau

        found = [kendalltau(*pair).statistic for pair in zip(scores.cpu(), values.cpu(), strict=True)]
        return torch.from_numpy(np.nan_to_num(found, nan=-1.0)).to(scores.device)
    signs = [(of[..., :, None] - of[..., None, :]).sign() for of in (scores.double(), values.double())]
    both, *own = ((a * b).sum((-2, -1)) for a, b in (signs, (signs[0],) * 2, (signs[1],) * 2))
    spread = (own[0] * own[1]).sqrt()
    return torch.where(spread > 0, both / spread.clamp(min=1), -1.0)


def standard_ranks(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Each column by its ranks, with mean 0 and variance 1, so that its scale does not matter: inputs for a head.

    Ties share the mean of their ranks. A rank says where a graph stands among those that are given, so give all graphs
    of a space, or all that may be known, at once.

    Args:
        values: Shape (graphs,) or (graphs, q); NaN where it is not known.

    Returns:
        Shape (graphs, q), finite: 0 where a value is not known or all are alike.
    """
    from scipy.stats import rankdata

    table = np.asarray(values, dtype=np.float64)
    ranks = rankdata(table.reshape(len(table), -1), axis=0, nan_policy="omit")
    known = np.isfinite(ranks)
    n = np.maximum(known.sum(0), 1)
    centred = np.where(known, ranks - (n + 1) / 2, 0.0)
    spread = np.sqrt(np.square(centred).sum(0) / n)
    return (centred / np.where(spread > 0, spread, 1.0)).astype(np.float32)
