"""A forward pass that leaves no trace on the module, on the random state or on gradients."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients and from a fixed seed; on leaving, everything is as it was.

    Attributes that the forward pass sets are put back, buffers and parameters that it writes to as well; what it
    appends to a list of its own is not. The weights are held twice meanwhile.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=_gpus(module)))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())
        # Compiled code calls no function that could be seen; where nothing was compiled, dynamo is not loaded.
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for tensor in chain(module.parameters(), module.buffers()):
            stack.callback(_keeper(tensor))
        for part in module.modules():
            stack.callback(_restorer(part))
            part.training = False
        _seed()
        yield


def _seed() -> None:
    # Not `torch.manual_seed`, which would set the generators of every GPU as well.
    torch.default_generator.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


def _gpus(module: nn.Module) -> list[int]:
    return sorted({p.device.index for p in module.parameters() if p.is_cuda})


def _keeper(tensor: Tensor) -> Callable[[], None]:
    """Puts the numbers of a tensor back if they have changed, past autograd, which would count it as a change."""
    if tensor.is_meta or tensor.layout != torch.strided:
        return lambda: None
    data, copy = tensor.data, tensor.detach().clone()

    def restore() -> None:
        if not torch.equal(data, copy):
            data.copy_(copy)
        if tensor.data_ptr() != data.data_ptr() or tensor.shape != data.shape:
            tensor.data = data

    return restore


def _restorer(part: nn.Module) -> Callable[[], None]:
    """Puts back the attributes of one module: its mode, what it holds, and which objects these are."""
    training = part.training
    if isinstance(part, torch.jit.ScriptModule):
        return lambda: setattr(part, "training", training)
    held = {name: dict(getattr(part, name)) for name in ("_parameters", "_buffers", "_modules")}
    attributes = dict(part.__dict__)

    def restore() -> None:
        part.__dict__.clear()
        part.__dict__.update(attributes)
        for name, entries in held.items():
            getattr(part, name).clear()
            getattr(part, name).update(entries)

    return restore
