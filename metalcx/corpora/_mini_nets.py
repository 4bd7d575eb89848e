"""Small networks that are their own graph: the stored graph is the one that is executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Node = dict[str, Any]

ACTIVATIONS = ("relu", "gelu", "tanh")


@dataclass(frozen=True)
class Architecture:
    """A directed acyclic graph of operations, nodes in topological order.

    Attributes:
        name: Id under which runs share it; equal names mean equal graphs.
        nodes: ``{"op": ..., "in": ..., "out": ..., ...}``, the first ``input``, the last ``output``.
        edges: (source, target) pairs.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]

    @property
    def n_params(self) -> int:
        """Trainable numbers of the network."""
        return sum(node.get("params", 0) for node in self.nodes)

    def graph_json(self) -> str:
        """The graph as the column `graph` of a corpus holds it."""
        return json.dumps({"nodes": self.nodes, "edges": self.edges}, separators=(",", ":"))


class _Sketch:
    """Grows a graph node by node; `at` is the node that the next one follows."""

    def __init__(self, **shape: int) -> None:
        self.nodes: list[Node] = [{"op": "input", **shape}]
        self.edges: list[tuple[int, int]] = []
        self.at = 0

    def add(self, op: str, *more_sources: int, **attributes: Any) -> int:
        node = {"op": op, "in": self.nodes[self.at]["out"], **attributes}
        node.setdefault("out", node["in"])
        for side in ("height", "width"):
            if side in self.nodes[self.at] and op != "global_pool":
                node.setdefault(side, self.nodes[self.at][side])
        params = _params(node)
        self.nodes.append(node | ({"params": params} if params else {}))
        here = len(self.nodes) - 1
        self.edges += [(source, here) for source in (self.at, *more_sources)]
        self.at = here
        return here

    def done(self, name: str) -> Architecture:
        self.add("output")
        return Architecture(name, tuple(self.nodes), tuple(self.edges))


def _params(node: Node) -> int:
    fan_in, out = node["in"], node["out"]
    if node["op"] == "linear":
        return int(fan_in * out + out)
    if node["op"] == "conv":
        return int(fan_in * out * node["kernel"] ** 2 + out)
    return 2 * int(out) if node["op"].endswith("_norm") else 0


def mlp(n_in: int, n_out: int, depth: int, width: int, activation: str, norm: str, dropout: float) -> Architecture:
    """A perceptron with `depth` hidden layers: linear, norm (``none``, ``batch``, ``layer``), activation, dropout."""
    sketch = _Sketch(out=n_in)
    for _ in range(depth):
        sketch.add("linear", out=width)
        if norm != "none":
            sketch.add(f"{norm}_norm")
        sketch.add(activation)
        if dropout > 0:
            sketch.add("dropout", p=dropout)
    sketch.add("linear", out=n_out)
    tail = f"-do{dropout:g}" if dropout > 0 else ""
    return sketch.done(f"mlp-{n_in}x{'x'.join([str(width)] * depth)}x{n_out}-{activation}-{norm}{tail}")


def cnn(
    side: int, n_out: int, channels: int, blocks: int, kernel: int, activation: str, norm: str, residual: bool
) -> Architecture:
    """A convolutional network on one-channel images of `side` x `side`.

    Stem (conv, norm, activation, 2 x 2 max pooling), `blocks` blocks of one convolution each, whose input is added
    to its output where `residual` (the pre-activation order of He et al. 2016, arXiv:1603.05027), global average
    pooling, linear read-out. Norm is ``none``, ``batch`` or ``group`` (four groups).
    """
    sketch = _Sketch(out=1, height=side, width=side)

    def normed() -> None:
        if norm != "none":
            sketch.add(f"{norm}_norm", **({"groups": 4} if norm == "group" else {}))

    sketch.add("conv", out=channels, kernel=kernel, stride=1)
    normed()
    sketch.add(activation)
    sketch.add("max_pool", kernel=2, stride=2, height=side // 2, width=side // 2)
    for _ in range(blocks):
        start = sketch.at
        normed()
        sketch.add(activation)
        sketch.add("conv", out=channels, kernel=kernel, stride=1)
        if residual:
            sketch.add("add", start)
    sketch.add("global_pool")
    sketch.add("linear", out=n_out)
    kind = "res" if residual else "plain"
    return sketch.done(f"cnn-{side}x{side}-c{channels}-b{blocks}-k{kernel}-{activation}-{norm}-{kind}-{n_out}")


class GraphNet(nn.Module):
    """Executes an `Architecture`: input (batch, features) or (batch, 1, side, side), output (batch, n_out)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.sources: list[list[int]] = [[] for _ in architecture.nodes]
        for source, target in architecture.edges:
            self.sources[target].append(source)
        self.layers = nn.ModuleList(_layer(node) for node in architecture.nodes)

    def forward(self, x: Tensor) -> Tensor:
        """The value of the output node."""
        values: list[Tensor] = []
        for layer, sources in zip(self.layers, self.sources, strict=True):
            values.append(layer(*(values[s] for s in sources)) if sources else x)
        return values[-1]


class _Add(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class _GlobalPool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


_WITHOUT_SIZES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "add": _Add,
    "global_pool": _GlobalPool,
    "input": nn.Identity,
    "output": nn.Identity,
}


def _layer(node: Node) -> nn.Module:
    op, image = node["op"], "height" in node
    if op == "linear":
        return nn.Linear(node["in"], node["out"])
    if op == "conv":
        return nn.Conv2d(node["in"], node["out"], node["kernel"], node["stride"], padding=node["kernel"] // 2)
    if op == "batch_norm":
        return nn.BatchNorm2d(node["out"]) if image else nn.BatchNorm1d(node["out"])
    if op == "layer_norm":
        return nn.LayerNorm(node["out"])
    if op == "group_norm":
        return nn.GroupNorm(node["groups"], node["out"])
    if op == "max_pool":
        return nn.MaxPool2d(node["kernel"], node["stride"])
    if op == "dropout":
        return nn.Dropout(node["p"])
    return _WITHOUT_SIZES[op]()


def build(architecture: Architecture, seed: int) -> GraphNet:
    """A freshly initialised network; draws from torch's global generator, which it seeds."""
    torch.manual_seed(seed)
    return GraphNet(architecture)
