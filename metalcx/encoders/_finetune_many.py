"""Many fine-tunings as one: rankers that start alike or not, of one shape, each with labels of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx._device import check_device
from metalcx._schedule import warmed_and_annealed
from metalcx.encoders._batch import FloatArray, GraphBatch, IntArray
from metalcx.encoders._encoder import chunks
from metalcx.encoders._inputs import Inputs, Table, inputs_of
from metalcx.encoders._pretrain import Progress
from metalcx.encoders._ranker import FinetuneConfig, Ranker
from metalcx.encoders._ranking import hinge, kendall
from metalcx.encoders._replay import Replay, descend, one_seed, optimiser_of, seeded, set_rate
from metalcx.encoders._stack import Stack
from metalcx.errors import DataError, ModelError


class Lesson(NamedTuple):
    """Graphs of one dataset and what they reached there.

    Attributes:
        graphs: Their numbers, shape (n,).
        values: Higher is better, shape (n,).
    """

    graphs: IntArray
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One fine-tuning.

    Attributes:
        start: Where it begins; untouched.
        lessons: What is learned from, a lesson a dataset; graphs of different ones are not compared.
        valid: What decides which epoch is kept. Without it, the last.
        seed: Of the order in which graphs come.
    """

    start: Ranker
    lessons: tuple[Lesson, ...]
    valid: Lesson | None = None
    seed: int = 0


