"""Candidates: read from tables, known by what they are, and refused with the row where they cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_pools import chain, specs

from metalcx.errors import DataError
from metalcx.graphs import from_nasbench201
from metalcx.transfer import Candidates
from metalcx.transfer._candidates import concat, joined


def test_formats_are_found_out_and_graph_json_is_one():
    spec = specs(1)[0]
    table = pd.DataFrame({"arch": [spec, from_nasbench201(spec).to_json(), "0011|gat|gcn|gat|gin", None]})
    found = Candidates.from_frame(table)
    assert found.key[0] == found.key[1] != found.key[2]
    np.testing.assert_array_equal(found.arch, [0, 0, 1, -1])


def test_numbers_that_are_equal_are_one_candidate_whatever_their_type():
    found = Candidates.from_frame(pd.DataFrame({"lr": [1, 1.0, 2], "opt": ["sgd", "sgd", "sgd"]}))
    assert found.key[0] == found.key[1] != found.key[2]


def test_what_is_missing_is_left_out():
    a = Candidates.from_frame(pd.DataFrame({"lr": [0.1], "momentum": [np.nan]}))
    b = Candidates.from_frame(pd.DataFrame({"lr": [0.1]}))
    assert a.key[0] == b.key[0]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (pd.DataFrame({"arch": []}), "tab.csv: holds no candidates"),
        (pd.DataFrame({"run": ["a"]}), "neither a column 'arch' nor hyperparameters"),
        (
            pd.DataFrame({"arch": ["what is this"]}),
            "tab.csv: row 1, column 'arch': 'what is this' is in no known format",
        ),
        (pd.DataFrame({"arch": ["0011|gat|gcn|gat|gin"], "format": ["nasbench201"]}), "row 1, column 'arch'"),
        (pd.DataFrame({"arch": ["x"], "format": ["mystery"]}), "the format 'mystery' is not known"),
        (pd.DataFrame({"lr": [[0.1, 0.2]]}), "column 'lr' holds lists"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(table, complaint):
    with pytest.raises(DataError, match=complaint):
        Candidates.from_frame(table, "tab.csv")


def test_as_many_configurations_as_graphs():
    with pytest.raises(DataError, match="2 rows of hyperparameters for 1 candidates"):
        Candidates.of([chain("conv")], pd.DataFrame({"lr": [1.0, 2.0]}))


def test_joined_candidates_are_each_there_once():
    a = Candidates.of([chain("conv"), None, chain("pool")], pd.DataFrame({"lr": [0.1, 0.2, 0.3]}))
    b = Candidates.of([chain("pool"), chain("conv")], pd.DataFrame({"lr": [0.3, 0.9]}))
    whole, (first, second) = joined([a, b])
    assert len(whole) == 4
    np.testing.assert_array_equal(whole.key[first], a.key)
    np.testing.assert_array_equal(whole.key[second], b.key)
    np.testing.assert_array_equal(whole.config["lr"].to_numpy()[second], [0.3, 0.9])
    graph = whole.arch[second[0]]
    assert whole.graphs.take([graph]).words.tolist() == ["input", "pool", "output"]


def test_one_after_another():
    a, b = Candidates.of([chain("conv")]), Candidates.of([None, chain("pool")], pd.DataFrame({"lr": [1.0, 2.0]}))
    whole = concat([a, b])
    np.testing.assert_array_equal(whole.arch, [0, -1, 1])
    assert whole.config["lr"].isna().tolist() == [True, False, False]
