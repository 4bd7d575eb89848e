"""Drawing: every node is labelled, nothing overlaps, edges end where their nodes are, and all flows downwards."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from metalcx.graphs import ArchGraph, draw, from_nasbench201, trace
from metalcx.graphs._draw import _COLOURS
from metalcx.graphs._layered import layered

from . import nets
from .test_arch import graphs

CELL = from_nasbench201("|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|")


def boxes(ax):
    return [patch.get_bbox() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def png(ax, tmp_path):
    ax.figure.savefig(tmp_path / "graph.png")
    return (tmp_path / "graph.png").read_bytes()


@pytest.mark.parametrize(
    "graph",
    [CELL, trace(nets.ResNet(), torch.zeros(1, 3, 8, 8)), trace(nets.VisionTransformer(), torch.zeros(1, 3, 8, 8))],
)
def test_every_node_is_labelled_inside_its_box(graph, tmp_path):
    ax = draw(graph)
    assert png(ax, tmp_path).startswith(b"\x89PNG")
    assert [text.get_text().split()[0] for text in ax.texts] == [node["op"] for node in graph.nodes]
    for text, box in zip(ax.texts, boxes(ax), strict=True):
        written = text.get_window_extent().transformed(ax.transData.inverted())
        assert box.x0 <= written.x0
        assert written.x1 <= box.x1
        assert box.y0 <= written.y0
        assert written.y1 <= box.y1
    assert sum(isinstance(patch, FancyArrowPatch) for patch in ax.patches) == len(graph.edges)


def test_labels_say_the_sizes():
    nodes = (
        {"op": "input", "out": 3, "height": 8, "width": 9},
        {"op": "conv", "kernel": 3, "kernel_width": 1, "stride": 2, "groups": 1, "out": 16},
        {"op": "reduce", "name": "max"},
        {"op": "conv", "kernel": [5, 5]},
        {"op": "output"},
    )
    ax = draw(ArchGraph(nodes, tuple(pairwise(range(5)))))
    assert [text.get_text() for text in ax.texts] == [
        "input\n3×8×9",
        "conv\n3×1, stride 2, 16",
        "reduce (max)",
        "conv\n5×5",
        "output",
    ]


@given(graphs())
@settings(max_examples=25)
def test_nothing_overlaps_and_all_flows_down(graph):
    widths = [1 + 0.1 * i for i in range(len(graph.nodes))]
    layout = layered(graph, widths, gap=0.5)
    for i, j in combinations(range(len(widths)), 2):
        apart = np.abs(layout.positions[i] - layout.positions[j])
        assert apart[1] >= 1 or apart[0] >= (widths[i] + widths[j]) / 2 + 0.5 - 1e-9
    for (source, target), path in zip(graph.edges, layout.paths, strict=True):
        assert path[0] == tuple(layout.positions[source])
        assert path[-1] == tuple(layout.positions[target])
        assert all(below[1] - above[1] == 1 for above, below in pairwise(path))
        # A line keeps clear of the nodes of the layers that it crosses.
        for x, y in path[1:-1]:
            beside = [i for i in range(len(widths)) if layout.positions[i, 1] == y]
            assert all(abs(layout.positions[i, 0] - x) >= widths[i] / 2 for i in beside)


def test_a_chain_is_straight_and_a_fork_is_even():
    ops = ({"op": "input"}, *[{"op": "a"}] * 3, {"op": "output"})
    chain = layered(ArchGraph(ops, ((0, 1), (1, 2), (2, 3), (3, 4))), [1.0] * 5, 0.2)
    assert np.allclose(chain.positions[:, 0], chain.positions[0, 0])
    fork = layered(ArchGraph(ops, ((0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4))), [1.0] * 5, 0.2)
    assert fork.positions[0, 0] == pytest.approx(fork.positions[1:4, 0].mean()) == pytest.approx(fork.positions[4, 0])


def test_inputs_stand_above_what_reads_them():
    nodes = tuple({"op": op} for op in ("input", "input", "a", "b", "c", "output"))
    layout = layered(ArchGraph(nodes, ((0, 2), (2, 3), (3, 4), (1, 4), (4, 5))), [1.0] * 6, 0.2)
    assert layout.positions[:, 1].tolist() == [0, 2, 1, 2, 3, 4]


def test_it_draws_on_axes_that_are_given():
    figure = Figure(figsize=(4, 2))
    left, right = figure.subplots(1, 2)
    assert draw(CELL, left) is left
    assert not right.texts
    # Smaller than by itself, so the letters are smaller too.
    assert left.texts[0].get_fontsize() < draw(CELL).texts[0].get_fontsize()


def test_a_graph_without_an_edge(tmp_path):
    assert png(draw(ArchGraph(({"op": "input"}, {"op": "output"}), ())), tmp_path)


def test_letters_are_read_on_every_colour():
    """Contrast of black text as the accessibility guidelines count it: 7 to 1 at least."""
    for colour in _COLOURS.values():
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        luminance = np.dot(channels, [0.2126, 0.7152, 0.0722])
        assert (luminance + 0.05) / 0.05 >= 7
