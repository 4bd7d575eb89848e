"""The flow surrogate: golden values, its properties, and equality with a plain reading of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.encoders import FlowSurrogate, GraphBatch, words_of
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph

from .made_graphs import BARE, CUT_OFF, OPS, chain_of, graphs, random_graph, renumbered

WORDS = ("input", "a", "b", "output")
SETTING = FlowSurrogate(k=4, std=1.0, words=WORDS)


def wired(*edges: tuple[int, int], ops: str = "ab") -> ArchGraph:
    return ArchGraph(({"op": "input"}, *({"op": op} for op in ops), {"op": "output"}), edges)


CHAIN = wired((0, 1), (1, 2), (2, 3))
DIAMOND = wired((0, 1), (0, 2), (1, 3), (2, 3))
SHORTCUT = wired((0, 1), (0, 2), (1, 3), (2, 3), (0, 3))


@pytest.mark.parametrize(
    ("graph", "golden"),
    [
        (CHAIN, [0.659611, 0.016113, 0.009418, 1.354915]),
        (DIAMOND, [0.137203, 0.178797, 0.150691, 4.303072]),
        (wired((0, 1), (0, 2), (1, 3), (2, 3), ops="ba"), [0.137203, 0.178797, 0.150691, 4.303072]),
        (SHORTCUT, [0.548814, 0.715189, 0.602763, 11.001245]),
    ],
)
def test_published_setting_golden_values(graph, golden):
    np.testing.assert_allclose(SETTING([graph])[0], golden, atol=2e-6)


def reference(surrogate: FlowSurrogate, graph: ArchGraph) -> np.ndarray:
    """One graph, node by node, in the words of the definition.

    Backward, the edges whose head is in generation g are walked from the last g to the first, and all their tails are
    updated at once with the current values of all their successors: some of them more than once.
    """
    r, P, W = surrogate.drawn()
    n, a = len(graph.nodes), surrogate.alpha
    before = [[s for s, t in graph.edges if t == i] for i in range(n)]
    after = [[t for s, t in graph.edges if s == i] for i in range(n)]
    generations: list[list[int]] = []
    while sum(map(len, generations)) < n:
        done = {i for level in generations for i in level}
        generations.append([i for i in range(n) if i not in done and done.issuperset(before[i])])
    h = [P[surrogate.words.index(node["op"])] for node in graph.nodes]
    f: list[np.ndarray] = [r] * n

    def passed(i: int, neighbours: list[int]) -> np.ndarray:
        m = np.sum([f[j] for j in neighbours], axis=0)
        return a * m + (1 - a) * np.maximum(np.concatenate([h[i], m]) @ W, 0)

    for level in generations[1:]:
        for i in level:
            f[i] = passed(i, before[i])
    for level in generations[:0:-1]:
        tails = {s for s, t in graph.edges if t in level}
        f = [passed(i, after[i]) if i in tails else f[i] for i in range(n)]
    return np.sum([f[i] for i in generations[0] if graph.nodes[i]["op"] != "output"], axis=0)


@given(st.integers(0, 10**6), st.integers(0, 58), st.integers(1, 2), st.sampled_from([0.5, 1.0, 2.5]))
def test_equals_the_definition_on_random_graphs(seed, n, inputs, more):
    graph = random_graph(seed, n, more, inputs) if n else BARE
    surrogate = FlowSurrogate(k=5, std=0.3, seed=seed % 7, words=("input", *OPS, "output"))
    expected = reference(surrogate, graph)
    np.testing.assert_allclose(surrogate([graph])[0], expected, rtol=2e-4, atol=1e-5 * np.abs(expected).max())


def test_tails_in_several_generations_end_as_if_walked_once():
    """A node's last update comes when all its successors have their last values, so one pass is enough."""
    ladder = wired((0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3))
    np.testing.assert_allclose(SETTING([ladder])[0], reference(SETTING, ladder), rtol=1e-6)


@given(graphs(), st.randoms())
def test_numbering_does_not_matter(graph, rng):
    order = list(range(len(graph.nodes)))
    rng.shuffle(order)
    surrogate = FlowSurrogate(std=0.3)
    np.testing.assert_allclose(surrogate([renumbered(graph, order)]), surrogate([graph]), rtol=2e-5, atol=1e-6)


@given(st.lists(graphs(12), min_size=1, max_size=6), st.data())
@settings(max_examples=30)
def test_other_graphs_in_the_batch_do_not_matter(several, data):
    surrogate = FlowSurrogate(k=7, std=0.1)
    i = data.draw(st.integers(0, len(several) - 1))
    np.testing.assert_allclose(surrogate(several)[i], surrogate([several[i]])[0], rtol=1e-6, atol=1e-7)


