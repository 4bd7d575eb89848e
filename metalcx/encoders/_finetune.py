"""From a few labelled graphs to a predictor that ranks all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many
from metalcx.encoders._pretrain import Progress
from metalcx.encoders._ranker import FinetuneConfig, Ranker, columns
from metalcx.errors import DataError


class Labelled(NamedTuple):
    """Graphs and what is known of each.

    Attributes:
        graphs: The graphs.
        values: What they reached, higher is better, shape (graphs,).
        extra: What else their score may be read from, such as zero-cost proxies, shape (graphs, q); numbers around
            0 and 1 serve best, as `standard_ranks` makes them. None for nothing.
    """

    graphs: Sequence[Graph] | GraphBatch
    values: npt.ArrayLike
    extra: npt.ArrayLike | None = None

    def checked(self, what: str) -> tuple[GraphBatch, npt.NDArray[np.float64], FloatArray]:
        """Batch, values, and further columns.

        Raises:
            DataError: If there are not as many values as graphs, or a number is not finite.
        """
        batch, values = as_batch(self.graphs), np.asarray(self.values, dtype=np.float64)
        if values.shape != (len(batch),):
            raise DataError(f"{what}: values of shape {values.shape} for {len(batch)} graphs; give one for each")
        if not np.isfinite(values).all():
            raise DataError(f"{what}: {(~np.isfinite(values)).sum()} values are not finite; leave those graphs out")
        return batch, values, columns(self.extra, len(batch), what)


def finetune(
    encoder: GraphEncoder,
    train: Labelled,
    valid: Labelled | None = None,
    config: FinetuneConfig | None = None,
    progress: Progress | None = None,
) -> Ranker:
    """Train a copy of `encoder`, with a new head on it, to rank labelled graphs.

    Args:
        encoder: Pre-trained or not; untouched.
        train: What is learned from; its further columns are read by the head beside the embedding.
        valid: What decides which epoch is kept: the first with the highest Kendall tau. Without it, the last. Has the
            same further columns.
        config: Settings.
        progress: Called with (epochs done, epochs, note).

    Returns:
        The ranker.

    Raises:
        DataError: If values are missing or not finite, or fewer than two graphs are labelled.
        ModelError: If the loss stops being a number.
    """
    config = config or FinetuneConfig()
    parts = [train.checked("training"), *([valid.checked("validation")] if valid is not None else [])]
    n, q = len(parts[0][0]), parts[0][2].shape[1]
    if n < 2:
        raise DataError(f"{n} labelled graphs can be put in no order; give at least 2")
    if valid is not None and parts[1][2].shape[1] != q:
        raise DataError(f"validation: {parts[1][2].shape[1]} further columns; training has {q}")
    batch = GraphBatch.joined([part[0] for part in parts])
    judged = Lesson(np.arange(n, len(batch)), parts[1][1]) if valid is not None else None
    job = Job(Ranker.fresh(encoder, config, q), (Lesson(np.arange(n), parts[0][1]),), judged, config.seed)
    extra = np.concatenate([part[2] for part in parts])
    return finetune_many(batch, [job], config, extra=extra, progress=progress)[0]
