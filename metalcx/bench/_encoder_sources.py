"""A ranker that learns from labels on several datasets, of which no two are compared, and then from a few more."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from metalcx.bench._encoder_spaces import FloatArray
from metalcx.encoders import FinetuneConfig, GraphBatch, GraphEncoder, Ranker
from metalcx.encoders._finetune import columns, fresh_ranker, kendall, ranking_step

#: Graphs and what they reached on one dataset, shape (graphs,).
Lesson = tuple[GraphBatch, FloatArray]


def new_ranker(encoder: GraphEncoder, config: FinetuneConfig) -> Ranker:
    """A copy of the encoder with a new head on it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return fresh_ranker(encoder, config)


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
    best, kept = -np.inf, None
    if valid is not None:
        best, kept = kendall(ranker.score(valid[0]), valid[1]), copy.deepcopy(ranker.module.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        optimiser = torch.optim.AdamW(ranker.module.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        for _ in range(config.epochs):
            ranker.module.train()
            for batch, values in _steps(lessons, config.batch, random):
                ranking_step(ranker, optimiser, (batch, values, columns(None, len(values), "")), config, random)
            ranker.module.eval()
            if valid is not None and (tau := kendall(ranker.score(valid[0]), valid[1])) > best:
                best, kept = tau, copy.deepcopy(ranker.module.state_dict())
    if kept is not None:
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
