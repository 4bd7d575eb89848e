"""fit-prior, suggest and bench suggest: from corpora to candidates worth trying, and what people get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from made_pools import specs, worth, write_pools

CELLS = specs(40, seed=5)


@pytest.fixture
def prior(home, metalcx):
    write_pools(Path("pools"), 60, 3)
    done = metalcx("fit-prior", "--corpus", "pools", "--encoder", "none", "--out", "prior", "--picture", "forest.png")
    assert done.exit_code == 0, done.output
    pd.DataFrame({"run": [f"c{i}" for i in range(len(CELLS))], "arch": CELLS, "lr": 0.01}).to_csv("c.csv", index=False)
    return "prior"


def asked(metalcx, *options):
    done = metalcx("suggest", "prior", "--candidates", "c.csv", "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_good_candidates_come_first_and_say_why(prior, metalcx):
    assert Path("forest.png").stat().st_size > 1000
    assert "number of nor_conv_3x3" in Path("prior/README.md").read_text()
    said = asked(metalcx, "--top", 3, "--explore", 0)
    assert [row["rank"] for row in said["suggestions"]] == [1, 2, 3]
    best = said["suggestions"][0]["candidate"]["arch"]
    assert worth(best) >= sorted(map(worth, CELLS))[-3]
    assert "nor_conv_3x3" in said["suggestions"][0]["why"][0]
    table = metalcx("suggest", "prior", "--candidates", "c.csv")
    assert "40 candidates, 0 tried, 3 source tasks of pools" in table.stdout
    assert "1: strong elsewhere:" in table.stdout


@pytest.mark.parametrize("metric", ["score:max", "loss:min"])
def test_results_by_id_correct_it_and_nothing_tried_comes_back(prior, metalcx, metric):
    sign = 1 if metric == "score:max" else -1
    # Here convolutions do harm.
    rows = [(f"c{i}", 1.0, -sign * worth(cell)) for i, cell in enumerate(CELLS[:25])]
    table = pd.DataFrame([*rows, ("c30", 0.5, 0.0)], columns=["run", "t", "value"])
    table.to_csv("curves.csv", index=False)
    said = asked(metalcx, "--curves", "curves.csv", "--metric", metric, "--top", 15, "--explore", 0)
    assert said["tried"] == 25
    names = [row["candidate"]["run"] for row in said["suggestions"]]
    assert len(set(names)) == len(names) == 14
    assert not set(names) & {f"c{i}" for i in (*range(25), 30)}
    without = asked(metalcx, "--top", 40, "--explore", 0)
    place = {row["candidate"]["run"]: row["rank"] for row in without["suggestions"]}
    assert place[names[0]] > place[names[-1]] or said["suggestions"][0]["mean"] != pytest.approx(
        without["suggestions"][place[names[0]] - 1]["mean"]
    )


def test_results_by_what_was_trained(prior, metalcx):
    tried = pd.DataFrame({"run": ["a", "b"], "arch": [CELLS[0], specs(200, seed=9)[-1]], "lr": [0.01, 0.5]})
    tried.to_csv("tried.csv", index=False)
    pd.DataFrame({"run": ["a", "b"], "t": 1.0, "value": [0.3, 0.9]}).to_csv("curves.csv", index=False)
    said = asked(
        metalcx, "--curves", "curves.csv", "--runs", "tried.csv", "--metric", "score:max", "--top", 99, "--explore", 0
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
def test_what_people_get_wrong_is_one_line(prior, metalcx, columns, options, complaint):
    pd.DataFrame(columns).to_csv("c.csv", index=False)
    pd.DataFrame({"run": ["u"], "t": 1.0, "value": 0.5}).to_csv("u.csv", index=False)
    done = metalcx("suggest", "prior", "--candidates", "c.csv", *options)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_operation_is_no_error(prior, metalcx):
    graph = {"nodes": [{"op": "input"}, {"op": "warp"}, {"op": "output"}], "edges": [[0, 1], [1, 2]]}
    pd.DataFrame({"arch": [json.dumps(graph), CELLS[0], CELLS[1]], "lr": 0.1}).to_csv("c.csv", index=False)
    assert len(asked(metalcx, "--top", 3)["suggestions"]) == 3


def test_the_benchmark_runs(home, metalcx):
    write_pools(Path("data/pools"), 40, 3)
    rows = ("--row", "suggest", "--row", "random")
    done = metalcx(
        "bench",
        "suggest",
        "--data",
        "data",
        "--out",
        "out",
        "--corpus",
        "pools",
        "--seeds",
        2,
        "--encoder",
        "none",
        *rows,
    )
    assert done.exit_code == 0, done.output
    assert "pools" in done.stdout
    assert Path("out/suggest.csv").exists()
