"""Cells: NAS-Bench-201 and the six edges of SpikeNAS-Bench, NAS-Bench-101, genotypes."""

import json
from collections import namedtuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.errors import DataError
from metalcx.graphs import (
    ArchGraph,
    all_nasbench201,
    from_cell_6edge,
    from_genotype,
    from_nasbench101,
    from_nasbench201,
    parse,
    to_nasbench101,
    to_nasbench201,
)

from .reading import ops

WORDS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SLOTS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
SIX = st.lists(st.sampled_from(WORDS), min_size=6, max_size=6)


def text201(words):
    a, b, c, d, e, f = words
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def wired(*edges):
    """Edges between words, each of which the graph has once."""
    return {tuple(edge.split(" ")) for edge in edges}


def by_word(graph):
    return {(graph.nodes[a]["op"], graph.nodes[b]["op"]) for a, b in graph.edges}


def test_a_cell_of_201():
    graph = from_nasbench201("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    assert ops(graph) == ["input", "nor_conv_3x3", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "output"]
    assert by_word(graph) == wired(
        "input nor_conv_3x3", "nor_conv_3x3 skip_connect", "skip_connect nor_conv_1x1", "input avg_pool_3x3",
        "avg_pool_3x3 output", "nor_conv_1x1 output",
    )  # fmt: skip
    assert graph.depth == 3


def test_what_only_leads_to_none_goes():
    graph = from_nasbench201("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|")
    assert ops(graph) == ["input", "nor_conv_1x1", "skip_connect", "output"]
    bare = from_nasbench201(text201(["none"] * 6))
    assert (ops(bare), bare.edges) == (["input", "output"], ())


def test_unpruned_cells_have_eight_nodes_and_one_wiring():
    cells = [from_nasbench201(text201(words), pruned=False) for words in (["none"] * 6, WORDS + WORDS[:1])]
    assert cells[0].edges == cells[1].edges
    assert ops(cells[0]) == ["input", *["absent"] * 6, "output"]
    assert ops(cells[1]) == ["input", "absent", *WORDS[1:], "absent", "output"]


def test_any_number_of_nodes_and_any_operations():
    graph = parse("|a~0|+|b~1|c~1|+|d~2|+|e~3|f~0|", "nasbench201")
    assert by_word(graph) == wired("input a", "a b", "a c", "b d", "c d", "d e", "e output", "input f", "f output")


@given(SIX)
def test_201_round_trip(words):
    graph = from_nasbench201(text201(words))
    text = to_nasbench201(graph)
    again = from_nasbench201(text)
    assert again.hash == graph.hash
    assert to_nasbench201(again) == text <= text201(words) or "none" in words


@given(SIX, st.permutations(range(8)))
def test_inverse_does_not_depend_on_the_numbering(words, order):
    graph = from_nasbench201(text201(words))
    order = [i for i in order if i < len(graph.nodes)]
    place = {old: new for new, old in enumerate(order)}
    other = ArchGraph(tuple(graph.nodes[i] for i in order), tuple((place[a], place[b]) for a, b in graph.edges))
    assert to_nasbench201(other) == to_nasbench201(graph)


@given(SIX)
def test_six_edges_are_those_of_201(words):
    six = from_cell_6edge("|".join(words).replace("none", "zero"))
    assert six.hash == from_nasbench201(text201(words)).hash


@pytest.fixture(scope="module")
def cells():
    return dict(all_nasbench201())


def functional(words):
    """The operations on paths to the output, under the smaller of both namings of the two nodes in between."""
    edges = [(op, s, t) for op, (s, t) in zip(words, SLOTS, strict=True) if op != "none"]
    for _ in range(3):
        fed, used = {0} | {t for _, _, t in edges}, {3} | {s for _, s, _ in edges}
        edges = [(op, s, t) for op, s, t in edges if s in fed and t in used]
    swap = {1: 2, 2: 1}
    return min(sorted(edges), sorted((op, swap.get(s, s), swap.get(t, t)) for op, s, t in edges))


def computed(words):
    """What a cell computes: nested sums of operations, where skip_connect passes on a sum and none adds nothing."""
    values = {0: ["x"]}
    for target in (1, 2, 3):
        values[target] = []
        for op, (source, into) in zip(words, SLOTS, strict=True):
            if into == target and op != "none" and values[source]:
                values[target] += values[source] if op == "skip_connect" else [f"{op}({'+'.join(values[source])})"]
        values[target].sort()
    return "+".join(values[3])


def words_of(text):
    return [edge.split("~")[0] for edge in text.replace("+", "").strip("|").replace("||", "|").split("|")]


def test_as_many_classes_as_there_are(cells):
    """15,625 cells; two have one hash exactly if relabelling makes their functional edges the same."""
    assert len(cells) == 15_625
    classes = {}
    for text, graph in cells.items():
        classes.setdefault(repr(functional(words_of(text))), set()).add(graph.hash)
    assert all(len(hashes) == 1 for hashes in classes.values())
    assert len(set().union(*classes.values())) == len(classes) == 8_765


def test_cells_of_one_hash_compute_the_same(cells):
    """The paper's 6,466 structures are other classes: it passes skip_connect on, but keeps what is added as zero."""
    found = {}
    for text, graph in cells.items():
        found.setdefault(graph.hash, set()).add(computed(words_of(text)))
    assert all(len(values) == 1 for values in found.values())
    assert len(set().union(*found.values())) == 4_930


CELL_101 = [[0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
OPS_101 = ["input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output"]


def test_a_cell_of_101():
    graph = from_nasbench101(CELL_101, OPS_101)
    assert ops(graph) == OPS_101
    assert graph.edges == ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4))
    assert parse(json.dumps({"matrix": CELL_101, "ops": OPS_101}), "nasbench101") == graph
    dead = np.array(CELL_101)
    dead[3, 4] = 0
    assert ops(from_nasbench101(dead, OPS_101)) == ["input", "maxpool3x3", "output"]


@given(st.integers(2, 7), st.data())
def test_101_round_trip(n, data):
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    matrix = np.triu(np.array(bits).reshape(n, n), 1)
    words = ["input", *data.draw(st.lists(st.sampled_from(OPS_101[1:4]), min_size=n - 2, max_size=n - 2)), "output"]
    graph = from_nasbench101(matrix, words)
    again, same = to_nasbench101(graph)
    assert not np.tril(again).any()
    assert from_nasbench101(again, same).hash == graph.hash


GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2), ('none', 0)], "
    "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 1), ('avg_pool_3x3', 0), ('sep_conv_5x5', 2), "
    "('skip_connect', 2)], reduce_concat=[3])"
)


