"""Several rankers as one: each learns from all labels but a fold, which chooses its epoch; their mean counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from metalcx.encoders._batch import Graph, GraphBatch, IntArray, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._finetune import Labelled
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many
from metalcx.encoders._pretrain import Progress
from metalcx.encoders._ranker import FinetuneConfig, Ranker
from metalcx.encoders._replay import one_seed
from metalcx.errors import DataError

FloatArray = npt.NDArray[np.float64]

#: Folds of the labels, and so rankers of an ensemble.
MEMBERS = 5


class Ensemble:
    """Rankers whose scores are averaged, each in units of its spread over the labelled graphs.

    Args:
        rankers: At least one.
        centre: What each says of the labelled graphs, on average, shape (rankers,).
        spread: How much that differs between them, shape (rankers,).
        validated: Mean over rankers of Kendall's tau on the labels that each did not learn from. Those chose its epoch,
            so it says which of two encoders serves better, and not how well it ranks others.
    """

    def __init__(
        self, rankers: Sequence[Ranker], centre: FloatArray, spread: FloatArray, validated: float = float("nan")
    ) -> None:
        self.rankers, self.centre, self.spread, self.validated = tuple(rankers), centre, spread, validated

    def score(self, graphs: Sequence[Graph] | GraphBatch, extra: npt.ArrayLike | None = None) -> FloatArray:
        """Scores of some graphs, each independent of which others there are, shape (graphs,); see `Ranker.score`."""
        return np.asarray(self.scores(graphs, extra).mean(0))

    def scores(self, graphs: Sequence[Graph] | GraphBatch, extra: npt.ArrayLike | None = None) -> FloatArray:
        """What each ranker says, shape (rankers, graphs): where they differ, little is known.

        Raises:
            DataError: As `Ranker.score` does.
        """
        batch = as_batch(graphs)
        said = np.stack([ranker.score(batch, extra) for ranker in self.rankers])
        return (said - self.centre[:, None]) / self.spread[:, None]


def finetune_ensemble(
    encoder: GraphEncoder,
    labelled: Labelled,
    config: FinetuneConfig | None = None,
    *,
    members: int = MEMBERS,
    progress: Progress | None = None,
) -> Ensemble:
    """Train several copies of `encoder` to rank labelled graphs; none of the labels is set aside for good.

    Args:
        encoder: Pre-trained or not; untouched.
        labelled: What is learned from, two graphs a member at least. Each member learns from all but a fold of them,
            and its epoch is that with the highest Kendall tau there.
        config: Settings; the seed also draws the folds.
        members: How many.
        progress: Called with (epochs done, epochs, note).

    Returns:
        The ensemble.

    Raises:
        DataError: If values are missing or not finite, or there are too few graphs for so many members.
        ModelError: If a loss stops being a number.
    """
    from scipy.stats import kendalltau

    config = config or FinetuneConfig()
    batch, values, extra = labelled.checked("training")
    known = Lesson(np.arange(len(batch)), values)
    jobs = ensemble_jobs(encoder, known, config, extra.shape[1], members)
    rankers = finetune_many(batch, jobs, config, extra=extra, progress=progress)
    said = np.stack([ranker.score(batch, extra) for ranker in rankers])
    tau = [
        kendalltau(own[job.valid.graphs], job.valid.values).statistic
        for own, job in zip(said, jobs, strict=True)
        if job.valid
    ]
    return Ensemble(rankers, said.mean(1), spread_of(said), float(np.nanmean(tau)) if np.isfinite(tau).any() else 0.0)


def ensemble_jobs(
    encoder: GraphEncoder, known: Lesson, config: FinetuneConfig, extra: int = 0, members: int = MEMBERS
) -> list[Job]:
    """The trainings of an ensemble: heads, orders and validation differ.

    Raises:
        DataError: If there are fewer than two members, or too few graphs for them.
    """
    size = len(known.graphs) // max(members, 1)
    if members < 2 or size < 2:
        raise DataError(
            f"{len(known.graphs)} labelled graphs for {members} members; an ensemble has 2 members or more, "
            "and 2 graphs for each"
        )
    order = np.random.default_rng(config.seed).permutation(len(known.graphs))
    return [_job(encoder, known, config, extra, order, slice(m * size, (m + 1) * size), m) for m in range(members)]


def _job(
    encoder: GraphEncoder, known: Lesson, config: FinetuneConfig, extra: int, order: IntArray, fold: slice, member: int
) -> Job:
    seed = one_seed(config.seed, member)
    train, valid = np.delete(order, fold), order[fold]
    start = Ranker.fresh(encoder, replace(config, seed=seed), extra)
    return Job(
        start,
        (Lesson(known.graphs[train], known.values[train]),),
        Lesson(known.graphs[valid], known.values[valid]),
        seed,
    )


def spread_of(said: FloatArray) -> FloatArray:
    """Standard deviation of each ranker's scores, 1 for one who tells no graph from another, shape (rankers,)."""
    spread = said.std(1)
    return np.where(spread > 0, spread, 1.0)
