"""Modules that are one node: those that declare it, and those that cannot be looked into."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from metalcx.errors import DataError
from metalcx.graphs._flows import Flow
from metalcx.graphs._rules import ABSENT


@dataclass
class Leaf:
    """A module that is one node, while it runs.

    Attributes:
        module: The module.
        node: What it declares: ``op`` and further attributes.
        flows: What its own operations have read.
        macs: What they have multiplied, over the batch.
    """

    module: nn.Module
    node: dict[str, Any]
    flows: list[Flow] = field(default_factory=list)
    macs: int = 0

    def see(self, flows: list[Flow], macs: int) -> None:
        """One operation inside it."""
        self.flows += flows
        self.macs += macs

    def unseen_parameters(self) -> list[nn.Parameter]:
        """Parameters that are used without a call that could be seen, which is all of a scripted module."""
        return list(self.module.parameters()) if isinstance(self.module, torch.jit.ScriptModule) else []


@contextmanager
def watching_leaves(enter: Callable[[Leaf], None], leave: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    """Calls `enter` before and `leave` after the forward pass of every module of this thread that is one node."""
    thread = threading.get_ident()

    def before(module: nn.Module, args: Any) -> None:
        node = _declared(module) if threading.get_ident() == thread else None
        if node is not None:
            enter(Leaf(module, node))

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if threading.get_ident() == thread:
            leave(module, (args, kwargs), output)

    # Hooks on all modules, since a scripted module accepts none of its own.
    hooks = [register_module_forward_pre_hook(before), register_module_forward_hook(after, with_kwargs=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _declared(module: nn.Module) -> dict[str, Any] | None:
    if isinstance(module, torch.jit.ScriptModule):
        return {"op": "other", "name": getattr(module, "original_name", type(module).__name__)}
    node = getattr(module, "graph_node", None)
    if node is None:
        return None
    op = node.get("op") if isinstance(node, dict) else None
    if not isinstance(op, str) or op in (*ABSENT, "input", "output"):
        raise DataError(
            f"{type(module).__name__}.graph_node is {node!r:.60}; it needs the op of an operation, "
            'such as {"op": "gru", "layers": 1}'
        )
    return dict(node)
