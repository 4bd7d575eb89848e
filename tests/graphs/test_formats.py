"""Formats other than cells: NAS-Bench-Graph, NAS-Bench-NLP, chains; and their names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.errors import DataError
from metalcx.graphs import (
    FORMATS,
    ArchGraph,
    all_nasbench_graph,
    all_nasbench_macro,
    from_layers,
    from_metaqnn,
    from_nasbench_graph,
    from_nasbench_macro,
    from_nasbench_nlp,
    from_rnn,
    parse,
    prune,
    to_metaqnn,
    to_nasbench_graph,
    to_nasbench_macro,
    to_nasbench_nlp,
)

from .reading import ops, sources

GNN = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")


def test_a_graph_network():
    graph = from_nasbench_graph("0012|gat|fc|skip|gin")
    assert ops(graph) == ["input", "gat", "fc", "skip", "gin", "output"]
    assert set(graph.edges) == {(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)}


@given(st.tuples(*(st.integers(0, k) for k in range(4))), st.lists(st.sampled_from(GNN), min_size=4, max_size=4))
def test_graph_networks_there_and_back(links, words):
    graph = from_nasbench_graph("|".join(["".join(map(str, links)), *words]))
    assert from_nasbench_graph(to_nasbench_graph(graph)).hash == graph.hash


def test_all_graph_networks_are_as_many_as_published():
    found = dict(all_nasbench_graph())
    assert len(found) == 26_206
    assert {text.split("|")[0] for text in found} == set(LINKS)
    assert all(to_nasbench_graph(graph) == text for text, graph in found.items())
    # skip is last among those that read the same, first in a row, and never from the input to the output.
    assert {"0011|gat|gcn|gin|skip", "0123|skip|gat|gcn|gin", "0122|skip|gat|skip|skip"} <= found.keys()
    assert not {"0011|gat|gcn|skip|gin", "0123|gat|skip|gcn|gin", "0000|gat|gcn|gin|skip"} & found.keys()


RECIPE = {
    "node_0": {"op": "linear", "input": ["x", "h_prev_0"]},
    "dead": {"op": "activation_sigm", "input": ["node_0", "h_prev_1"]},
    "h_new_0_part": {"op": "activation_tanh", "input": ["node_0"]},
    "h_new_1": {"op": "elementwise_prod", "input": ["h_new_0_part", "h_new_0_part"]},
    "h_new_0": {"op": "elementwise_sum", "input": ["h_new_1", "x"]},
}


def test_a_recipe():
    graph = from_nasbench_nlp(RECIPE)
    assert ops(graph) == [
        "input",
        "input",
        "linear",
        "activation_tanh",
        "elementwise_prod",
        "elementwise_sum",
        "output",
    ]
    assert sorted(graph.edges) == [(0, 2), (0, 5), (1, 2), (2, 3), (3, 4), (3, 4), (4, 5), (4, 6), (5, 6)]
    assert parse(json.dumps(RECIPE), "nasbench-nlp") == graph


@st.composite
def recipes(draw):
    """Each operation reads one to three of the states and of what was computed before."""
    states = ["x", "h_prev_0", "h_prev_1"]
    names = [*(f"node_{k}" for k in range(draw(st.integers(1, 6)))), "h_new_0", "h_new_1"]
    words = st.sampled_from(["linear", "blend", "activation_tanh", "elementwise_sum"])
    before = st.integers(0, 99)
    recipe = {}
    for name in names:
        known = [*states, *recipe]
        read = [known[draw(before) % len(known)] for _ in range(draw(st.integers(1, 3)))]
        recipe[name] = {"op": draw(words), "input": read}
    return recipe


@given(recipes())
def test_recipes_there_and_back(recipe):
    graph = from_nasbench_nlp(recipe)
    again = to_nasbench_nlp(graph)
    assert from_nasbench_nlp(again).hash == graph.hash
    assert sum(name.startswith("h_new_") for name in again) == 2
    assert to_nasbench_nlp(from_nasbench_nlp(again)).keys() == again.keys()


@given(st.text("012", min_size=8, max_size=8))
def test_macro_there_and_back(text):
    graph = from_nasbench_macro(text)
    assert to_nasbench_macro(graph) == text
    assert (graph.depth, len(graph.edges)) == (8, 9)


def test_macro_blocks():
    assert ops(from_nasbench_macro("01200000"))[1:4] == ["identity", "mbconv3x3_e3", "mbconv5x5_e6"]
    assert len({text for text, _ in all_nasbench_macro()}) == 6_561


NET = "[C(64,3,1), P(2,2), D(1,2), C(128,5,2), D(2,2), FC(256), GAP(10), SM(10)]"


def test_metaqnn_layers():
    graph = from_metaqnn(NET)
    assert ops(graph)[1:4] == ["conv", "max_pool", "dropout"]
    assert graph.nodes[4] == {"op": "conv", "out": 128, "kernel": 5, "stride": 2}
    assert to_metaqnn(graph) == NET


@given(
    st.lists(
        st.one_of(
            st.builds("C({},{},{})".format, *[st.integers(1, 512)] * 3),
            st.builds("P({},{})".format, *[st.integers(1, 5)] * 2),
            st.builds("{}({})".format, st.sampled_from(["FC", "SM", "GAP"]), st.integers(1, 512)),
        ),
        min_size=1,
    )
)
def test_metaqnn_there_and_back(layers):
    text = f"[{', '.join(layers)}]"
    assert to_metaqnn(from_metaqnn(text)) == text


def test_recurrent_networks():
    stack = from_rnn("lstm-l2-u90")
    assert [(node["op"], node.get("out")) for node in stack.nodes[1:-1]] == [
        ("embedding", 90),
        ("lstm", 90),
        ("lstm", 90),
        ("linear", None),
    ]
    assert ops(from_rnn("gru-64-avg-patch32")) == ["input", "embedding", "gru", "linear", "output"]
    assert from_rnn("gru-64-avg-patch32").nodes[2]["out"] == 64


def test_lists_of_layers():
    graph = from_layers(["conv3x3", {"op": "linear", "out": 10}])
    assert graph.nodes[1:3] == ({"op": "conv3x3"}, {"op": "linear", "out": 10})
    assert parse('["conv3x3", {"op": "linear", "out": 10}]', "layers") == graph
    assert ops(from_layers([])) == ["input", "output"]


@pytest.mark.parametrize(
    ("text", "format", "message"),
    [
        ("0012|gat|fc", "nas-bench-graph", "four digits and four operations"),
        ("0a12|gat|fc|fc|fc", "nas-bench-graph", "four digits and four operations"),
        ("0042|gat|fc|fc|fc", "nas-bench-graph", "operation 3 reads from 4, which is not before it"),
        ("0012|gat|fc|fc|", "nas-bench-graph", "'' is no operation"),
        ("{", "nasbench-nlp", "is not JSON"),
        ("[]", "nasbench-nlp", "no object of operations with a new state"),
        ('{"h_new_0": {"op": "linear"}}', "nasbench-nlp", "'h_new_0' is {'op': 'linear'}, not"),
        ('{"h_new_0": {"op": "linear", "input": [1]}}', "nasbench-nlp", "'h_new_0' is"),
        ('{"h_new_0": {"op": "linear", "input": []}}', "nasbench-nlp", "reads nothing that it does not compute"),
        ('{"h_new_0": {"op": "a", "input": ["x", "h_new_0"]}}', "nasbench-nlp", "the graph has a cycle"),
        ('{"h_new_0": {"op": "output", "input": ["x"]}}', "nasbench-nlp", "'output' is no operation"),
        ("0201210", "nas-bench-macro", "eight digits from 0 to 2"),
        ("02012103", "nas-bench-macro", "eight digits from 0 to 2"),
        ("[]", "metaqnn", "is no layer such as"),
        ("[C(64,3,1), oops]", "metaqnn", "'oops' is no layer such as"),
        ("[C(64,3)]", "metaqnn", r"C\(64,3\) is no layer with its sizes"),
        ("[X(1)]", "metaqnn", r"X\(1\) is no layer with its sizes; known are C, P"),
        ("transformer", "rnn", "is neither like lstm-l2-u90 nor"),
        ("{}", "layers", "is no list"),
        ("[3]", "layers", "3 is no operation"),
        ('[{"out": 3}]', "layers", "None is no operation"),
        ("{}", "graph", "the graph is not"),
        ("x", "nasbench202", "the format 'nasbench202' is not known; known are nasbench101, "),
        (None, "rnn", "is a text, not NoneType"),
    ],
)
def test_what_is_refused(text, format, message):
    with pytest.raises(DataError, match=message) as caught:
        parse(text, format)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=40), st.sampled_from(sorted(FORMATS)))
def test_any_text_is_a_graph_or_an_error_of_one_line(text, format):
    try:
        found = parse(text, format).to_json()
    except DataError as error:
        found = str(error)
    assert "\n" not in found


@pytest.mark.parametrize("write", [to_nasbench_graph, to_nasbench_macro, to_metaqnn])
def test_graphs_that_a_format_cannot_state(write):
    nodes = [{"op": op} for op in ("input", "a", "b", "output")]
    fork = ArchGraph(tuple(nodes), ((0, 1), (0, 2), (1, 3), (2, 3), (1, 2)))
    with pytest.raises(DataError, match="the graph"):
        write(fork)
    with pytest.raises(DataError, match="the graph"):
        write(from_layers(["linear"]))
    with pytest.raises(DataError, match=r"the graph has the operation {'op': 'skip', 'bias': 1}"):
        write(from_layers([{"op": "skip", "bias": 1}] * 8))


def test_the_output_of_a_graph_network_reads_just_the_ends():
    """Four operations that read one each; it cannot be that the input, or one that is read, goes there as well."""
    nodes = tuple({"op": op} for op in ("input", "gat", "gcn", "gin", "fc", "output"))
    tree = ((0, 1), (1, 2), (0, 3), (0, 4), (2, 5), (3, 5), (4, 5))
    assert to_nasbench_graph(ArchGraph(nodes, tree)) == "0001|gat|gin|fc|gcn"
    for more in ((0, 5), (1, 5)):
        with pytest.raises(DataError, match="no tree of four"):
            to_nasbench_graph(ArchGraph(nodes, (*tree, more)))


def test_an_input_that_is_a_new_state_is_no_recipe():
    with pytest.raises(DataError, match="hands an input to the output"):
        to_nasbench_nlp(ArchGraph(({"op": "input"}, {"op": "output"}), ((0, 1),)))


def test_prune_leaves_what_matters():
    nodes = [{"op": op} for op in ("input", "input", "a", "none", "b", "dead", "c", "output")]
    edges = [(0, 2), (1, 3), (3, 4), (2, 5), (2, 7), (4, 7), (6, 7)]
    assert ops(prune(nodes, edges)) == ["input", "a", "output"]
    kept = prune(nodes, edges, pruned=False)
    assert ops(kept) == ["input", "input", "a", "absent", "b", "output"]
    assert sources(kept, "output") == ["a", "b"]
    assert nodes[3] == {"op": "none"}
