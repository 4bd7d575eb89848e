"""Several processes that train one model together, started by torchrun on one machine or on several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy.typing as npt

from metalcx.errors import DataError

Rows = TypeVar("Rows", bound=npt.NDArray[Any])


@dataclass(frozen=True)
class Crew:
    """The processes of a training, of which this is one.

    Attributes:
        rank: Which of them.
        size: How many there are.
        device: Of torch, where this one computes.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def part(self, rows: Rows) -> tuple[Rows, float]:
        """This process's part of what a step learns from, and its share of the whole.

        Raises:
            DataError: If there is less than one row a process.
        """
        if len(rows) < self.size:
            raise DataError(f"a step of {len(rows)} cannot be shared by {self.size} processes; start fewer")
        own: Rows = rows[self.rank :: self.size]  # type: ignore[assignment]
        return own, len(own) / len(rows)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier()

    def add(self, tensors: Iterable[Any]) -> None:
        """Replace every tensor by its sum over all processes."""
        if self.size == 1:
            return
        from torch import cat, distributed

        known = list(tensors)
        flat = cat([tensor.flatten() for tensor in known])
        distributed.all_reduce(flat)
        for tensor, total in zip(known, flat.split([tensor.numel() for tensor in known]), strict=True):
            tensor.copy_(total.reshape(tensor.shape))


_crew: ContextVar[Crew | None] = ContextVar("crew", default=None)


def crew() -> Crew:
    """The processes that train together here; one alone by default."""
    return _crew.get() or Crew()


@contextmanager
def joined(device: str = "cpu") -> Iterator[Crew]:
    """Train with the other processes that torchrun started, if it did; within, `crew` says which they are.

    All of them must see the same folders.

    Args:
        device: Of torch; of several GPUs of a machine each process takes its own.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        token = _crew.set(Crew(device=device))
        try:
            yield crew()
        finally:
            _crew.reset(token)
        return
    from torch import distributed

    gpu = device == "cuda"
    own = f"cuda:{os.environ['LOCAL_RANK']}" if gpu else device
    if gpu:
        import torch

        torch.cuda.set_device(own)
    # The others wait as long as the first needs to draw episodes.
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=timedelta(days=1))
    token = _crew.set(Crew(distributed.get_rank(), size, own))
    try:
        yield crew()
        distributed.barrier()
    finally:
        _crew.reset(token)
        distributed.destroy_process_group()
