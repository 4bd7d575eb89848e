"""Watches the functions of torch that are called, and keeps which tensors flow into which operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._assemble import Node, assemble
from metalcx.graphs._attributes import attributes, macs, pools_everything
from metalcx.graphs._flows import Flow, Flows, merged
from metalcx.graphs._layout import Layout, asked, carried, channels, sizes, usual
from metalcx.graphs._leaves import Leaf, watching_leaves
from metalcx.graphs._operations import CONSTANT, OF_FIRST, Call, plain_name, word_of
from metalcx.graphs._tensors import tensors_in

Flowing = list[tuple[Tensor, Flow]]


class Recorder(TorchFunctionMode):
    """A mode in which every call of a torch function is looked at once it is done.

    Args:
        module: Whose parameters are counted.
        examples: The inputs.
    """

    def __init__(self, module: nn.Module, examples: Sequence[Tensor]) -> None:
        super().__init__()
        self.parameters = list(module.parameters())
        self.examples = examples
        self.flows = Flows(self.parameters)
        self.nodes: list[Node] = []
        self.leaf: Leaf | None = None
        first = examples[0]
        counts = first.ndim > 1 or (first.ndim == 1 and not first.is_floating_point())
        self.batch = max(1, int(first.shape[0])) if counts else 1
        for example in examples:
            node = self._add({"op": "input", **sizes(example, usual(example))})
            self.flows.put(example, Flow((node,), (), usual(example)))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Records what this thread does within."""
        with watching_leaves(self._enter, self._leave), self:
            yield

    def graph(self, output: Any) -> ArchGraph:
        """The graph, once the module has returned `output`."""
        flowing = self.flows.found_in(output)
        sources, params = merged(flow for _, flow in flowing)
        if not sources:
            raise DataError(
                "no number flows from the examples to the output by way of torch functions; a module that leaves "
                "torch on the way can declare itself one node, by an attribute graph_node"
            )
        tensor, flow = next((tensor, flow) for tensor, flow in flowing if flow.sources)
        self._add({"op": "output", **sizes(tensor, flow.layout)}, sources, params)
        return assemble(self.nodes, [parameter.numel() for parameter in self.parameters])

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls the function, then records it."""
        kwargs = dict(kwargs or {})
        given = list(tensors_in((args, kwargs)))
        versions = [_version(tensor) for tensor in given]
        result = func(*args, **kwargs)
        written = tuple(tensor for tensor, old in zip(given, versions, strict=True) if _version(tensor) != old)
        call = Call(plain_name(func), args, kwargs, result, written)
        flowing = self.flows.found_in(args[0] if call.name in OF_FIRST else given)
        if self.leaf is not None:
            self.leaf.see([flow for _, flow in flowing], macs(call))
            return result
        return self._record(call, flowing) if flowing else result

    def _record(self, call: Call, flowing: Flowing) -> Any:
        """Gives the results their flow; returns the result."""
        word = word_of(call, len(flowing))
        if call.name in CONSTANT:
            for result in call.results:
                self.flows.drop(result)
        elif word is None or not any(flow.sources for _, flow in flowing):
            self._contract(call, flowing)
        elif call.results:
            call = _told_apart(call, flowing)
            self._operation(word, call, flowing)
        return call.result

    def _contract(self, call: Call, flowing: Flowing) -> None:
        sources, params = merged(flow for _, flow in flowing)
        main, layout = _main(flowing)
        for result in call.results:
            if result is not main or call.wrote(result):
                flow = Flow(sources, params, carried(layout, main, result))
                self.flows.put(result, flow, call.wrote(result))

    def _operation(self, word: tuple[str, str | None], call: Call, flowing: Flowing) -> None:
        main, known = _main(flowing)
        layout, result = asked(call, main, known), call.results[0]
        self._settle(main, layout)
        after = asked(call, result, carried(layout, main, result))
        op, name = ("global_pool", None) if pools_everything(call, result, layout, main) else word
        details, named = attributes(op, call), {"op": op} | ({"name": name} if name else {})
        # Attention says its sizes itself where heads are an axis of their own, which is no width.
        size = {} if "out" in details else {"in": channels(main, layout), **sizes(result, after)}
        node = self._add(named | size | details | self._macs(macs(call)), *merged(flow for _, flow in flowing))
        for other in call.results:
            flow = Flow((node,), (), after if other.ndim == result.ndim else usual(other))
            self.flows.put(other, flow, call.wrote(other))

    def _settle(self, tensor: Tensor, layout: Layout) -> None:
        """The first operation that knows better says what the axes of an input mean."""
        for node, example in enumerate(self.examples):
            if tensor is example and self.flows.of(example) == Flow((node,), (), usual(example)):
                self.nodes[node].attributes = {"op": "input", **sizes(example, layout)}
                self.flows.put(example, Flow((node,), (), layout))

    def _enter(self, leaf: Leaf) -> None:
        self.leaf = self.leaf or leaf

    def _leave(self, module: nn.Module, values: Any, output: Any) -> None:
        leaf = self.leaf
        if leaf is None or leaf.module is not module:
            return
        self.leaf = None
        flowing = self.flows.found_in((values, leaf.unseen_parameters()))
        flows, results = [flow for _, flow in flowing] + leaf.flows, list(tensors_in(output))
        sources, params = merged(flows)
        if sources and results:
            main, layout = _main(flowing) if flowing else (results[0], usual(results[0]))
            width = {"op": "", "in": channels(main, layout), **sizes(results[0], usual(results[0]))}
            node = self._add(width | leaf.node | self._macs(leaf.macs), sources, params)
            sources, params = (node,), ()
        for result in results if flows else ():
            self.flows.put(result, Flow(sources, params, usual(result)))

    def _macs(self, total: int) -> dict[str, int]:
        return {"macs": total // self.batch} if total else {}

    def _add(self, attributes: dict[str, Any], sources: tuple[int, ...] = (), params: tuple[int, ...] = ()) -> int:
        self.nodes.append(Node(attributes, sources, params))
        return len(self.nodes) - 1


def _main(flowing: Flowing) -> tuple[Tensor, Layout]:
    """The first operand that comes from an input; of parameters, the first."""
    tensor, flow = next((found for found in flowing if found[1].sources), flowing[0])
    return tensor, flow.layout


def _told_apart(call: Call, flowing: Flowing) -> Call:
    """A dropout that does nothing returns what it was given, which may go on to be used without it: a view, then."""
    same = isinstance(call.result, Tensor) and any(call.result is tensor for tensor, _ in flowing)
    return replace(call, result=call.result.view_as(call.result)) if same and not call.written else call


def _version(tensor: Tensor) -> int:
    """Goes up when a tensor is written to in place."""
    return -1 if tensor.is_inference() else tensor._version
