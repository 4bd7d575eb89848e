"""Learning an order: pairs of graphs of which one is better, and the loss that asks for a margin between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def drawn_pairs(
    values: npt.NDArray[np.float64],
    most: int,
    random: np.random.Generator,
    group: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Pairs (better, worse) of places in `values`, shape (2, pairs): all there are, or `most` drawn from them.

    Args:
        values: Higher is better, shape (n,). Of equal values neither is; NaN is in no pair.
        most: How many pairs at most.
        random: Of the draw.
        group: Shape (n,); two of different groups cannot be compared and are in no pair.
    """
    n = len(values)
    if n * (n - 1) // 2 <= most:
        first, second = np.triu_indices(n, 1)
    else:
        first, second = random.integers(0, n, (2, most))
    gap = values[first] - values[second]
    better, worse = np.where(gap > 0, first, second), np.where(gap > 0, second, first)
    alike = True if group is None else group[first] == group[second]
    return np.stack([better, worse])[:, (np.abs(gap) > 0) & alike]


def hinge(scores: Tensor, pairs: npt.NDArray[np.int64], margin: float) -> Tensor:
    """Mean over pairs of what is missing to the margin: max(0, margin - (score of the better - of the worse)).

    Args:
        scores: Shape (n,).
        pairs: Shape (2, pairs); without any the loss is 0.
        margin: By how much the better should be ahead.
    """
    better, worse = torch.from_numpy(pairs)
    missing = torch.relu(margin - (scores[better] - scores[worse]))
    return missing.mean() if len(better) else 0.0 * scores.sum()


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
