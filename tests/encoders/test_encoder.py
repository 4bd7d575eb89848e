"""Encoders: no numbering and no other graph in the batch matters; their layers are those of torch_geometric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.encoders import CountTable, Encoder, EncoderConfig, GraphBatch, new_encoder
from metalcx.encoders._inputs import inputs_of
from metalcx.encoders._layers import GatedLayer, GINLayer
from metalcx.errors import DataError, ModelError
from metalcx.graphs import FEATURES, ArchGraph

from .made_graphs import BARE, CUT_OFF, OPS, chain_of, graphs, random_graph, renumbered

KINDS = ("gin", "gated-gcn", "flow")
ENCODERS: dict[str, Encoder] = {kind: new_encoder(EncoderConfig(kind, hidden=16)) for kind in KINDS}
ENCODERS["counts"] = CountTable(("input", *OPS))
SOME = [random_graph(seed, n) for seed, n in enumerate([1, 3, 30, 7, 12])] + [BARE, CUT_OFF, chain_of(1)]


def wired(ops: str, *edges: tuple[int, int]) -> ArchGraph:
    return ArchGraph(tuple({"op": op} for op in ops.split()), edges)


every = pytest.mark.parametrize("name", list(ENCODERS))


@every
@given(graphs(), st.randoms())
@settings(max_examples=15)
def test_numbering_does_not_matter(name, graph, rng):
    order = list(range(len(graph.nodes)))
    rng.shuffle(order)
    both = ENCODERS[name].encode([graph, renumbered(graph, order)])
    np.testing.assert_allclose(both[1], both[0], rtol=1e-4, atol=1e-5)


@every
@given(st.permutations(range(len(SOME))), st.integers(1, len(SOME)))
@settings(max_examples=15)
def test_other_graphs_do_not_matter(name, order, n):
    batch = GraphBatch.from_graphs(SOME)
    whole, some = ENCODERS[name].encode(batch), ENCODERS[name].encode(batch.take(order[:n]))
    np.testing.assert_allclose(some, whole[order[:n]], rtol=1e-4, atol=1e-5)


@every
def test_many_graphs_are_encoded_in_chunks_to_the_same_numbers(name, monkeypatch):
    monkeypatch.setattr("metalcx.encoders._encoder.CHUNK", 20)
    in_chunks = ENCODERS[name].encode(SOME * 3)
    monkeypatch.undo()
    np.testing.assert_allclose(in_chunks, ENCODERS[name].encode(SOME * 3), rtol=1e-4, atol=1e-5)
    assert ENCODERS[name].encode([]).shape == (0, ENCODERS[name].width)


@every
def test_long_chains_cut_off_and_bare_graphs_have_embeddings(name):
    found = ENCODERS[name].encode([chain_of(770), CUT_OFF, BARE])
    assert (found.shape, found.dtype) == ((3, ENCODERS[name].width), np.float32)
    assert np.isfinite(found).all()
    assert isinstance(ENCODERS[name], Encoder)


@every
def test_what_an_operation_is_and_how_it_is_wired_matters(name):
    wide = wired("input conv conv output", (0, 1), (0, 2), (1, 3), (2, 3))
    a, b, c = ENCODERS[name].encode([chain_of(2, "conv"), wide, chain_of(2, "relu")])
    assert not np.allclose(a, b, atol=1e-4)
    assert not np.allclose(a, c, atol=1e-4)


def test_the_flow_encoder_alone_knows_directions():
    fan_out = wired("input a b b output", (0, 1), (1, 2), (1, 3), (2, 4), (3, 4))
    fan_in = wired("input a b b output", (0, 2), (0, 3), (2, 1), (3, 1), (1, 4))
    a, b = ENCODERS["flow"].encode([fan_out, fan_in])
    assert not np.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_weight(kind):
    encoder = new_encoder(EncoderConfig(kind, hidden=8, dropout=0.0)).train()
    encoder(GraphBatch.from_graphs(SOME)).square().sum().backward()
    assert {name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()} == set()
    # Walked in place without gradients, and not with them.
    expected = encoder(GraphBatch.from_graphs(SOME)).detach().numpy()
    np.testing.assert_allclose(encoder.encode(SOME), expected, rtol=1e-4, atol=1e-5)


def test_encoding_leaves_out_dropout_and_leaves_training_on():
    encoder = new_encoder(EncoderConfig("gated-gcn", hidden=16, dropout=0.5)).train()
    np.testing.assert_array_equal(encoder.encode(SOME), encoder.encode(SOME))
    assert encoder.training


def test_a_seed_gives_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (new_encoder(EncoderConfig("gin", 8), seed).tensors() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert all(np.array_equal(one[n], same[n]) for n in one)
    assert not all(np.array_equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("kind", KINDS)
def test_config_and_tensors_give_the_encoder_again(kind):
    encoder = new_encoder(EncoderConfig(kind, hidden=12, layers=2), seed=4)
    again = encoder.build(encoder.config_dict(), encoder.tensors())
    assert again.config == encoder.config
    np.testing.assert_array_equal(again.encode(SOME), encoder.encode(SOME))


def test_tensors_that_do_not_fit_are_refused():
    encoder = new_encoder(EncoderConfig("gin", hidden=12))
    config, tensors = encoder.config_dict(), encoder.tensors()
    with pytest.raises(ModelError, match="made for other descriptions"):
        encoder.build({**config, "features": list(FEATURES[1:])}, tensors)
    with pytest.raises(ModelError, match="of another shape"):
        encoder.build({**config, "hidden": 13}, tensors)
    with pytest.raises(ModelError, match="do not make an encoder"):
        encoder.build({**config, "height": 13}, tensors)
    with pytest.raises(DataError, match="no encoder of kind 'gcn'; there are 'flow', 'gated-gcn', 'gin'"):
        EncoderConfig("gcn")
    with pytest.raises(DataError, match=r"dropout from 0 to less than 1; got 128, 3, 1.0"):
        EncoderConfig(dropout=1.0)


def test_counts_are_counts():
    nodes = ({"op": "input"}, {"op": "conv", "params": 9, "macs": 81}, {"op": "odd", "params": 1}, {"op": "output"})
    graph = ArchGraph(nodes, ((0, 1), (1, 2), (2, 3), (0, 2)))
    table = CountTable(("input", "conv", "relu", "output"))
    expected = [1, 1, 0, 1, 1, 4, 4, 3, np.log1p(10), np.log1p(81)]
    np.testing.assert_allclose(table.encode([graph])[0], expected, rtol=1e-6)
    assert CountTable.of([graph]).words == ("conv", "input", "odd", "output")


@pytest.mark.slow
def test_layers_are_those_of_torch_geometric():
    """The same weights in both give the same numbers, also where edges are doubled and nodes are alone."""
    nn = pytest.importorskip("torch_geometric.nn")
    edges = inputs_of(GraphBatch.from_graphs(SOME), False).edges
    pairs = torch.stack(edges)
    x = torch.randn(len(GraphBatch.from_graphs(SOME).nodes), 16, generator=torch.Generator().manual_seed(0))
    gin = GINLayer(16, 8)
    assert torch.allclose(nn.GINConv(gin.mlp)(x, pairs), gin(x, edges), atol=1e-5)
    ours, theirs = GatedLayer(16), nn.ResGatedGraphConv(16, 16)
    query, value = ours.read.weight.chunk(2)
    query_bias, value_bias = ours.read.bias.chunk(2)
    with torch.no_grad():
        theirs.lin_key.load_state_dict(ours.key.state_dict())
        theirs.lin_query.load_state_dict({"weight": query, "bias": query_bias})
        theirs.lin_value.load_state_dict({"weight": value, "bias": value_bias})
        theirs.lin_skip.weight.copy_(ours.own.weight)
        theirs.bias.copy_(ours.own.bias)
    assert torch.allclose(theirs(x, pairs), ours(x, edges), atol=1e-5)
