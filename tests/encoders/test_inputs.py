"""Steps of several encoders: every graph as it is, and padding that leads nowhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.encoders import EncoderConfig, GraphBatch, new_encoder
from metalcx.encoders._inputs import Table, inputs_of
from metalcx.encoders._stack import Stack

from .made_graphs import BARE, CUT_OFF, chain_of, random_graph

SOME = [random_graph(seed, n) for seed, n in enumerate([1, 3, 30, 7, 12])] + [BARE, CUT_OFF, chain_of(1)]
BATCH = GraphBatch.from_graphs(SOME)
KINDS = ("gin", "gated-gcn", "flow")
ENCODERS = {kind: [new_encoder(EncoderConfig(kind, 8, 2), seed).eval() for seed in range(3)] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.lists(st.integers(-1, len(SOME) - 1), min_size=4, max_size=4), min_size=3, max_size=3))
@settings(max_examples=15)
def test_each_encoder_sees_its_own_graphs_as_if_alone(kind, index):
    encoders, numbers = ENCODERS[kind], np.array(index)
    inputs = Table(BATCH, kind == "flow").take(numbers)
    with torch.no_grad():
        found = Stack(encoders).eval()(inputs).numpy()
    assert found.shape[:2] == (3, 5), "one more, of the nodes that were added"
    for encoder, own, row in zip(encoders, numbers, found, strict=True):
        known = np.flatnonzero(own >= 0)
        expected = encoder.encode(BATCH.take(own[known]))
        np.testing.assert_allclose(row[known], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(row[:4][own < 0], 0)


def test_sizes_are_rounded_up_so_that_few_occur():
    table = Table(GraphBatch.from_graphs([chain_of(n) for n in range(1, 40)]), walked=False)
    sizes = set()
    for seed in range(60):
        index = np.random.default_rng(seed).integers(0, 39, (2, 16))
        inputs = table.take(index)
        needed = max(int(table.batch.take(row).offsets[-1]) for row in index)
        assert needed < inputs.graph.shape[1] <= 1.25 * needed + 1
        sizes.add(inputs.graph.shape[1])
    assert len(sizes) < 20


def test_a_whole_batch_is_what_a_table_gives_unpadded():
    plain, padded = inputs_of(BATCH, walked=False), Table(BATCH, walked=False).take(np.arange(len(SOME))[None])
    n, edges = len(BATCH.nodes), BATCH.edges.shape[1]
    assert torch.equal(padded.x[0, :n], plain.x)
    assert torch.equal(padded.graph[0, :n], plain.graph)
    assert torch.equal(padded.size[0, :-1], plain.size)
    assert torch.equal(padded.edges.source[0, :edges], plain.edges.source[:edges])
    assert (padded.x[0, n:] == 0).all()
