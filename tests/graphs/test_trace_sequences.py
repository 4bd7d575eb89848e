"""What tracing makes of recurrent and attention layers; every count is worked out by hand."""

import pytest
import torch
from torch import nn

from metalcx.graphs import trace

from . import nets
from .reading import only, ops, sources

SEQUENCE = torch.randn(2, 5, 8)
TOKENS = torch.randint(0, 20, (2, 5))


def test_lstm():
    graph = trace(nets.Recurrent(num_layers=2, bidirectional=True), TOKENS)
    assert ops(graph) == ["input", "embedding", "lstm", "linear", "output"]
    assert graph.nodes[1] == {"op": "embedding", "in": 30, "out": 8, "height": 5, "params": 240}
    matrices = 2 * 4 * 6 * (8 + 6) + 2 * 4 * 6 * (12 + 6)
    size = {"in": 8, "out": 12, "height": 5, "layers": 2, "directions": 2}
    assert graph.nodes[2] == {"op": "lstm", **size, "params": matrices + 4 * 2 * 24, "macs": 5 * matrices}


@pytest.mark.parametrize(
    ("kind", "options", "word", "gates"), [(nn.GRU, {}, "gru", 3), (nn.RNN, {"nonlinearity": "relu"}, "rnn", 1)]
)
def test_other_recurrences(kind, options, word, gates):
    node = only(trace(nets.Recurrent(kind, batch_first=True, **options), TOKENS), word)
    assert (node["in"], node["out"], node["height"], node["layers"]) == (8, 6, 5, 1)
    assert node["macs"] == 5 * gates * 6 * (8 + 6)
    assert node.get("name") == options.get("nonlinearity")


def test_packed_sequences():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(8, 6, bidirectional=True)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    graph = trace(Packed(), SEQUENCE)
    assert ops(graph) == ["input", "lstm", "output"]
    lstm = only(graph, "lstm")
    assert (lstm["in"], lstm["out"], lstm["layers"], lstm["directions"]) == (8, 12, 1, 2)
    assert lstm["macs"] == (5 + 3) * 2 * 24 * (8 + 6) // 2


def test_cells_in_a_loop():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(8, 4)

        def forward(self, x):
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return state[0]

    graph = trace(Loop(), SEQUENCE)
    assert ops(graph) == ["input", *["lstm"] * 5, "output"]
    assert sources(graph, "lstm", 1) == ["input", "lstm"]
    assert graph.macs == 5 * 16 * (8 + 4)
    assert [node.get("shared") for node in graph.nodes[1:-1]] == [None, True, True, True, True]


def test_a_hand_written_cell_is_one_node():
    module = nets.Around(nets.HandWrittenGRU(8, 4))
    graph = trace(module, SEQUENCE)
    assert ops(graph) == ["input", "gru", "linear", "output"]
    params, macs = 12 * 8 + 12 + 12 * 4 + 12, 5 * (12 * 8 + 12 * 4)
    node = {"op": "gru", "in": 8, "out": 4, "height": 5, "hidden": 4, "layers": 1, "params": params, "macs": macs}
    assert graph.nodes[1] == node
    loose = trace(nets.Around(nets.HandWrittenGRU(8, 4, declared=False)), SEQUENCE)
    # Without the declaration, what the first step makes of a state of zeros is seen to be a constant.
    assert (loose.n_params, loose.macs) == (graph.n_params, graph.macs - 12 * 4)
    assert ops(loose).count("tanh") == 5


def test_multihead_attention():
    graph = trace(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), SEQUENCE)
    assert sources(graph, "add") == ["input", "dropout"]
    projections, scores = 4 * 8 * 8 * 5, 2 * 5 * 5 * 8
    size = {"in": 8, "out": 8, "height": 5, "heads": 2, "params": 4 * 8 * 8 + 4 * 8}
    assert only(graph, "attention") == {"op": "attention", **size, "macs": projections + scores}


def test_cross_attention_reads_from_both():
    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, kdim=6, vdim=6)

        def forward(self, x, memory):
            return self.attend(x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1))[0]

    graph = trace(Cross(), SEQUENCE, torch.randn(2, 3, 6))
    assert ops(graph) == ["input", "input", "attention", "output"]
    assert sources(graph, "attention") == ["input", "input"]
    assert graph.macs == 2 * 5 * 64 + 2 * 3 * 6 * 8 + 2 * 5 * 3 * 8


def test_scaled_dot_product_attention():
    graph = trace(nets.FlashAttention(), SEQUENCE)
    assert ops(graph) == ["input", "linear", "attention", "linear", "output"]
    size = {"in": 8, "out": 8, "height": 5, "heads": 2}
    assert only(graph, "attention") == {"op": "attention", **size, "macs": 2 * 5 * 5 * 8}


def test_attention_by_hand_multiplies_as_much():
    graph = trace(nets.PlainAttention(), SEQUENCE)
    assert ops(graph) == ["input", "linear", "matmul", "softmax", "matmul", "linear", "output"]
    assert graph.macs == trace(nets.FlashAttention(), SEQUENCE).macs