@given(graphs(), st.data())
def test_another_edge_changes_it(graph, data):
    names = {i: node["op"] for i, node in enumerate(graph.nodes)}
    generation = GraphBatch.from_graphs([graph]).generation
    absent = [
        (a, b)
        for a in names
        for b in names
        if generation[a] < generation[b] and names[a] != "output" and (a, b) not in graph.edges
    ]
    if absent:
        more = ArchGraph(graph.nodes, (*graph.edges, data.draw(st.sampled_from(absent))))
        assert not np.allclose(FlowSurrogate(k=8)([more]), FlowSurrogate(k=8)([graph]), rtol=1e-4)


def path_sum(graph: ArchGraph, weight: float) -> float:
    """Sum over paths from the input to the output of weight to the power of their length."""
    total = {i: float(node["op"] == "input") for i, node in enumerate(graph.nodes)}
    generation = GraphBatch.from_graphs([graph]).generation
    for i in np.argsort(generation, kind="stable"):
        if generation[i]:
            total[i] = weight * sum(total[s] for s, t in graph.edges if t == i)
    return next(total[i] for i, node in enumerate(graph.nodes) if node["op"] == "output")


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_with_all_passed_on_it_counts_paths(seed, n):
    graph = random_graph(seed, n)
    surrogate = FlowSurrogate(alpha=1.0)
    r, _, _ = surrogate.drawn()
    np.testing.assert_allclose(surrogate([graph])[0] / r, path_sum(graph, 1.0) ** 2, rtol=1e-5)


@pytest.mark.parametrize(("graph", "paths"), [(CHAIN, 1), (DIAMOND, 2), (SHORTCUT, 3)])
def test_paths_of_small_graphs(graph, paths):
    surrogate = FlowSurrogate(alpha=1.0)
    np.testing.assert_allclose(surrogate([graph])[0] / surrogate.drawn()[0], paths**2, rtol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_where_no_relu_is_active_it_sums_over_paths(seed, n):
    class Inactive(FlowSurrogate):
        """W without a positive entry, and all h and m positive."""

        def drawn(self):
            r, P, W = super().drawn()
            return r, np.abs(P), -np.abs(W)

    graph, surrogate = random_graph(seed, n), Inactive(words=("input", *OPS, "output"))
    expected = path_sum(graph, 0.5) ** 2 * surrogate.drawn()[0]
    np.testing.assert_allclose(surrogate([graph])[0], expected, rtol=1e-5)
    assert path_sum(SHORTCUT, 0.5) == 1.0, "as the golden value of the diamond with a shortcut has it"


def test_an_input_without_an_edge_keeps_what_it_began_with():
    np.testing.assert_array_equal(FlowSurrogate()([CUT_OFF])[0], FlowSurrogate().drawn()[0])


def test_several_inputs_begin_alike_and_are_summed():
    two = ArchGraph(({"op": "input"}, {"op": "input"}, {"op": "a"}, {"op": "output"}), ((0, 2), (1, 2), (2, 3)))
    surrogate = FlowSurrogate(alpha=1.0, words=WORDS)
    # Two paths forward, so the output has 2 r, which comes back to both.
    np.testing.assert_allclose(surrogate([two])[0], 4 * surrogate.drawn()[0], rtol=1e-6)


def test_the_random_stream():
    random = np.random.RandomState(3)
    r, unused, P, W = random.rand(4), random.rand(4), random.randn(4, 4), random.randn(8, 4)
    drawn = FlowSurrogate(std=0.5, seed=3, words=WORDS).drawn()
    for found, expected in zip(drawn, (r, 0.5 * P, 0.5 * W), strict=True):
        np.testing.assert_array_equal(found, expected.astype(np.float32))
    assert not np.allclose(unused, r)


def test_long_chains_and_no_graph_at_all():
    assert np.isfinite(FlowSurrogate(k=7, std=0.1)([chain_of(770), BARE])).all()
    assert FlowSurrogate(k=7)([]).shape == (0, 7)


def test_what_will_not_do_is_refused():
    with pytest.raises(DataError, match=r"operations 'add', 'conv'.* are not among"):
        SETTING([random_graph(0, 30)])
    with pytest.raises(DataError, match=r"alpha between 0 and 1; got 4, 1.0, 2"):
        FlowSurrogate(alpha=2)
    with pytest.raises(DataError, match="names one twice"):
        FlowSurrogate(words=("a", "a"))
    assert words_of([DIAMOND, CHAIN]) == ("a", "b", "input", "output")