def test_a_genotype_is_two_cells_side_by_side():
    graph = from_genotype(GENOTYPE)
    first = ["sep_conv_3x3", "skip_connect", "dil_conv_5x5", "concat"]
    second = ["max_pool_3x3", "avg_pool_3x3", "sep_conv_5x5", "skip_connect", "concat"]
    assert ops(graph) == ["input", "input", *first, *second, "output"]
    assert [node.get("back") for node in graph.nodes[:2]] == [2, 1]
    assert [node.get("stride") for node in graph.nodes[2:-1]] == [1, 1, 1, None, 2, 2, 1, 1, None]
    normal = {(0, 2), (1, 3), (2, 4), (3, 4), (2, 5), (3, 5), (4, 5), (5, 11)}
    reducing = {(1, 6), (0, 7), (6, 8), (7, 8), (6, 9), (7, 9), (8, 10), (9, 10), (10, 11)}
    assert set(graph.edges) == normal | reducing
    assert ops(from_genotype(GENOTYPE, pruned=False)).count("absent") == 1


def test_genotypes_as_objects():
    fields = {
        "normal": [["sep_conv_3x3", 0], ["skip_connect", 1], ["dil_conv_5x5", 2], ["none", 0]],
        "normal_concat": [2, 3],
        "reduce": (("max_pool_3x3", 1), ("avg_pool_3x3", 0), ("sep_conv_5x5", 2), ("skip_connect", 2)),
        "reduce_concat": range(3, 4),
    }
    named = namedtuple("Genotype", fields)(**fields)
    assert from_genotype(fields) == from_genotype(named) == parse(GENOTYPE, "genotype")


