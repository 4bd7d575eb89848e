"""fit-prior, suggest and bench suggest: from corpora to candidates worth trying, and what people get wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_pools import specs, worth, write_pools
from typer.testing import CliRunner

from metalcx.cli import app
from metalcx.graphs import from_nasbench201

#: No two of them are isomorphic.
CELLS = list({from_nasbench201(cell).hash: cell for cell in specs(60, seed=5)}.values())[:40]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A prior, fitted once by the command."""
    root = tmp_path_factory.mktemp("fitted")
    write_pools(root / "pools", 60, 3)
    about = ("--corpus", root / "pools", "--encoder", "none", "--picture", root / "forest.png")
    done = CliRunner().invoke(app, [str(a) for a in ("fit-prior", *about, "--out", root / "prior")])
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def prior(home, fitted):
    shutil.copytree(fitted, home, dirs_exist_ok=True)
    pd.DataFrame({"run": [f"c{i}" for i in range(len(CELLS))], "arch": CELLS, "lr": 0.01}).to_csv("c.csv", index=False)


def asked(good, *options):
    return json.loads(good("suggest", "prior", "--candidates", "c.csv", "--json", *options))


def test_good_candidates_come_first_and_say_why(prior, good):
    assert Path("forest.png").stat().st_size > 1000
    assert "number of nor_conv_3x3" in Path("prior/README.md").read_text()
    said = asked(good, "--top", 3, "--explore", 0)
    assert [row["rank"] for row in said["suggestions"]] == [1, 2, 3]
    best = [worth(row["candidate"]["arch"]) for row in said["suggestions"]]
    assert np.mean(best) > np.quantile([worth(cell) for cell in CELLS], 0.8)
    assert "nor_conv_3x3" in said["suggestions"][0]["why"][0]
    table = good("suggest", "prior", "--candidates", "c.csv")
    assert "40 candidates, 0 tried, 3 source tasks of pools" in table
    assert "1: strong elsewhere:" in table


@pytest.mark.parametrize("metric", ["score:max", "loss:min"])
def test_results_by_id_correct_it_and_nothing_tried_comes_back(prior, good, metric):
    sign = 1 if metric == "score:max" else -1
    # Here convolutions do harm.
    rows = [(f"c{i}", 1.0, -sign * worth(cell)) for i, cell in enumerate(CELLS[:25])]
    table = pd.DataFrame([*rows, ("c30", 0.5, 0.0)], columns=["run", "t", "value"])
    table.to_csv("curves.csv", index=False)
    said = asked(good, "--curves", "curves.csv", "--metric", metric, "--top", 15, "--explore", 0)
    assert said["tried"] == 25
    names = [row["candidate"]["run"] for row in said["suggestions"]]
    assert len(set(names)) == len(names) == 14
    assert not set(names) & {f"c{i}" for i in (*range(25), 30)}
    before = asked(good, "--top", 40, "--explore", 0)["suggestions"]
    untried = [row["candidate"]["arch"] for row in before if row["candidate"]["run"] in names]
    assert worth(said["suggestions"][0]["candidate"]["arch"]) < worth(untried[0])


def test_results_by_what_was_trained(prior, good):
    tried = pd.DataFrame({"run": ["a", "b"], "arch": [CELLS[0], specs(200, seed=9)[-1]], "lr": [0.01, 0.5]})
    tried.to_csv("tried.csv", index=False)
    pd.DataFrame({"run": ["a", "b"], "t": 1.0, "value": [0.3, 0.9]}).to_csv("curves.csv", index=False)
    said = asked(
        good, "--curves", "curves.csv", "--runs", "tried.csv", "--metric", "score:max", "--top", 99, "--explore", 0
    )
    assert said["tried"] == 2
    assert len(said["suggestions"]) == len(CELLS) - 1
    assert "c0" not in [row["candidate"]["run"] for row in said["suggestions"]]


@pytest.mark.parametrize(
    ("columns", "options", "complaint"),
    [
        ({"arch": []}, (), "c.csv: holds no candidates"),
        ({"arch": ["nonsense"]}, (), "c.csv: row 1, column 'arch': 'nonsense' is in no known format"),
        ({"spice": ["salt", "pepper"]}, (), "know 0 %; fit a prior on a corpus of candidates like them"),
        ({"run": ["a", "b"]}, (), "c.csv: has neither a column 'arch' nor hyperparameters"),
        ({"lr": [0.1]}, ("--metric", "score:max"), "--curves and --metric go together"),
        (
            {"lr": [0.1, 0.2]},
            ("--curves", "u.csv", "--metric", "s:max"),
            "u.csv: runs 'u' are no candidate by their id",
        ),
    ],
)
def test_what_people_get_wrong_is_one_line(prior, bad, columns, options, complaint):
    pd.DataFrame(columns).to_csv("c.csv", index=False)
    pd.DataFrame({"run": ["u"], "t": 1.0, "value": 0.5}).to_csv("u.csv", index=False)
    assert complaint in bad("suggest", "prior", "--candidates", "c.csv", *options)


def test_candidates_with_one_id_are_refused(prior, bad):
    pd.DataFrame({"run": ["a", "b", "a", None, None], "arch": CELLS[:5], "lr": 0.1}).to_csv("c.csv", index=False)
    pd.DataFrame({"run": ["b"], "t": 1.0, "value": 0.5}).to_csv("u.csv", index=False)
    line = bad("suggest", "prior", "--candidates", "c.csv", "--curves", "u.csv", "--metric", "s:max")
    assert "c.csv: column 'run' holds 'a' more than once; give each candidate its own id" in line


def test_a_picture_of_unknown_kind_is_refused_at_once(home, bad):
    line = bad("fit-prior", "--corpus", "nothing", "--out", "prior", "--picture", "forest.xyz")
    assert "forest.xyz: is no picture that can be drawn; give a name that ends in .png" in line


def test_an_unknown_operation_is_no_error(prior, good):
    graph = {"nodes": [{"op": "input"}, {"op": "warp"}, {"op": "output"}], "edges": [[0, 1], [1, 2]]}
    pd.DataFrame({"arch": [json.dumps(graph), CELLS[0], CELLS[1]], "lr": 0.1}).to_csv("c.csv", index=False)
    assert len(asked(good, "--top", 3)["suggestions"]) == 3


def test_the_benchmark_runs(home, good):
    write_pools(Path("data/pools"), 40, 3)
    about = ("--corpus", "pools", "--seeds", 2, "--encoder", "none", "--row", "suggest", "--row", "random")
    assert "pools" in good("bench", "suggest", "--data", "data", "--out", "out", *about)
    assert Path("out/suggest.csv").exists()
