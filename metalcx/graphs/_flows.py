"""Which nodes and parameters a tensor comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from metalcx.graphs._layout import Layout, usual
from metalcx.graphs._tensors import tensors_in


@dataclass(frozen=True)
class Flow:
    """Where a tensor comes from.

    Attributes:
        sources: Numbers of nodes; several where tensors were put together without an operation.
        params: Numbers of parameters that no node has taken up yet.
        layout: What the axes mean.
    """

    sources: tuple[int, ...]
    params: tuple[int, ...]
    layout: Layout


def merged(flows: Iterable[Flow]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sources and parameters of several flows, each once, in their order."""
    flows = list(flows)
    return _once(n for flow in flows for n in flow.sources), _once(n for flow in flows for n in flow.params)


def _once(numbers: Iterator[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))


class Flows:
    """The flow of every tensor that has one; constants have none.

    Args:
        parameters: What is numbered.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = {id(parameter): i for i, parameter in enumerate(parameters)}
        # Weak, so that tracing needs no more memory than the forward pass.
        self._flows: Any = WeakIdKeyDictionary()

    def of(self, tensor: Tensor) -> Flow | None:
        """The flow of a tensor; None for a constant."""
        number = self._parameters.get(id(tensor))
        return self._flows.get(tensor) if number is None else Flow((), (number,), usual(tensor))

    def found_in(self, values: Any) -> list[tuple[Tensor, Flow]]:
        """Tensors with a flow among arguments or results."""
        flowing = ((tensor, self.of(tensor)) for tensor in tensors_in(values))
        return [(tensor, flow) for tensor, flow in flowing if flow is not None]

    def put(self, tensor: Tensor, flow: Flow, written: bool = False) -> None:
        """Sets the flow of a tensor. One that was written to in place hands it on to what it is a view of."""
        self._flows[tensor] = flow
        base = tensor._base if written else None
        if base is not None:
            known = self.of(base) or Flow((), (), usual(base))
            self._flows[base] = Flow(*merged([known, flow]), known.layout)

    def drop(self, tensor: Tensor) -> None:
        """Makes a tensor a constant."""
        self._flows.pop(tensor, None)
