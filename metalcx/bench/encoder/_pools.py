"""What encoders are pre-trained on, and the encoders, each trained once and kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from metalcx import hub
from metalcx.bench.encoder._proxies import FloatArray, IntArray, first_of
from metalcx.bench.encoder._rows import ALL, MANY, OWN, SHIPPED, Effort, Row
from metalcx.bench.encoder._spaces import Space, Table, in_order
from metalcx.encoders import EncoderConfig, GraphBatch, GraphEncoder, new_encoder
from metalcx.encoders._pretrain import pretrain_many


@dataclass(frozen=True)
class Pool:
    """Graphs without labels, one of those that are alike.

    Attributes:
        batch: The graphs, n of them.
        proxy: What they may be ranked by, NaN where a proxy is not known, shape (n, p).
        group: Number of the space of each; a proxy is compared within one, shape (n,).
    """

    batch: GraphBatch
    proxy: FloatArray
    group: IntArray

    @classmethod
    def of(cls, spaces: Sequence[Space], seen: IntArray | None = None, many: bool = False) -> Pool:
        """All graphs of some spaces, or of one those `seen`, with the best proxy of each space or with many."""
        picked = [space.unique if seen is None else _first(space, seen) for space in spaces]
        pairs = list(zip(spaces, picked, strict=True))
        return cls(
            GraphBatch.joined([space.batch.take(rows) for space, rows in pairs]),
            _proxies(pairs) if many else np.concatenate([space.proxy[1][rows] for space, rows in pairs])[:, None],
            np.repeat(np.arange(len(spaces)), [len(rows) for rows in picked]),
        )


def _proxies(pairs: Sequence[tuple[Space, IntArray]]) -> FloatArray:
    """A column for each proxy that some space knows."""
    names = list(dict.fromkeys(name for space, _ in pairs for name in space.proxies[0]))
    found = []
    for space, rows in pairs:
        own = np.full((len(rows), len(names)), np.nan)
        own[:, [names.index(name) for name in space.proxies[0]]] = space.proxies[1][rows]
        found.append(own)
    return np.concatenate(found)


def teaches(spaces: Sequence[Space], row: Row) -> bool:
    """Whether some of these spaces has what the row is about: a proxy, if it needs one."""
    return bool(spaces) and (not row.needs_proxy or any(space.proxy[0] is not None for space in spaces))


class Course(NamedTuple):
    """Encoders that are pre-trained together: of one kind, on the same graphs, by the same proxies.

    Attributes:
        name: Of the graphs, in a file's name.
        kind: Of encoders.
        many: Whether there are several proxies.
    """

    name: str
    kind: str
    many: bool

    @classmethod
    def of(cls, space: str, by_group: bool, row: Row, permutation: int) -> Course:
        """The course of a row; the same for all runs that it serves."""
        half = f"{space}-half{permutation}{'' if by_group else '-by-row'}"
        return cls({OWN: space, ALL: ALL}.get(row.pool, half), row.kind, row.lesson == MANY)

    def folder(self, lesson: str, seed: int) -> str:
        """Where an encoder is kept."""
        return f"{self.name}-{self.kind}-{lesson}-{seed}"


def seen(space: Space, permutation: int) -> IntArray:
    """The half of the groups that come first in this permutation, among them all that labels are learned of."""
    everything = np.arange(len(space.batch))
    order, place = in_order(space, Table("", everything, np.zeros(len(everything)), ""), permutation)
    return np.sort(order[: np.searchsorted(place, place[len(order) // 2])])


def pretrained(pool: Pool, course: Course, members: Sequence[tuple[str, int]], effort: Effort, root: Path) -> None:
    """Train encoders and keep each in its folder; a training that was killed goes on, if the same are asked for.

    The processor time of the last call, of which each has its share, is in their `metrics.json`.

    Args:
        pool: What they see.
        course: What they are.
        members: Lesson and seed of each.
        effort: Settings.
        root: Where the folders are.
    """
    started = time.process_time()
    encoders = [new_encoder(EncoderConfig(course.kind, effort.hidden), seed) for _, seed in members]
    configs = [replace(effort.pretrain, task=Row(course.kind, lesson).task, seed=seed) for lesson, seed in members]
    about = f"{course.name}-{course.kind}{'-many' if course.many else ''}"
    checkpoint = root / f"{about}.{crc32(repr(sorted(members)).encode()):08x}.safetensors"
    options: dict[str, Any] = {"group": pool.group, "checkpoint": checkpoint, "device": effort.device}
    losses = pretrain_many(encoders, pool.batch, configs, proxy=pool.proxy, **options)
    cpu = (time.process_time() - started) / len(members)
    for encoder, (lesson, seed), own in zip(encoders, members, losses[:, -1], strict=True):
        found = {"graphs": len(pool.batch), "surrogate_loss": float(own[0]), "ranking_loss": float(own[1]), "cpu": cpu}
        folder = root / course.folder(lesson, seed)
        hub.save_encoder(encoder, folder, name=folder.name, metrics=found)
    # Also those of a call that was ended and asked for others.
    for old in root.glob(f"{about}.????????.safetensors"):
        old.unlink(missing_ok=True)


def encoder_of(row: Row, effort: Effort, seed: int, folder: Path) -> GraphEncoder:
    """The encoder of a row: as it ships, from its folder, or as it is before it has learned anything."""
    if row.kind == SHIPPED:
        return hub.load_encoder(SHIPPED)
    return hub.load_encoder(folder) if row.pretrained else new_encoder(EncoderConfig(row.kind, effort.hidden), seed)


def _first(space: Space, rows: IntArray) -> IntArray:
    return rows[first_of(space.alike[rows])[0]]