def test_genotypes_tell_apart_the_cells_and_their_inputs():
    swapped = replaced("'sep_conv_3x3', 0), ('skip_connect', 1", "'sep_conv_3x3', 1), ('skip_connect', 0")
    turned = GENOTYPE.replace("normal", "other").replace("reduce", "normal").replace("other", "reduce")
    hashes = {from_genotype(text).hash for text in (GENOTYPE, swapped, turned)}
    assert len(hashes) == 3


@given(st.lists(st.sampled_from(["sep_conv_3x3", "max_pool_3x3", "skip_connect"]), min_size=16, max_size=16), st.data())
def test_genotypes_of_the_published_size(words, data):
    sources = [data.draw(st.integers(0, 1 + k // 2 % 4)) for k in range(16)]
    pairs = list(zip(words, sources, strict=True))
    text = f"Genotype(normal={pairs[:8]}, normal_concat=range(2, 6), reduce={pairs[8:]}, reduce_concat=range(2, 6))"
    graph = from_genotype(text)
    assert sum("stride" in node for node in graph.nodes) == 16
    assert sum(node.get("stride") == 2 for node in graph.nodes) == sum(source < 2 for source in sources[8:])
    assert ops(graph).count("concat") == 2


def replaced(old, new):
    assert old in GENOTYPE
    return GENOTYPE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "format", "message"),
    [
        ("", "nasbench201", "node 1 is ''"),
        ("|a~0|+b~0|", "nasbench201", r"node 2 is 'b~0\|'; it starts and ends with \|"),
        ("|a~0|+|b~0|c|", "nasbench201", "'c' at node 2 is no operation~source"),
        ("|a~1|", "nasbench201", "node 1 reads from node 1, which is not before it"),
        ("|a~-1|", "nasbench201", "'a~-1' at node 1"),
        ("|output~0|", "nasbench201", "'output' is no operation"),
        ("a|b|c", "cell-6edge", "has 3 operations; it needs 6"),
        ("a|b|c|d|e|", "cell-6edge", "'' is no operation"),
        ("[", "nasbench101", "is not JSON"),
        ('{"ops": []}', "nasbench101", "is {.matrix"),
        ('{"matrix": [[0, 1], [0]], "ops": ["input", "output"]}', "nasbench101", "matrix is 0 and 1, 2 by 2"),
        ('{"matrix": [[0, 2], [0, 0]], "ops": ["input", "output"]}', "nasbench101", "matrix is 0 and 1"),
        ('{"matrix": [[0, 1], [1, 0]], "ops": ["input", "output"]}', "nasbench101", "0 up to the diagonal"),
        ('{"matrix": [[0, 1], [0, 0]], "ops": ["input", "relu"]}', "nasbench101", "start with input and end with"),
        ("Genotype(normal=", "genotype", "is no Genotype"),
        ("__import__('os').getcwd()", "genotype", "needs the fields"),
        (replaced("range(2, 4)", "range(2, 2000)"), "genotype", "normal is pairs"),
        (replaced("[3]", "open('x')"), "genotype", "is no Genotype"),
        (replaced("[3]", "[7]"), "genotype", r"reduce_concat is \[7\]; nodes are 0 to 3"),
        (replaced("('sep_conv_5x5', 2), ", ""), "genotype", "reduce is pairs .* two a node"),
        (replaced("'dil_conv_5x5', 2", "'dil_conv_5x5', 3"), "genotype", "normal node 3 reads 3, which is not before"),
        (replaced("'max_pool_3x3'", "'input'"), "genotype", "'input' is no operation"),
    ],
)
def test_what_is_no_cell(text, format, message):
    with pytest.raises(DataError, match=message) as caught:
        parse(text, format)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_graphs_that_no_cell_has():
    chain = ArchGraph(tuple({"op": op} for op in ["input", *"abcd", "output"]), tuple(pairwise(range(6))))
    with pytest.raises(DataError, match="of 4 operations, is no cell of NAS-Bench-201"):
        to_nasbench201(chain)
    with pytest.raises(DataError, match="a word alone"):
        to_nasbench101(from_genotype(GENOTYPE))
