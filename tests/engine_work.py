"""Functions that tests of the build engine have run: in this process, in workers of Ray, in drivers that are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np


def noise(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(seed, 3)), "word": np.array([f"µ{seed}"]), "on": np.array(seed % 2 == 0)}


def learn(seed: int) -> dict[str, np.ndarray]:
    """Train a network that is large enough for torch to share its sums among threads, were it let to."""
    import torch

    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(4096, 96, generator=rng), torch.randn(4096, 16, generator=rng)
    w = [torch.randn(96, 128, generator=rng) / 10, torch.randn(128, 16, generator=rng) / 10]
    losses = []
    for _ in range(15):
        for weight in w:
            weight.requires_grad_()
        loss = ((torch.tanh(x @ w[0]) @ w[1] - y) ** 2).mean()
        steps = torch.autograd.grad(loss, w)
        w = [(weight - 0.1 * step).detach() for weight, step in zip(w, steps, strict=True)]
        losses.append(loss.item())
    return {"losses": np.array(losses), "w0": w[0].numpy(), "w1": w[1].numpy()}


def devices(work: Any) -> dict[str, np.ndarray]:
    """The GPUs that this process may see."""
    return {"gpus": np.array(os.environ.get("CUDA_VISIBLE_DEVICES", ""))}


def mark(folder: str, name: str) -> int:
    """Leave a mark for a run that begins, named after its process; returns which run of `name` this is."""
    (Path(folder) / f"{name}.{os.getpid()}.{time.time_ns()}").touch()
    return runs(Path(folder), name)


def runs(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"{name}.*")))


def marked(work: dict[str, Any]) -> dict[str, np.ndarray]:
    """`noise` that leaves a mark and takes a while."""
    mark(work["marks"], f"p{work['seed']}")
    time.sleep(work.get("seconds", 0.0))
    return noise(work["seed"])


def dying(work: dict[str, Any]) -> dict[str, np.ndarray]:
    """`noise` whose process dies in the first `work["deaths"]` runs."""
    run = mark(work["marks"], f"p{work['seed']}")
    if run <= work["deaths"] and run % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    elif run <= work["deaths"]:
        os._exit(1)
    return noise(work["seed"])


class OddError(Exception):
    """One that cannot be pickled."""

    def __init__(self, a: str, b: str) -> None:
        super().__init__(f"{a} {b}")
        self.file = open(os.devnull)  # noqa: SIM115


def failing(seed: int) -> dict[str, np.ndarray]:
    if seed == 3:
        raise OddError("learning rate", "missing")
    return noise(seed)
