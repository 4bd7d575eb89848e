"""Steps of training on a GPU, recorded once for each shape of their inputs and then replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

#: A shape that has occurred so often is recorded.
OFTEN = 3

Step = Callable[..., Tensor]


class Replay:
    """A step that runs as it is on a processor, and on a GPU as one launch instead of hundreds.

    Small networks leave a GPU waiting for the processor, which starts every operation apart.

    Args:
        step: From tensors (in tuples or not) to a tensor; it changes weights in place, and asks for no number.
        device: Where those tensors are.
    """

    def __init__(self, step: Step, device: str) -> None:
        self.step, self.gpu = step, device.startswith("cuda")
        self.seen: Counter[tuple[torch.Size, ...]] = Counter()
        self.recorded: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = {}

    def __call__(self, *inputs: Any) -> Tensor:
        """The step on some inputs."""
        if not self.gpu:
            return self.step(*inputs)
        flat, spec = tree_flatten(inputs)
        key = tuple(tensor.shape for tensor in flat)
        self.seen[key] += 1
        if self.seen[key] < OFTEN:
            return self._aside(inputs)
        if key not in self.recorded:
            own = [tensor.clone() for tensor in flat]
            graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            with torch.cuda.graph(graph):
                result = self.step(*tree_unflatten(own, spec))
            self.recorded[key] = graph, own, result
        graph, own, result = self.recorded[key]
        for mine, given in zip(own, flat, strict=True):
            mine.copy_(given)
        graph.replay()
        return result.clone()

    def _aside(self, inputs: tuple[Any, ...]) -> Tensor:
        """On a stream of its own, as a recording needs what came before to have been."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self.step(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return result


def optimiser_of(module: torch.nn.Module, rate: float, weight_decay: float, device: str) -> torch.optim.AdamW:
    """AdamW whose steps can be recorded where they run on a GPU, and whose rate can be changed between them."""
    gpu = device.startswith("cuda")
    own = torch.tensor(rate, device=device) if gpu else rate
    return torch.optim.AdamW(module.parameters(), lr=own, weight_decay=weight_decay, capturable=gpu)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Change the learning rate, in place where a recorded step reads it."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """One step down a loss."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    # Not backward(), whose sums belong to the stream on which a weight was first used.
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
        weight.grad = gradient
    optimiser.step()


def one_seed(*parts: int) -> int:
    """A seed that changes with each of its parts."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Within, compute on a device and draw from generators of a seed; the global ones are left as they were."""
    gpu = device.startswith("cuda")
    # Streams and recordings are of the current GPU.
    with (
        torch.cuda.device(device) if gpu else nullcontext(),
        torch.random.fork_rng(devices=[torch.cuda.current_device()] if gpu else []),
    ):
        torch.manual_seed(seed)
        yield
