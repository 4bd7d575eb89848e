"""What tracing makes of architectures as people write them; every count is worked out by hand."""

import time

import pytest
import torch
from torch import nn

from metalcx.graphs import ArchGraph, trace

from . import nets
from .reading import only, ops, sources

X = torch.randn(2, 3, 8, 8)
SEQUENCE = torch.randn(2, 5, 8)
TOKENS = torch.randint(0, 20, (2, 5))


EVERY = {
    "residual MLP": (nets.ResidualMLP, [torch.randn(6, 4)]),
    "plain CNN": (nets.plain_cnn, [X]),
    "ResNet": (nets.ResNet, [X]),
    "DenseNet": (nets.DenseNet, [X]),
    "Inception": (nets.Inception, [torch.randn(2, 4, 8, 8)]),
    "depthwise separable": (nets.separable, [torch.randn(2, 8, 8, 8)]),
    "U-Net": (nets.UNet, [torch.randn(2, 1, 9, 9)]),
    "LSTM": (lambda: nets.Recurrent(num_layers=2, bidirectional=True), [TOKENS]),
    "GRU": (lambda: nets.Recurrent(nn.GRU, batch_first=True), [TOKENS]),
    "unrolled GRU": (lambda: nets.HandWrittenGRU(8, 4, declared=False), [SEQUENCE]),
    "flash attention": (nets.FlashAttention, [SEQUENCE]),
    "plain attention": (nets.PlainAttention, [SEQUENCE]),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), [SEQUENCE]),
    "vision transformer": (nets.VisionTransformer, [X]),
    "by shape": (nets.ByShape, [X]),
    "tied": (nets.Tied, [TOKENS]),
    "Siamese": (nets.Siamese, [torch.randn(2, 4), torch.randn(2, 4)]),
}


@pytest.mark.parametrize(("make", "examples"), EVERY.values(), ids=EVERY)
def test_every_architecture_is_a_valid_graph_with_all_its_parameters(make, examples):
    module = make()
    graph = trace(module, *examples)
    unused = sum(p.numel() for name, p in module.named_parameters() if "unused" in name)
    assert graph.n_params == sum(p.numel() for p in module.parameters()) - unused
    assert ArchGraph.from_json(graph.to_json()) == graph
    assert all(source < target for source, target in graph.edges)
    assert "other" not in ops(graph)


@pytest.mark.parametrize(("make", "examples"), EVERY.values(), ids=EVERY)
def test_neither_weights_nor_batch_nor_mode_change_the_graph(make, examples):
    torch.manual_seed(1)
    one = trace(make().train(), *examples)
    assert trace(make().eval(), *(torch.cat([example] * 2) for example in examples)) == one
    assert trace(make(), *(example[:1] for example in examples)) == one


def test_residual_mlp():
    graph = trace(nets.ResidualMLP(), torch.randn(6, 4))
    block = ["linear", "relu", "dropout", "add"]
    assert ops(graph) == ["input", "linear", *block, *block, "linear", "output"]
    assert sources(graph, "add") == ["linear", "dropout"]
    assert sources(graph, "add", 1) == ["add", "dropout"]
    assert graph.nodes[1] == {"op": "linear", "in": 4, "out": 8, "params": 40, "macs": 32}
    assert graph.macs == 4 * 8 + 2 * 8 * 8 + 8 * 3
    assert graph.depth == 10


def test_plain_cnn():
    graph = trace(nets.plain_cnn(), X)
    side = {"height": 8, "width": 8}
    size = {"in": 3, "out": 8, **side, "kernel": 3, "stride": 1, "groups": 1}
    assert graph.nodes[0] == {"op": "input", "out": 3, **side}
    assert graph.nodes[1] == {"op": "conv", **size, "params": 3 * 8 * 9 + 8, "macs": 3 * 8 * 9 * 64}
    assert graph.nodes[2] == {"op": "batch_norm", "in": 8, "out": 8, **side, "params": 16}
    assert graph.nodes[4] == {"op": "max_pool", "in": 8, "out": 8, "height": 4, "width": 4, "kernel": 2, "stride": 2}
    second = graph.nodes[5]
    assert (second["kernel"], second["kernel_width"], second["stride"], second["params"]) == (1, 3, 2, 8 * 16 * 3)
    assert second["macs"] == 8 * 16 * 3 * 2 * 2
    assert ops(graph)[6:] == ["gelu", "global_pool", "linear", "output"]


def test_resnet_blocks():
    graph = trace(nets.ResNet(), X)
    assert sources(graph, "add") == ["batch_norm", "conv"]
    assert sources(graph, "add", 1) == ["batch_norm", "conv"]
    assert ops(graph).count("conv") == 6
    pool = only(graph, "global_pool")
    assert (pool["in"], pool["out"]) == (16, 16)
    convolutions = 3 * 8 * 9 * 64 + 2 * (8 * 8 * 9 * 64) + (8 * 16 + 16 * 16) * 9 * 16 + 8 * 16 * 16
    assert graph.macs == convolutions + 160


