"""The measured corpora beside the repository: their graphs are what the parsers make of their texts."""

import os
from pathlib import Path

import pandas as pd
import pytest

from metalcx.graphs import ArchGraph, all_nasbench201, all_nasbench_graph, all_nasbench_macro, parse

DATA = Path(os.environ.get("METALCX_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data")
pytestmark = pytest.mark.skipif(not (DATA / "lemur").is_dir(), reason="no measured corpora here")

# Corpus -> how many of its architectures have a graph.
STATED = {
    "baker2018": 2_574,
    "nas-bench-graph": 26_206,
    "nas-bench-macro": 6_561,
    "nas-bench-nlp-wt2": 342,
    "nb201-finals": 15_625,
    "spikenas-bench": 15_625,
    "taskset-rnn": 12,
}
# This recipe names helpers h_new_1_act and the like, which its stored graph took for new states.
HELPERS = "h_new_1_part1"


def stated(name):
    table = pd.read_parquet(DATA / name / "architectures.parquet", columns=["format", "spec", "graph"])
    return table[table["graph"].notna()]


@pytest.mark.slow
@pytest.mark.parametrize("name", STATED)
def test_every_stored_graph_is_what_its_text_says(name):
    table = stated(name)
    assert len(table) == STATED[name]
    differ = [
        spec
        for format, spec, graph in table.itertuples(index=False)
        if parse(spec, format).hash != ArchGraph.from_json(graph).hash
    ]
    assert differ == [spec for spec in table["spec"] if HELPERS in spec]


@pytest.mark.parametrize("name", STATED)
def test_some_stored_graphs_are_what_their_texts_say(name):
    table = stated(name).sample(frac=min(1.0, 300 / STATED[name]), random_state=0)
    for format, spec, graph in table.itertuples(index=False):
        assert HELPERS in spec or parse(spec, format).hash == ArchGraph.from_json(graph).hash


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "enumerate_all"),
    [
        ("nb201-finals", all_nasbench201),
        ("nas-bench-graph", all_nasbench_graph),
        ("nas-bench-macro", all_nasbench_macro),
    ],
)
def test_whole_spaces_are_enumerated(name, enumerate_all):
    assert {text for text, _ in enumerate_all()} == set(stated(name)["spec"])
