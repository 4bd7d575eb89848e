"""Pictures of graphs. matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._layered import Layout, layered
from metalcx.graphs._vocabulary import FEATURES, describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Fills from the palette of Okabe and Ito (2008), mixed with white so that black text is read on them; the first kind
# that fits counts. The words say the same, so nothing is told by colour alone.
_COLOURS = {
    "attention": "#e6bcd3",
    "recurrent": "#e6bcd3",
    "message": "#e6bcd3",
    "conv": "#99c7e0",
    "linear": "#f2cf80",
    "matmul": "#f2cf80",
    "embedding": "#f2cf80",
    "pool": "#99d8c7",
    "activation": "#f7f1a1",
    "norm": "#d9d9d9",
}
_EDGE = "#4d4d4d"

# What is written by name, where it is not 1.
_NAMED = ("back", "stride", "dilation", "groups", "heads", "layers", "directions")

# Inches.
_ROW, _HEIGHT, _GAP, _MARGIN, _LETTER = 0.66, 0.38, 0.18, 0.15, 0.068
_POINTS = 7.5


def draw(graph: ArchGraph, ax: Axes | None = None) -> Axes:
    """Draw a graph from top to bottom, each operation with its word and its sizes.

    Args:
        graph: The graph.
        ax: Where to draw, letters shrinking with it; by default a new figure as large as the graph needs.

    Returns:
        The axes drawn on.
    """
    labels = [_label(node) for node in graph.nodes]
    widths = [0.2 + _LETTER * max(map(len, label.split("\n"))) for label in labels]
    layout = layered(graph, widths, _GAP)
    x, y = layout.positions[:, 0], -_ROW * layout.positions[:, 1]
    half = np.array(widths) / 2
    # Lines may go further out than nodes.
    sides = [point[0] for path in layout.paths for point in path] + [*(x - half), *(x + half)]
    box = (min(sides) - _MARGIN, max(sides) + _MARGIN, min(y) - _HEIGHT / 2 - _MARGIN, _HEIGHT / 2 + _MARGIN)
    ax, scale = _axes(ax, box)
    _draw_edges(ax, layout, scale)
    for node, label, place in zip(graph.nodes, labels, zip(x, y, widths, strict=True), strict=True):
        _draw_node(ax, node, label, place, scale)
    return ax


def _axes(ax: Axes | None, box: tuple[float, float, float, float]) -> tuple[Axes, float]:
    """Axes on which a unit is an inch, and how much smaller (or larger) an inch is on them."""
    left, right, bottom, top = box
    if ax is None:
        from matplotlib.figure import Figure

        # Not pyplot: it would keep every figure alive, and choose a window system.
        ax = Figure(figsize=(right - left, top - bottom)).add_axes((0, 0, 1, 1))
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.set_axis_off()
    corners = ax.get_window_extent()
    inches = corners.width / ax.figure.dpi, corners.height / ax.figure.dpi
    return ax, min(inches[0] / (right - left), inches[1] / (top - bottom))


def _draw_edges(ax: Axes, layout: Layout, scale: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7 * scale, "linewidth": 0.9 * scale}
    for points in layout.paths:
        ax.add_patch(FancyArrowPatch(path=_curve(points), shrinkA=0, shrinkB=0, color=_EDGE, zorder=1, **look))


def _curve(points: Sequence[tuple[float, float]]) -> Any:
    """Straight down through each layer, and bending in between."""
    from matplotlib.path import Path

    corners, codes = [(points[0][0], -_ROW * points[0][1] - _HEIGHT / 2)], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        start, end = -_ROW * y0 - _HEIGHT / 2, -_ROW * y1 + _HEIGHT / 2
        middle = (start + end) / 2
        if corners[-1] != (x0, start):
            corners.append((x0, start))
            codes.append(Path.LINETO)
        corners += [(x0, middle), (x1, middle), (x1, end)]
        codes += [Path.CURVE4] * 3
    return Path(corners, codes)


def _draw_node(ax: Axes, node: Mapping[str, Any], label: str, place: tuple[float, float, float], scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y, width = place
    line = (1.6 if node["op"] in ("input", "output") else 0.8) * scale
    look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "linewidth": line, "edgecolor": "black"}
    corner = (x - width / 2, y - _HEIGHT / 2)
    ax.add_patch(FancyBboxPatch(corner, width, _HEIGHT, facecolor=_colour(node), zorder=2, **look))
    ax.text(x, y, label, ha="center", va="center", fontsize=_POINTS * scale, color="black", zorder=3, linespacing=1.1)


def _colour(node: Mapping[str, Any]) -> str:
    row = describe([node])[0]
    return next((colour for kind, colour in _COLOURS.items() if row[FEATURES.index(kind)]), "white")


def _label(node: Mapping[str, Any]) -> str:
    """The word, and on a second line what its sizes are."""
    word = f"{node['op']} ({node['name']})" if "name" in node else str(node["op"])
    kernel = node.get("kernel", [])
    sides = kernel if isinstance(kernel, list) else [kernel, node.get("kernel_width", kernel)]
    details = ["×".join(map(str, sides)), *(f"{key} {node[key]}" for key in _NAMED if node.get(key, 1) != 1)]
    details += ["×".join(str(node[key]) for key in ("out", "depth", "height", "width") if key in node)]
    return "\n".join(filter(None, [word, ", ".join(filter(None, details))]))