def finetune_many(
    graphs: GraphBatch,
    jobs: Sequence[Job],
    config: FinetuneConfig,
    *,
    extra: FloatArray | None = None,
    unmoved: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[Ranker]:
    """What `finetune` makes of every job, but for rounding and dropout; faster than one after another.

    Args:
        graphs: All graphs that jobs are about.
        jobs: Those with validation have as many graphs for it, and all as many steps in an epoch.
        config: Settings; the seed is that of each job.
        extra: Further columns of all graphs, shape (graphs, q).
        unmoved: Whether a ranker stays as it was if no epoch validates better.
        device: Of torch, where to train.
        progress: Called with (epochs done, epochs, note).

    Raises:
        DataError: If jobs cannot go in step.
        ModelError: If a loss stops being a number.
    """
    check_device(device)
    training = _Training(graphs, jobs, config, extra, device)
    with seeded(one_seed(*(job.seed for job in jobs)), device):
        if unmoved:
            training.judge()
        for epoch in range(training.epochs):
            share = (epoch + 0.5) / training.epochs
            set_rate(training.optimiser, config.rate * (warmed_and_annealed(share) if config.annealed else 1.0))
            training.learn()
            tau = training.judge()
            if progress is not None:
                progress(epoch + 1, training.epochs, f"fine-tuning, Kendall tau {tau:.4f}")
    return training.result()


class _Training:
    def __init__(
        self,
        graphs: GraphBatch,
        jobs: Sequence[Job],
        config: FinetuneConfig,
        extra: FloatArray | None,
        device: str,
    ) -> None:
        walked = jobs[0].start.encoder.walks
        self.jobs, self.config, self.device = jobs, config, device
        self.table = Table(graphs, walked, device)
        extra = np.zeros((len(graphs), 0), np.float32) if extra is None else extra
        self.extra = torch.from_numpy(np.concatenate([extra, np.zeros_like(extra, shape=(1, extra.shape[1]))]))
        self.stack = Stack([job.start for job in jobs], device)
        self.optimiser = optimiser_of(self.stack, config.rate, config.weight_decay, device)
        self.step = Replay(self._step, device)
        self.randoms = [np.random.default_rng(job.seed) for job in jobs]
        self.valid = self._validation()
        self.best = torch.full((len(jobs),), -np.inf, dtype=torch.float64, device=device)
        self.kept = self.stack.kept()

    @property
    def epochs(self) -> int:
        """Passes over all lessons."""
        if self.config.most_steps is None:
            return self.config.epochs
        steps = sum(_parts(len(lesson.graphs), self.config.batch) for lesson in self.jobs[0].lessons)
        return min(self.config.epochs, -(-self.config.most_steps // steps))

    def learn(self) -> None:
        """One pass over all lessons."""
        self.stack.train()
        steps = [
            list(_steps(job.lessons, self.config.batch, r)) for job, r in zip(self.jobs, self.randoms, strict=True)
        ]
        if len({len(own) for own in steps}) > 1:
            raise DataError("the trainings have epochs of different length; do them apart")
        losses = [self.step(*self._put(parts), self._pairs(parts)) for parts in zip(*steps, strict=True)]
        loss = torch.stack(losses)
        if not torch.isfinite(loss).all():
            raise ModelError(f"the loss of fine-tuning is {float(loss[~torch.isfinite(loss)][0])}; lower the rate")

    def judge(self) -> float:
        """Keep what validates better than before; the mean of Kendall's tau now."""
        if self.valid is None:
            return 0.0
        inputs, extra, values = self.valid
        with torch.no_grad():
            tau = kendall(self.stack.eval()(inputs, extra)[:, :-1], values)
        better = tau > self.best
        self.best = torch.maximum(self.best, tau)
        self.stack.keep(self.kept, better)
        return float(tau.mean())

    def result(self) -> list[Ranker]:
        """The rankers, each of its best epoch, or of the last."""
        if self.valid is not None:
            self.stack.put_back(self.kept)
        return self.stack.unstacked()

    def _step(self, inputs: Inputs, extra: Tensor, values: Tensor, pairs: Tensor) -> Tensor:
        scores = self.stack(inputs, extra)
        losses = hinge(scores, values, pairs, self.config.margin)
        descend(losses.sum(), self.optimiser)
        return losses.detach()

    def _put(self, parts: Sequence[Lesson]) -> tuple[Inputs, Tensor, Tensor]:
        """Graphs of all jobs, on the device, with further columns and values; of what is there for its number NaN."""
        n = max(len(part.graphs) for part in parts)
        index, values = np.full((len(parts), n), -1), np.full((len(parts), n + 1), np.nan)
        for row, column, part in zip(index, values, parts, strict=True):
            row[: len(part.graphs)], column[: len(part.graphs)] = part
        beside = self.extra[torch.from_numpy(np.pad(index, ((0, 0), (0, 1)), constant_values=-1))]
        return self.table.take(index), beside.to(self.device), torch.from_numpy(values).to(self.device)

    def _pairs(self, parts: Sequence[Lesson]) -> Tensor:
        """All pairs of a step's graphs, for every job, shape (jobs, 2, pairs)."""
        n = max(len(part.graphs) for part in parts)
        return torch.triu_indices(n, n, 1, device=self.device).repeat(len(parts), 1, 1)

    def _validation(self) -> tuple[Inputs, Tensor, Tensor] | None:
        judged = [job.valid for job in self.jobs if job.valid is not None]
        if not judged:
            return None
        if len(judged) < len(self.jobs) or len({len(part.graphs) for part in judged}) > 1:
            raise DataError("the trainings have validations of different size; do them apart")
        inputs, extra, values = self._put(judged)
        return inputs, extra, values[:, :-1]


def _steps(lessons: Sequence[Lesson], size: int, random: np.random.Generator) -> Iterator[Lesson]:
    """All graphs once, in steps of one lesson each, the lessons in turn by chance."""
    steps = []
    for lesson in lessons:
        order = random.permutation(len(lesson.graphs))
        for part in np.array_split(order, _parts(len(order), size)):
            steps.append(Lesson(lesson.graphs[part], lesson.values[part]))
    return (steps[place] for place in random.permutation(len(steps)))


def _parts(n: int, size: int) -> int:
    """How many steps n graphs make."""
    return max(1, round(n / size))


def scores_of_all(
    rankers: Sequence[Ranker], graphs: GraphBatch, extra: FloatArray | None = None, device: str = "cpu"
) -> npt.NDArray[np.float64]:
    """What each ranker says of all graphs, shape (rankers, graphs).

    Args:
        rankers: Of one shape.
        graphs: The graphs.
        extra: Their further columns, shape (graphs, q).
        device: Of torch, where to compute.
    """
    if device == "cpu" or rankers[0].encoder.walks:  # one after another stays in the cache, and walks in place
        return np.stack([ranker.score(graphs, extra) for ranker in rankers])
    stack, found = Stack(rankers, device).eval(), [np.zeros((len(rankers), 0))]
    table = torch.zeros(len(graphs), 0) if extra is None else torch.from_numpy(extra)
    with torch.inference_mode():
        for part in chunks(graphs):
            inputs = inputs_of(graphs.take(part), walked=False).to(device)
            scores = stack(inputs, table[torch.from_numpy(part)].to(device), shared=True)
            found.append(scores.double().cpu().numpy())
    return np.concatenate(found, axis=1)