def test_densenet_reads_from_all_before():
    graph = trace(nets.DenseNet(), X)
    assert [sources(graph, "concat", i) for i in range(3)] == [
        ["input", "relu"],
        ["input", "relu", "relu"],
        ["input", "relu", "relu", "relu"],
    ]
    assert [node["out"] for node in graph.nodes if node["op"] == "concat"] == [7, 11, 15]
    assert ops(graph)[-3:] == ["global_pool", "linear", "output"]


def test_inception_branches():
    graph = trace(nets.Inception(), torch.randn(2, 4, 8, 8))
    assert sources(graph, "concat") == ["conv", "conv", "conv"]
    assert sources(graph, "avg_pool") == ["input"]
    assert (only(graph, "avg_pool")["kernel"], only(graph, "avg_pool")["stride"]) == (3, 1)
    assert graph.depth == 3


def test_depthwise_and_grouped():
    graph = trace(nets.separable(), torch.randn(2, 8, 8, 8))
    assert ops(graph) == ["input", "depthwise_conv", "conv", "relu6", "grouped_conv", "hardswish", "output"]
    assert only(graph, "depthwise_conv")["macs"] == 8 * 9 * 64
    grouped = only(graph, "grouped_conv")
    assert (grouped["groups"], grouped["params"], grouped["macs"]) == (4, 16 * 4 * 9 + 16, 16 * 4 * 9 * 36)


def test_unet():
    graph = trace(nets.UNet(), torch.randn(2, 1, 9, 9))
    assert sources(graph, "concat") == ["leaky_relu", "conv_transpose"]
    up = only(graph, "conv_transpose")
    assert (up["in"], up["out"], up["height"], up["kernel"], up["stride"]) == (8, 4, 8, 2, 2)
    assert up["macs"] == 8 * 4 * 4 * 16
    assert graph.nodes[-1] == {"op": "output", "out": 2, "height": 9, "width": 9}


def test_learned_tokens_and_places_count_where_they_join():
    graph = trace(nets.VisionTransformer(), X)
    assert ops(graph)[:5] == ["input", "conv", "concat", "add", "layer_norm"]
    assert (graph.nodes[2]["params"], graph.nodes[3]["params"]) == (8, 40)
    assert (graph.nodes[3]["in"], graph.nodes[3]["height"]) == (8, 5)


@pytest.mark.parametrize(("side", "convolutions"), [(4, 0), (8, 1), (16, 2), (32, 3)])
def test_control_flow_by_shape(side, convolutions):
    graph = trace(nets.ByShape(), torch.randn(1, 3, side, side))
    assert ops(graph) == ["input", *["conv"] * convolutions, "output"]
    assert graph.n_params == (84 if convolutions else 0)
    assert [node.get("params", 0) for node in graph.nodes[1:-1]] == [84, 0, 0][:convolutions]


def test_tied_weights_count_once():
    graph = trace(nets.Tied(), TOKENS)
    out = {"in": 6, "out": 20, "height": 5, "params": 20, "shared": True, "macs": 5 * 6 * 20}
    assert only(graph, "linear") == {"op": "linear", **out}


def test_siamese_inputs_also_when_they_are_the_same_tensor():
    x = torch.randn(2, 4)
    graph = trace(nets.Siamese(), x, x)
    assert ops(graph) == ["input", "input", "linear", "linear", "add", "elementwise", "linear", "output"]
    assert [node.get("shared") for node in graph.nodes[2:4]] == [None, True]
    assert [node.get("name") for node in graph.nodes[4:6]] == ["sub", "abs"]
    assert graph.macs == 2 * 12 + 3


def test_what_is_not_used_vanishes():
    module = nets.Unused()
    graph = trace(module, torch.randn(2, 4), torch.randn(2, 1))
    assert ops(graph) == ["input", "linear", "output"]
    assert graph.n_params == 10
    assert not hasattr(module, "seen")


def test_weight_norm_counts_where_the_weight_is_used():
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    graph = trace(module, torch.randn(2, 4))
    assert ops(graph) == ["input", "linear", "output"]
    assert graph.n_params == 12 + 3 + 3


def bottleneck(inside, middle, stride):
    return nn.Sequential(
        nn.Conv2d(inside, middle, 1), nn.BatchNorm2d(middle), nn.ReLU(),
        nn.Conv2d(middle, middle, 3, stride, 1), nn.BatchNorm2d(middle), nn.ReLU(),
        nn.Conv2d(middle, 4 * middle, 1), nn.BatchNorm2d(4 * middle), nn.ReLU(),
    )  # fmt: skip


def test_it_is_fast():
    mlp = nets.ResidualMLP()
    trace(mlp, torch.randn(1, 4))  # the first call loads what is needed
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        trace(mlp, torch.randn(1, 4))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05
    deep = nn.Sequential(nn.Conv2d(3, 256, 7, 4, 3), *(bottleneck(256, 64, 1) for _ in range(16)))
    start = time.perf_counter()
    graph = trace(deep, torch.randn(1, 3, 64, 64))
    assert graph.depth == 16 * 9 + 1
    assert len(graph.hash) == 32
    assert time.perf_counter() - start < 4
