"""What encoders are pre-trained on, and the encoders, each trained once and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metalcx import hub
from metalcx.bench._encoder_rows import ALL, OWN, PROXY, Effort, Row
from metalcx.bench._encoder_spaces import FloatArray, IntArray, Space, Table, split
from metalcx.encoders import EncoderConfig, GraphBatch, GraphEncoder, new_encoder, pretrain


@dataclass(frozen=True)
class Pool:
    """Graphs without labels, one of those that are alike.

    Attributes:
        batch: The graphs, n of them.
        proxy: What they may be ranked by, NaN where no proxy is known, shape (n,).
        group: Number of the space of each; a proxy is compared within one, shape (n,).
    """

    batch: GraphBatch
    proxy: FloatArray
    group: IntArray

    @classmethod
    def of(cls, spaces: Sequence[Space], seen: IntArray | None = None) -> Pool:
        """All graphs of some spaces, or of one those that are `seen`."""
        picked = [space.unique if seen is None else _first(space, seen) for space in spaces]
        pairs = list(zip(spaces, picked, strict=True))
        return cls(
            _side_by_side([space.batch.take(rows) for space, rows in pairs]),
            np.concatenate([space.proxy[1][rows] for space, rows in pairs]),
            np.repeat(np.arange(len(spaces)), [len(rows) for rows in picked]),
        )


def teaches(spaces: Sequence[Space], row: Row) -> bool:
    """Whether some of these spaces has what the row is about: a proxy, if it ranks by one."""
    ranks = row.kind == PROXY or (row.learned and row.lesson in ("proxy", "both"))
    return bool(spaces) and (not ranks or any(space.proxy[0] is not None for space in spaces))


def folder_name(space: str, by_group: bool, row: Row, seed: int, permutation: int) -> str:
    """Where the encoder of a row is kept; the same name for all runs that it serves."""
    half = f"{space}-half{permutation}{'' if by_group else '-by-row'}"
    about = {OWN: space, ALL: ALL}.get(row.pool, half)
    return f"{about}-{row.kind}-{row.lesson}-{seed}"


def seen(space: Space, permutation: int) -> IntArray:
    """The half of the groups that come first in this permutation, with all architectures that have a label in it."""
    everything = np.arange(len(space.batch))
    whole = Table("", everything, np.zeros(len(everything)), "")
    return np.sort(split(space, whole, permutation, labels=len(everything) // 2).train)


def pretrained(pool: Pool, row: Row, effort: Effort, seed: int, folder: Path) -> None:
    """Train the encoder of a row and keep it in its folder; a training that was killed goes on from there.

    The processor time of the last call is in its `metrics.json`.
    """
    started = time.process_time()
    encoder = new_encoder(EncoderConfig(row.kind, effort.hidden), seed)
    config = replace(effort.pretrain, task=row.lesson, seed=seed)
    checkpoint = folder.with_name(f"{folder.name}.safetensors")
    proxy = None if row.lesson == "flow" else pool.proxy
    options = {"proxy": proxy, "group": pool.group, "checkpoint": checkpoint}
    losses = pretrain(encoder, pool.batch, config, **options)  # type: ignore[arg-type]
    about = {"graphs": len(pool.batch), "surrogate_loss": float(losses[-1, 0]), "ranking_loss": float(losses[-1, 1])}
    hub.save_encoder(encoder, folder, name=folder.name, metrics={**about, "cpu": time.process_time() - started})
    checkpoint.unlink(missing_ok=True)


def encoder_of(row: Row, effort: Effort, seed: int, folder: Path) -> GraphEncoder:
    """The encoder of a row: from its folder, or as it is before it has learned anything."""
    return hub.load_encoder(folder) if row.pretrained else new_encoder(EncoderConfig(row.kind, effort.hidden), seed)


def _first(space: Space, rows: IntArray) -> IntArray:
    return rows[np.unique(space.alike[rows], return_index=True)[1]]


def _side_by_side(batches: Sequence[GraphBatch]) -> GraphBatch:
    """One batch of several, in their order."""
    sizes = np.array([(len(b.nodes), b.edges.shape[1]) for b in batches])
    nodes, edges = np.cumsum(sizes, axis=0).T - sizes.T
    parts = list(zip(batches, nodes, edges, strict=True))
    joined = GraphBatch(
        np.concatenate([b.nodes for b in batches]),
        np.concatenate([[0], *(b.offsets[1:] + n for b, n, _ in parts)]),
        np.concatenate([b.edges + n for b, n, _ in parts], axis=1),
        np.concatenate([[0], *(b.edge_offsets[1:] + e for b, _, e in parts)]),
    )
    joined.__dict__["features"] = np.concatenate([b.features for b in batches])
    return joined
