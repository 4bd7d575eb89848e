"""The steps of pre-training: what stands on an encoder, what is lost, and one pass over all graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx.encoders._batch import GraphBatch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._inputs import Inputs, Table
from metalcx.encoders._layers import mlp
from metalcx.encoders._lessons import Lessons
from metalcx.encoders._pretrain_config import PretrainConfig
from metalcx.encoders._ranking import hinge, pairs_among
from metalcx.encoders._replay import Replay, descend, one_seed, optimiser_of, set_rate
from metalcx.encoders._stack import Stack
from metalcx.errors import ModelError


class Heads(nn.Module):
    """An encoder with what is put on it while it is pre-trained.

    Args:
        encoder: The encoder.
        config: Sizes of the heads.
        proxies: How many proxies there are to rank by.
    """

    def __init__(self, encoder: GraphEncoder, config: PretrainConfig, proxies: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        self.flow = mlp(encoder.width, config.flow_hidden, config.surrogate.k)
        self.proxy = mlp(encoder.width, config.proxy_hidden, proxies)

    def forward(self, graphs: GraphBatch | Inputs) -> tuple[Tensor, Tensor]:
        """Surrogates, shape (graphs, k), and what ranks by each proxy, shape (graphs, p)."""
        embedding = self.encoder(graphs)
        return self.flow(embedding), self.proxy(embedding)


class Training:
    """Several encoders in training at once.

    Args:
        heads: The encoders with what is on them.
        lessons: What they learn from.
        configs: One for each.
        device: Of torch.
    """

    def __init__(
        self, heads: Sequence[Heads], lessons: Lessons, configs: Sequence[PretrainConfig], device: str
    ) -> None:
        self.lessons, self.configs, self.config, self.device = lessons, configs, configs[0], device
        self.stack = Stack(heads, device).train()
        self.optimiser = optimiser_of(self.stack, self.config.rate, self.config.weight_decay, device)
        self.table = Table(lessons.batch, heads[0].encoder.walks, device)
        self.step = Replay(self._step, device)
        say = [(own.task != "proxy", own.task != "flow") for own in configs]
        self.say = torch.tensor(say, dtype=torch.float32, device=device)
        self.targets, self.ranks = (of.to(device) for of in (lessons.targets, torch.from_numpy(lessons.ranks)))

    def epoch(self, number: int) -> Tensor:
        """One pass over all graphs; the mean of each loss, shape (encoders, 2), 0 for what is not part of the task.

        Raises:
            ModelError: If a loss stops being a number.
        """
        set_rate(self.optimiser, self.config.rate_at(number))
        randoms = [np.random.default_rng([own.seed, number]) for own in self.configs]
        torch.manual_seed(one_seed(number, *(own.seed for own in self.configs)))
        order = np.stack([random.permutation(len(self.lessons)) for random in randoms])
        sums = torch.zeros(len(order), 2, device=self.device)
        for begin in range(0, order.shape[1], self.config.batch):
            part = order[:, begin : begin + self.config.batch]
            sums += part.shape[1] * self.step(*self._put(part, randoms))
        if not torch.isfinite(sums).all():
            raise ModelError(f"the loss of pre-training is no number in epoch {number}; lower the rate")
        return (sums / len(self.lessons)).cpu()

    def losses(self, inputs: Inputs, index: Tensor, pairs: Tensor) -> Tensor:
        """Losses of the surrogate and of the ranking, shape (encoders, 2), 0 for what is not part of the task.

        Args:
            inputs: The graphs of the step.
            index: Their numbers, shape (encoders, b).
            pairs: Places among them to compare, those of different groups as a place with itself, (encoders, 2, pairs).
        """
        told, scores = (out[:, : index.shape[1]] for out in self.stack(inputs))
        flow = (told - self.targets[index]).square().sum(2).mean(1)
        by = self.ranks[index].transpose(1, 2)
        ranking = hinge(scores.transpose(1, 2), by, pairs[:, None].expand(-1, by.shape[1], -1, -1), self.config.margin)
        return self.say * torch.stack([flow, ranking.mean(1)], 1)

    def _step(self, inputs: Inputs, index: Tensor, pairs: Tensor) -> Tensor:
        losses = self.losses(inputs, index, pairs)
        descend(
            (self.config.flow_weight * losses[:, 0] + self.config.proxy_weight * losses[:, 1]).sum(), self.optimiser
        )
        return losses.detach()

    def _put(
        self, part: npt.NDArray[np.int64], randoms: Sequence[np.random.Generator]
    ) -> tuple[Inputs, Tensor, Tensor]:
        """Graphs of a step, their numbers, and pairs among them, on the device."""
        n = part.shape[1]
        pairs = np.stack([pairs_among(n, self.config.pairs * n, random) for random in randoms])
        group = np.take_along_axis(self.lessons.group[part][:, None].repeat(2, 1), pairs, 2)
        pairs[:, 1] = np.where(group[:, 0] == group[:, 1], pairs[:, 1], pairs[:, 0])
        index, chosen = (torch.from_numpy(array).to(self.device) for array in (part, pairs))
        return self.table.take(part), index, chosen
