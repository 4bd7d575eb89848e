"""A layered layout of a DAG, after Sugiyama, Tagawa and Toda (1981): everything flows from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._rules import neighbours, topological_order

_SWEEPS = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Where things stand; y is the layer, counted downwards from 0, x in the unit of the widths.

    Attributes:
        positions: Of shape (nodes, 2), the centres of the nodes.
        paths: For each edge of the graph the points (x, y) that it goes through, its ends included, one a layer.
    """

    positions: Floats
    paths: list[list[tuple[float, float]]]


def layered(graph: ArchGraph, widths: Sequence[float], gap: float) -> Layout:
    """Nodes in layers, in an order with few crossings, close to what they are connected with, and not overlapping.

    Args:
        graph: The graph.
        widths: How wide each node is.
        gap: What is left free between two nodes of a layer.
    """
    layers = _layers(graph)
    paths, segments = _routed(graph, layers)
    wide = np.concatenate([widths, np.zeros(len(layers) - len(widths))]) + gap
    rows = [[i for i, layer in enumerate(layers) if layer == row] for row in range(max(layers) + 1)]
    before, after = neighbours(len(layers), segments)
    _order(rows, before, after)
    x = _places(rows, before, after, wide)
    positions = np.column_stack([x, layers])
    return Layout(positions[: len(widths)], [[(float(x[i]), float(layers[i])) for i in path] for path in paths])


def _layers(graph: ArchGraph) -> list[int]:
    """The longest way to each node; an input stands right above what reads it first."""
    before, after = neighbours(len(graph.nodes), graph.edges)
    layers = [0] * len(before)
    for i in topological_order(before, after):
        layers[i] = max((layers[j] + 1 for j in before[i]), default=0)
    for i, node in enumerate(graph.nodes):
        if node["op"] == "input" and not before[i]:
            layers[i] = min((layers[j] for j in after[i]), default=1) - 1
        elif node["op"] == "output":
            layers[i] = max(layers[i], 1)
    return layers


def _routed(graph: ArchGraph, layers: list[int]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """For each edge the vertices it goes through, and the segments of all; adds a vertex for each layer crossed."""
    paths: list[list[int]] = []
    segments: list[tuple[int, int]] = []
    for source, target in graph.edges:
        crossed = range(layers[source] + 1, layers[target])
        path = [source, *range(len(layers), len(layers) + len(crossed)), target]
        layers.extend(crossed)
        paths.append(path)
        segments += pairwise(path)
    return paths, segments


def _order(rows: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Sorts every layer by where its neighbours stand in the next one, downwards and upwards in turn."""
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = before if down else after
        place = {i: float(k) - len(row) / 2 for row in rows for k, i in enumerate(row)}
        for row in rows if down else rows[::-1]:
            row.sort(key=lambda i: _mean([place[j] for j in near[i]], place[i]))
            place.update({i: float(k) - len(row) / 2 for k, i in enumerate(row)})


def _places(rows: list[list[int]], before: list[list[int]], after: list[list[int]], wide: Floats) -> Floats:
    """Coordinates of least squared distance to the neighbours, layer by layer, in the order that is given."""
    from scipy.optimize import isotonic_regression

    x = np.zeros(len(wide))
    for row in rows:
        x[row] = _packed(wide[row])
    for sweep in range(_SWEEPS + 1):
        down = sweep % 2 == 0
        near = before if down else after
        for row in rows if down else rows[::-1]:
            wanted = np.array([_mean([x[j] for j in near[i]], x[i]) for i in row])
            # Without overlap is in order, once the room that each needs is taken off.
            room = _packed(wide[row])
            x[row] = isotonic_regression(wanted - room).x + room
    return x


def _packed(wide: Floats) -> Floats:
    """Centres of things this wide side by side, about 0."""
    return np.cumsum(wide) - wide / 2 - wide.sum() / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return float(sum(values) / len(values)) if values else otherwise
