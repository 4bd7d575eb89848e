"""A ranker that learns from labels on several datasets, of which no two are compared, and then from a few more."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from metalcx.bench._encoder_spaces import FloatArray
from metalcx.encoders import FinetuneConfig, GraphBatch, GraphEncoder, Ranker
from metalcx.encoders._layers import mlp
from metalcx.encoders._ranking import drawn_pairs, hinge
from metalcx.errors import ModelError

#: Graphs and what they reached on one dataset, shape (graphs,).
Lesson = tuple[GraphBatch, FloatArray]


def new_ranker(encoder: GraphEncoder, config: FinetuneConfig) -> Ranker:
    """A copy of the encoder with a new head on it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Ranker(copy.deepcopy(encoder), mlp(encoder.width, config.hidden, 1))


def taught(ranker: Ranker, lessons: Sequence[Lesson], config: FinetuneConfig, valid: Lesson | None = None) -> Ranker:
    """A copy of `ranker` that has learned to rank each dataset's graphs; its head goes on being the same for all.

    Args:
        ranker: Where to begin.
        lessons: One a dataset.
        config: Settings; a step is about graphs of one dataset.
        valid: What decides which epoch is kept, the one before the first among them. Without it, the last.

    Raises:
        ModelError: If the loss stops being a number.
    """
    ranker, random = copy.deepcopy(ranker), np.random.default_rng(config.seed)
    best, kept = _tau(ranker, valid), copy.deepcopy(ranker.module.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        optimiser = torch.optim.AdamW(ranker.module.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        for _ in range(config.epochs):
            ranker.module.train()
            for batch, values in _steps(lessons, config.batch, random):
                _step(ranker, optimiser, batch, values, config, random)
            ranker.module.eval()
            tau = _tau(ranker, valid)
            if tau > best or valid is None:
                best, kept = tau, copy.deepcopy(ranker.module.state_dict())
    ranker.module.load_state_dict(kept)
    return ranker


def _steps(lessons: Sequence[Lesson], size: int, random: np.random.Generator) -> Iterator[Lesson]:
    """All graphs once, in steps of one dataset each, the datasets in turn by chance."""
    steps = []
    for number, (batch, _) in enumerate(lessons):
        order = random.permutation(len(batch))
        steps += [(number, part) for part in np.array_split(order, max(1, round(len(order) / size)))]
    for place in random.permutation(len(steps)):
        number, part = steps[place]
        batch, values = lessons[number]
        yield batch.take(part), values[part]


def _step(
    ranker: Ranker,
    optimiser: torch.optim.Optimizer,
    batch: GraphBatch,
    values: FloatArray,
    config: FinetuneConfig,
    random: np.random.Generator,
) -> None:
    scores = ranker.head(ranker.encoder(batch))[:, 0]
    loss = hinge(scores, drawn_pairs(values, len(values) ** 2, random), config.margin)
    if not torch.isfinite(loss):
        raise ModelError(f"the loss on other datasets is {float(loss.detach())}; lower the rate")
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _tau(ranker: Ranker, valid: Lesson | None) -> float:
    """Kendall's tau-b on what validates; -1 where there is none, or all scores are alike."""
    from scipy.stats import kendalltau

    if valid is None:
        return -1.0
    tau = float(kendalltau(ranker.score(valid[0]), valid[1]).statistic)
    return tau if np.isfinite(tau) else -1.0
