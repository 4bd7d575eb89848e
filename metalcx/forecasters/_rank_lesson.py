"""What a ranker adapts to: pairs of support runs, each scored from the others."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._few_shot import Lesson, Rows
from metalcx.forecasters._rank_network import RankNetwork
from metalcx.forecasters._rank_pairs import lead, pair_losses, pairs_within, targets


@dataclass(frozen=True)
class RankLesson(Lesson[RankNetwork]):
    """Support runs, each cut and scored from the others; what is predicted of each is how far it is off its centre.

    Attributes:
        centre: Oriented, shape (items,).
        anchor: Oriented, positive, shape (items,).
        truth: What came of each item, oriented, shape (items,).
    """

    centre: FloatArray = field(kw_only=True)
    anchor: FloatArray = field(kw_only=True)
    truth: FloatArray = field(kw_only=True)

    def _pairs(self, rows: Rows) -> IntArray:
        """Pairs of the rows that were cut at the same time."""
        return pairs_within(np.flatnonzero(rows) // self.n)

    def loss(self, network: RankNetwork, rows: Rows) -> Tensor:
        """Mean cross-entropy of pairs of one cut."""
        above = self.quantiles(network, rows)[0, :, 0]
        return self._losses(above, network.sharp, rows, self._pairs(rows)).mean()

    def errors(self, held_out: FloatArray) -> FloatArray:
        """Mean cross-entropy of each item's pairs, by a network as sure as one that takes a lead as it is; (items,)."""
        rows = np.ones(len(self.y), dtype=bool)
        pairs = self._pairs(rows)
        losses = self._losses(torch.from_numpy(held_out[:, 0]), torch.zeros(()), rows, pairs).numpy()
        total = sum(np.bincount(side, losses, len(rows)) for side in pairs)
        return np.asarray(total / max(self.n - 1, 1))

    def _losses(self, above: Tensor, sharp: Tensor, rows: Rows, pairs: IntArray) -> Tensor:
        centre, anchor, truth = (
            torch.from_numpy(part[rows]).to(above) for part in (self.centre, self.anchor, self.truth)
        )
        both = torch.from_numpy(pairs)
        return pair_losses(lead(centre + anchor * above, anchor, both, sharp), targets(truth, both))
