"""Architectures that are chains: NAS-Bench-Macro, MetaQNN, recurrent classifiers, lists of layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from metalcx._json import loads
from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import chain, chained
from metalcx.graphs._words import operation, plain_words, refuse

_BLOCKS = ("identity", "mbconv3x3_e3", "mbconv5x5_e6")
_MACRO = "the architecture of NAS-Bench-Macro"
_METAQNN = "the MetaQNN network"
_RNN = "the recurrent network"
_LAYER = re.compile(r"([A-Z]+)\((\d{1,9}(?:,\s*\d{1,9})*)\)", re.ASCII)
# MetaQNN's layers: operation, and what its arguments are. D(k, n) is the k-th of n dropouts.
_LAYERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "C": ("conv", ("out", "kernel", "stride")),
    "P": ("max_pool", ("kernel", "stride")),
    "D": ("dropout", ("index",)),
    "FC": ("linear", ("out",)),
    "GAP": ("global_pool", ("out",)),
    "SM": ("softmax", ("out",)),
}
_STACK = re.compile(r"([a-z]+)-l(\d{1,3})-u(\d{1,6})", re.ASCII)
_CELL = re.compile(r"([a-z]+)-(\d{1,6})(?:-.*)?", re.ASCII)


def from_nasbench_macro(text: str) -> ArchGraph:
    """The eight blocks of NAS-Bench-Macro (Su et al., CVPR 2021), such as ``02012100``.

    A digit is a block: 0 the identity, 1 an inverted bottleneck of kernel 3 and expansion 3, 2 of kernel 5 and
    expansion 6.

    Raises:
        DataError: If these are not eight digits from 0 to 2.
    """
    if re.fullmatch("[012]{8}", text, re.ASCII) is None:
        raise refuse(_MACRO, text, "is eight digits from 0 to 2")
    return chain([{"op": _BLOCKS[int(digit)]} for digit in text])


def to_nasbench_macro(graph: ArchGraph) -> str:
    """The text that `from_nasbench_macro` makes this graph of.

    Raises:
        DataError: If the graph is no chain of eight such blocks.
    """
    plain_words(graph, _MACRO)
    blocks = [node["op"] for node in chained(graph, _MACRO)]
    if len(blocks) != 8 or not set(blocks) <= set(_BLOCKS):
        raise DataError(f"the graph holds {len(blocks)} operations; {_MACRO} has eight of {', '.join(_BLOCKS)}")
    return "".join(str(_BLOCKS.index(block)) for block in blocks)


def all_nasbench_macro() -> Iterator[tuple[str, ArchGraph]]:
    """All 6,561 architectures of NAS-Bench-Macro as text and graph."""
    for digits in product("012", repeat=8):
        yield "".join(digits), from_nasbench_macro("".join(digits))


def from_metaqnn(text: str) -> ArchGraph:
    """The layers of a MetaQNN network (Baker et al., ICLR 2017), such as ``[C(64,1,1), P(2,2), D(1,1), SM(10)]``.

    Raises:
        DataError: If a layer is not known, or has too few sizes.
    """
    inner = text.strip().removeprefix("[").removesuffix("]")
    rest = _LAYER.sub("", inner).replace(",", "").strip()
    if rest or not inner.strip():
        raise refuse(_METAQNN, text, f"{rest!r:.40} is no layer such as C(64,3,1)")
    return chain([_layer(kind, sizes, text) for kind, sizes in _LAYER.findall(inner)])


def _layer(kind: str, arguments: str, text: str) -> dict[str, Any]:
    word, names = _LAYERS.get(kind, ("", ()))
    sizes = [int(size) for size in arguments.split(",")]
    if len(sizes) < max(1, len(names)) or not word:
        raise refuse(_METAQNN, text, f"{kind}({arguments}) is no layer with its sizes; known are {', '.join(_LAYERS)}")
    return {"op": word, **dict(zip(names, sizes, strict=False))}


def to_metaqnn(graph: ArchGraph) -> str:
    """The text that `from_metaqnn` makes this graph of.

    Raises:
        DataError: If the graph is no chain of such layers.
    """
    layers = chained(graph, _METAQNN)
    dropouts = sum(layer["op"] == "dropout" for layer in layers)
    return f"[{', '.join(_written(layer, dropouts) for layer in layers)}]"


def _written(layer: Mapping[str, Any], dropouts: int) -> str:
    for kind, (word, names) in _LAYERS.items():
        if layer["op"] == word and layer.keys() == {"op", *names}:
            sizes = [layer[name] for name in names] + ([dropouts] if word == "dropout" else [])
            return f"{kind}({','.join(map(str, sizes))})"
    raise DataError(f"the graph has the operation {layer!r:.60}, which is no layer of MetaQNN")


def from_rnn(text: str) -> ArchGraph:
    """A recurrent network on tokens, as the corpora name them: ``lstm-l2-u90`` or ``irnn-64-relu_last-patch32``.

    The first is layers and units, with an embedding as wide; the second a cell and its units, and then what is said
    of initial values, pooling and patch length, which the graph leaves out.

    Raises:
        DataError: If the text is neither.
    """
    stack, cell = _STACK.fullmatch(text), _CELL.fullmatch(text)
    if stack is not None:
        units = {"out": int(stack[3])}
        layer = {"op": operation(stack[1], _RNN, text), **units}
        return chain([{"op": "embedding", **units}, *[layer] * int(stack[2]), {"op": "linear"}])
    if cell is None:
        raise refuse(_RNN, text, "is neither like lstm-l2-u90 nor like gru-64-avg-patch32")
    return chain([{"op": "embedding"}, {"op": operation(cell[1], _RNN, text), "out": int(cell[2])}, {"op": "linear"}])


def from_layers(layers: Sequence[str | Mapping[str, Any]] | str) -> ArchGraph:
    """A chain of layers, each a word or a dict with ``op`` and further attributes; or such a list as JSON.

    Raises:
        DataError: If it is no list of such layers.
    """
    found = _from_json(layers) if isinstance(layers, str) else layers
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise refuse("the list of layers", layers, 'is no list such as ["conv3x3", {"op": "linear", "out": 10}]')
    nodes = [dict(layer) if isinstance(layer, Mapping) else {"op": layer} for layer in found]
    return chain([{**node, "op": operation(node.get("op"), "the list of layers", layers)} for node in nodes])


def _from_json(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise refuse("the list of layers", text, f"is not JSON ({error})") from error
