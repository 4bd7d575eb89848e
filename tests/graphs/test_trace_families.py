"""Architectures of further families: parameters by hand, MACs against torch's own counter, and how they are wired."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from metalcx.graphs import ArchGraph, trace

from . import families, nets
from .reading import only, ops, sources

TOKENS = torch.randint(0, 9, (2, 5), generator=torch.Generator().manual_seed(0))
IMAGE = torch.randn(2, 8, 6, 6)


def linear(inside, out):
    return inside * out + out


ATTENTION = linear(8, 24) + linear(8, 8)
FEED_FORWARD = linear(8, 16) + linear(16, 8)
GRU = 3 * 6 * 6

# Family -> how to make one, examples, its parameters by hand.
EVERY = {
    "MBConv with squeeze and excitation": (
        families.MBConv,
        [IMAGE],
        8 * 32 + 64 + 32 * 25 + 64 + linear(32, 2) + linear(2, 32) + 32 * 8 + 16,
    ),
    "ShuffleNet unit": (families.ShuffleUnit, [IMAGE], 2 * linear(4, 4) + 4 * 9 + 4),
    "translator": (
        families.Translator,
        [TOKENS, TOKENS[:, :4]],
        2 * 11 * 8 + 3 * ATTENTION + 2 * FEED_FORWARD + 7 * 16 + linear(8, 11),
    ),
    "MLP-Mixer": (
        families.Mixer,
        [torch.randn(2, 3, 8, 8)],
        3 * 6 * 16 + 6 + 3 * 12 + linear(4, 5) + linear(5, 4) + linear(6, 5) + linear(5, 6) + linear(6, 10),
    ),
    "WaveNet": (families.WaveNet, [torch.randn(2, 1, 9)], 8 + 3 * (4 * 8 * 2 + 8 + linear(4, 8)) + linear(4, 7)),
    "graph network": (families.GraphNet, [torch.randn(2, 5, 3), torch.ones(2, 5, 5)], 3 * 4 + 4 * 2),
    "hypernetwork": (families.HyperNetwork, [torch.randn(2, 4), torch.randn(2, 2)], linear(2, 5) + linear(5, 12)),
    "speller": (families.Speller, [TOKENS], 9 * 6 + 2 * GRU + 36 + 3 * GRU + 36 + linear(6, 9)),
    "variational autoencoder": (
        families.VAE,
        [torch.randn(2, 12)],
        linear(12, 8) + 2 * linear(8, 2) + linear(2, 8) + linear(8, 12),
    ),
    "capsules": (families.Capsules, [torch.randn(2, 4, 2)], 4 * 3 * 5 * 2),
    "experts": (families.Experts, [torch.randn(2, 4)], linear(4, 3) + 3 * (linear(4, 6) + linear(6, 2))),
    "equilibrium": (families.Equilibrium, [torch.ones(2, 3)], linear(3, 4) + 16),
    "feature pyramid": (
        families.FeaturePyramid,
        [torch.randn(2, 3, 16, 16)],
        3 * 4 * 9 + 2 * 16 * 9 + 3 * 4 + 3 * linear(4, 4) + 4 * 2 * 9 + 2,
    ),
    "point net": (families.PointNet, [torch.randn(2, 7, 3)], linear(3, 8) + 16 + linear(8, 16) + linear(16, 5)),
}
each_family = pytest.mark.parametrize("name", EVERY)


def counted(module, examples):
    """Multiply-accumulates an example as torch counts them; in training mode, as it knows not every fused kernel."""
    with FlopCounterMode(display=False) as counter:
        module.train()(*examples)
    return counter.get_total_flops() / 2 / len(examples[0])


@each_family
def test_parameters_are_those_by_hand(name):
    make, examples, parameters = EVERY[name]
    module = make()
    graph = trace(module, *examples)
    assert graph.n_params == parameters == sum(p.numel() for p in module.parameters())
    assert ArchGraph.from_json(graph.to_json()) == graph
    assert all(source < target for source, target in graph.edges)
    assert "other" not in ops(graph)


@each_family
def test_macs_are_those_of_torch(name):
    make, examples, _ = EVERY[name]
    module = make()
    # The first product of the equilibrium is with zeros, which come from no input.
    constant = 16 if name == "equilibrium" else 0
    assert trace(module, *examples).macs == counted(module, examples) - constant


@pytest.mark.parametrize(
    ("make", "example"),
    [
        (nets.ResidualMLP, torch.randn(6, 4)),
        (nets.plain_cnn, torch.randn(2, 3, 8, 8)),
        (nets.ResNet, torch.randn(2, 3, 8, 8)),
        (nets.DenseNet, torch.randn(2, 3, 8, 8)),
        (nets.Inception, torch.randn(2, 4, 8, 8)),
        (nets.separable, torch.randn(2, 8, 8, 8)),
        (nets.UNet, torch.randn(2, 1, 9, 9)),
        (nets.PlainAttention, torch.randn(2, 5, 8)),
        (nets.VisionTransformer, torch.randn(2, 3, 8, 8)),
    ],
)
def test_macs_of_the_other_families_too(make, example):
    module = make()
    assert trace(module, example).macs == counted(module, [example])


@each_family
def test_neither_weights_nor_batch_change_the_graph(name):
    make, examples, _ = EVERY[name]
    graph = trace(make(), *examples)
    assert trace(make(), *(torch.cat([example] * 2) for example in examples)) == graph
    assert trace(make(), *(example[:1] for example in examples)) == graph


def graph_of(name):
    make, examples, _ = EVERY[name]
    return trace(make(), *examples)


def test_excitation_multiplies_what_it_was_made_of():
    graph = graph_of("MBConv with squeeze and excitation")
    assert sources(graph, "mul") == ["silu", "sigmoid"]
    assert sources(graph, "add") == ["input", "batch_norm"]
    assert (only(graph, "depthwise_conv")["groups"], only(graph, "depthwise_conv")["kernel"]) == (32, 5)
    assert [node["height"] for node in graph.nodes if node["op"] == "conv"] == [6, 1, 1, 6]


def test_shuffling_is_no_operation():
    graph = graph_of("ShuffleNet unit")
    assert ops(graph) == ["input", "conv", "relu", "depthwise_conv", "conv", "concat", "output"]
    assert sources(graph, "concat") == ["input", "conv"]
    assert (graph.nodes[1]["in"], only(graph, "concat")["out"]) == (4, 8)


def test_the_decoder_looks_at_the_encoder():
    graph = graph_of("translator")
    assert ops(graph).count("attention") == 3
    # Queries come from the decoder, keys and values from the last norm of the encoder.
    assert sources(graph, "attention", 2) == ["layer_norm", "layer_norm"]
    heights = [node["height"] for node in graph.nodes if node["op"] == "attention"]
    assert heights == [5, 4, 4]


def test_the_mixer_mixes_patches_then_channels():
    widths = [(node["in"], node["out"]) for node in graph_of("MLP-Mixer").nodes if node["op"] == "linear"]
    assert widths == [(4, 5), (5, 4), (6, 5), (5, 6), (6, 10)]


def test_dilation_doubles_and_every_layer_is_gated():
    graph = graph_of("WaveNet")
    gates = [node for node in graph.nodes if node["op"] == "conv" and node["kernel"] == 2]
    assert [gate.get("dilation", 1) for gate in gates] == [1, 2, 4]
    assert all(sources(graph, "mul", i) == ["tanh", "sigmoid"] for i in range(3))
    assert all(gate["height"] == 9 for gate in gates)


def test_messages_go_along_the_adjacency():
    graph = graph_of("graph network")
    assert sources(graph, "matmul") == ["mul", "linear"]
    assert sources(graph, "mul") == ["elementwise", "input"]
    assert [node["macs"] for node in graph.nodes if node["op"] == "matmul"] == [5 * 5 * 4, 5 * 5 * 2]


def test_weights_that_are_written_are_an_operand():
    graph = graph_of("hypernetwork")
    assert sorted(sources(graph, "matmul")) == ["input", "linear"]
    assert only(graph, "matmul")["macs"] == 12


def test_a_loop_over_words_is_unrolled():
    graph = graph_of("speller")
    assert ops(graph).count("gru") == 1 + 3
    assert sum("shared" in node for node in graph.nodes if node["op"] == "gru") == 2
    # The first word is a constant; later ones were chosen by what came out.
    assert ops(graph).count("embedding") == 1 + 2
    assert sources(graph, "embedding", 1) == ["reduce"]
    assert trace(families.Speller(longest=5), TOKENS).depth > graph.depth


def test_noise_joins_without_a_node_of_its_own():
    graph = graph_of("variational autoencoder")
    assert sources(graph, "add") == ["linear", "elementwise"]
    assert sources(graph, "output") == ["sigmoid", "linear", "linear"]


def test_routing_repeats():
    graph = graph_of("capsules")
    assert ops(graph).count("softmax") == 2  # the first is of zeros
    assert trace(families.Capsules(rounds=5), torch.randn(2, 4, 2)).depth > graph.depth


def test_experts_meet_the_gate():
    graph = graph_of("experts")
    assert sources(graph, "concat") == ["linear"] * 3
    assert sources(graph, "mul") == ["concat", "softmax"]


def test_as_many_rounds_as_the_values_take():
    """Control flow by value: with weights of nought the first round is the last but one."""
    still = families.Equilibrium()
    torch.nn.init.zeros_(still.again.weight)
    assert ops(trace(still, torch.ones(1, 3))).count("tanh") == 2
    moving = families.Equilibrium()
    torch.nn.init.constant_(moving.again.weight, 0.2)
    assert ops(trace(moving, torch.ones(1, 3))).count("tanh") > 2


def test_every_scale_is_joined_and_goes_out():
    graph = graph_of("feature pyramid")
    assert sources(graph, "output") == ["conv"] * 3
    assert [sources(graph, "add", i) for i in range(2)] == [["conv", "interpolate"]] * 2
    assert [node["height"] for node in graph.nodes if node["op"] == "interpolate"] == [4, 8]


@pytest.mark.parametrize("n", [2, 3])
def test_examples_that_are_folded_are_found_again(n):
    graph = trace(families.Folded(), torch.randn(n, 5, 4))
    assert [node.get("height") for node in graph.nodes] == [5, None, 5, 5, 5]
    assert graph.macs == 2 * 5 * 4 * 6


def test_the_points_are_reduced():
    graph = graph_of("point net")
    assert only(graph, "reduce")["name"] == "amax"
    assert (graph.nodes[1]["height"], only(graph, "linear")["in"]) == (7, 16)


HUGGING = {
    "GPT2LMHeadModel": ({"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16}, "attention", 2),
    "BertModel": (
        {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32},
        "attention",
        3,
    ),
    "ConvNextForImageClassification": (
        {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2},
        "depthwise_conv",
        3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HUGGING)
def test_models_of_a_library(name):
    transformers = pytest.importorskip("transformers")
    options, word, times = HUGGING[name]
    cls = getattr(transformers, name)
    config = cls.config_class(**options)
    example = torch.randn(2, 3, 32, 32)
    if name != "ConvNextForImageClassification":
        example = torch.randint(0, 9, (2, 7))
    module = cls(config)
    graph = trace(module, example)
    assert graph.n_params == sum(p.numel() for p in module.parameters())
    assert ops(graph).count(word) == times
    assert graph.macs == counted(module, [example])
