"""Pairs of runs of one task: which there are, how likely the first is better, and what a network learns from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from metalcx.curves._batch import IntArray

#: Logits are bounded by this: one pair of which nobody could have known must not decide a step.
SUREST = 12.0


def pairs_within(owner: npt.NDArray[np.int64]) -> IntArray:
    """All pairs of different rows that have the same owner, each once, shape (2, p).

    Args:
        owner: The episode, or the cut, that each row belongs to, shape (b,).
    """
    return np.stack(np.nonzero(np.triu(owner[:, None] == owner, 1)))


def lead(score: Tensor, anchor: Tensor, pairs: Tensor, sharp: Tensor) -> Tensor:
    """Logit of the probability that the first of each pair is better, shape (p,).

    The difference of their scores in units of the pair's anchor, the root mean square of both: nearly the same for all
    runs of a task where the support is large, and there without one. Whoever has the higher score is likelier better,
    and P(i better than j) = 1 - P(j better than i), always.

    Args:
        score: Shape (b,).
        anchor: How wrong a score typically is, shape (b,); 0 for what is certain.
        pairs: Rows, shape (2, p).
        sharp: Logarithm of how fast a lead becomes sure, a scalar.
    """
    gap = score[pairs[0]] - score[pairs[1]]
    unit = ((anchor[pairs[0]].square() + anchor[pairs[1]].square()) / 2).sqrt()
    certain = torch.sign(gap) * torch.inf
    scaled = torch.where(unit > 0, sharp.exp() * gap / torch.where(unit > 0, unit, 1.0), certain.nan_to_num(nan=0.0))
    return scaled.clamp(-SUREST, SUREST)


def targets(outcome: Tensor, pairs: Tensor) -> Tensor:
    """1 where the first of a pair turned out better, 0 where the second did, .5 where both are equal; shape (p,)."""
    return (torch.sign(outcome[pairs[0]] - outcome[pairs[1]]) + 1) / 2


def pair_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each pair (Wistuba and Pedapati 2020, after RankNet: Burges et al. 2005, eq. 3), shape (p,)."""
    return binary_cross_entropy_with_logits(logits, target, reduction="none")


def by_owner(losses: Tensor, owner: Tensor, count: int) -> Tensor:
    """Mean loss of each owner's pairs, 0 where there are none, shape (count,).

    Args:
        losses: Shape (p,).
        owner: Of each pair, shape (p,).
        count: How many owners there are.
    """
    total = torch.zeros(count, dtype=losses.dtype, device=losses.device).index_add(0, owner, losses)
    return total / torch.bincount(owner, minlength=count).clamp(min=1)
