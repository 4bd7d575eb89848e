"""Pre-training without labels: an encoder learns to tell the flow surrogate, and to rank by a zero-cost proxy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx._checkpoint import Checkpoint, other_training, save_checkpoint
from metalcx._device import check_device
from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._lessons import Lessons
from metalcx.encoders._pretrain_config import PretrainConfig
from metalcx.encoders._pretraining import Heads, Training
from metalcx.encoders._replay import seeded
from metalcx.errors import DataError

#: ``progress(done, total, note)``.
Progress = Callable[[int, int, str], None]


def pretrain(
    encoder: GraphEncoder,
    graphs: Sequence[Graph] | GraphBatch,
    config: PretrainConfig | None = None,
    *,
    proxy: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FloatArray:
    """Pre-train `encoder` in place. Which graphs are given decides what it may know: no label is used.

    An epoch's randomness comes from its number alone, so that going on from a checkpoint gives the same weights; on a
    GPU but for rounding, as sums are taken there in an order that changes.

    Args:
        encoder: What to train.
        graphs: All that it sees; with those that are judged later it is transductive, without them inductive.
        config: Settings; see `PretrainConfig`.
        proxy: What to rank by, higher is better, shape (graphs,), or (graphs, p) for p proxies at once, each by an
            output of its own and with the same say; NaN where it is not known. Needed unless the task is ``flow``.
        group: Number of the search space of each graph, shape (graphs,): proxies are compared within one only. All
            are of one by default.
        checkpoint: A file to go on from if it is there, and to write to.
        device: Of torch, where to train; the numbers depend on it.
        progress: Called with (epochs done, epochs, note).

    Returns:
        Mean loss of the surrogate and of the ranking in each epoch, float32, shape (epochs, 2). The first is a
        squared error summed over coordinates: k for one who tells the mean of standardised surrogates.

    Raises:
        DataError: If there is no graph, or the proxy is missing or has another shape.
        ModelError: If the checkpoint belongs to another training or is damaged, or the loss stops being a number.
    """
    options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "progress": progress}
    return pretrain_many([encoder], graphs, [config or PretrainConfig()], proxy=proxy, group=group, **options)[0]


def pretrain_many(
    encoders: Sequence[GraphEncoder],
    graphs: Sequence[Graph] | GraphBatch,
    configs: Sequence[PretrainConfig],
    *,
    proxy: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FloatArray:
    """What `pretrain` makes of every encoder, but for rounding and dropout; it keeps a GPU busy.

    Args:
        encoders: Of one kind and size.
        graphs: See `pretrain`, as for all that follows.
        configs: One for each encoder, alike but for task and seed.
        proxy: Shape (graphs,) or (graphs, p).
        group: Shape (graphs,).
        checkpoint: Of all together.
        device: Of torch.
        progress: Called with (epochs done, epochs, note).

    Returns:
        Losses of each, shape (encoders, epochs, 2).

    Raises:
        DataError: If configurations differ in more than task and seed, or as `pretrain` does.
        ModelError: As `pretrain` does.
    """
    if len({replace(own, task="both", seed=0) for own in configs}) > 1:
        raise DataError("configurations differ in more than task and seed; pre-train those encoders apart")
    check_device(device)
    config, batch = configs[0], as_batch(graphs)
    if not len(batch):
        raise DataError("there is no graph to pre-train on; give some")
    lessons = Lessons.of(batch, configs, proxy, group)
    with seeded(config.seed, device):
        heads = []
        for encoder, own in zip(encoders, configs, strict=True):
            torch.manual_seed(own.seed)
            heads.append(Heads(encoder, own, lessons.ranks.shape[1]))
        training = Training(heads, lessons, configs, device)
        about = _about(configs, encoders, lessons, device)
        history = _restore(checkpoint, training, about) if checkpoint is not None else torch.zeros(len(encoders), 0, 2)
        for epoch in range(history.shape[1], config.epochs):
            losses = training.epoch(epoch)
            history = torch.cat([history, losses[:, None]], 1)
            done, (surrogate, ranking) = epoch + 1, losses.mean(0)
            if checkpoint is not None and (done % config.checkpoint_every == 0 or done == config.epochs):
                save_checkpoint(checkpoint, training.stack, training.optimiser, {"about": about}, history=history)
            if progress is not None:
                progress(done, config.epochs, f"pre-training, surrogate {surrogate:.4f}, ranking {ranking:.4f}")
    for encoder, trained in zip(encoders, training.stack.unstacked(), strict=True):
        encoder.load_state_dict(trained.encoder.state_dict())
        encoder.eval()
    return history.numpy()


def _restore(path: Path, training: Training, about: str) -> Tensor:
    """Losses of the epochs that a checkpoint has behind it."""
    known = Checkpoint.read(path)
    if known is None:
        return torch.zeros(len(training.stack), 0, 2)
    if known.about.get("about") != about:
        raise other_training(path)
    known.put_into(training.stack, training.optimiser)
    return known.tensors["history"]


def _about(configs: Sequence[PretrainConfig], encoders: Sequence[GraphEncoder], lessons: Lessons, device: str) -> str:
    """All that decides what comes out: settings, what is learned from, and the weights before the first step."""
    first = hashlib.sha256()
    for encoder in encoders:
        for array in encoder.tensors().values():
            first.update(np.ascontiguousarray(array).tobytes())
    settings = {"pretrain": [asdict(own) for own in configs], "encoder": asdict(encoders[0].config)}
    settings["device"] = device.partition(":")[0]
    return json.dumps({**settings, "graphs": lessons.digest(), "weights": first.hexdigest()}, sort_keys=True)
