"""The benchmark from a corpus to tables, and what the tables say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from metalcx.bench.dynamics import ROWS, Effort, run_dynamics
from metalcx.bench.dynamics._compare import over
from metalcx.bench.dynamics._rows import BASE_ROW, Told, learned_from
from metalcx.bench.dynamics._score import n_points, scored, table_of
from metalcx.bench.dynamics._tables import best_without
from metalcx.cli import app
from metalcx.errors import DataError

from .made_nets import made_fold, write_nets

SHORT = Effort(steps=4, every=2, anneal=2, curves=64)
ROWS_TRIED = ("lc-gode", "lc-gode-encoder", "node", "nsde", "lstm", "lc-pfn", "last", "affine", BASE_ROW)


def test_the_last_point_is_scored_and_values_near_0_do_not_blow_up():
    fold = made_fold()
    true = fold.y[fold.test][:, fold.seen :]
    assert list(n_points(fold)) == [5, 13, 20]
    exact = scored(Told(true.copy(), 1.0, 0.5), fold)
    assert exact[[c for c in exact if c.startswith(("mape", "mse"))]].to_numpy().max() == 0
    assert table_of(exact)["tau"] == pytest.approx(1)
    off = true.copy()
    off[:, -1] += 0.2
    found = table_of(scored(Told(off, 1.0, 0.5), fold))
    assert found["rmse0.4"] == found["rmse0.7"] == 0
    assert found["rmse1"] == pytest.approx(0.2 / np.sqrt(20))
    assert found["mape1"] == pytest.approx((0.2 / true[:, -1]).mean() / 20)


def test_one_row_over_another_is_paired_and_by_architecture():
    rng = np.random.default_rng(0)
    base = pd.DataFrame({"seed": 0, "run": range(60), "group": np.arange(60) // 6})
    b = base.assign(mape1=rng.uniform(0.1, 1.0, 60), mse1=1.0)
    a = b.assign(mape1=0.8 * b.mape1, mse1=0.25)
    assert over(a, b, "mape").value == pytest.approx(0.2)
    assert (over(a, b, "mape").low, over(a, b, "mape").high) == pytest.approx((0.2, 0.2))
    assert over(a, b, "rmse").value == pytest.approx(0.5)
    noisy = b.assign(mape1=b.mape1 * np.repeat(rng.uniform(0.3, 1.5, 10), 6))
    wide, alone = over(noisy, b, "mape"), over(noisy.assign(group=range(60)), b.assign(group=range(60)), "mape")
    assert wide.high - wide.low > 1.5 * (alone.high - alone.low), "runs of an architecture count once"
    runs = pd.concat([a.assign(row="srm"), b.assign(row="node"), b.assign(row="last", mape1=2.0)])
    assert best_without(runs, "mape") == "node", "srm reads more than the curve"


def test_end_to_end_and_again(tmp_path):
    write_nets(tmp_path)
    told: list[str] = []
    steps: list[tuple[int, int]] = []

    def run(**known):
        return run_dynamics(
            tmp_path,
            tmp_path / "out",
            tasks=["made/nets"],
            rows=ROWS_TRIED,
            seeds=2,
            effort=SHORT,
            progress=lambda *w: (told.append(w[2]), steps.append(w[:2])),
            **known,
        )

    result = run()
    assert len(told) == 2 * len(ROWS_TRIED)
    assert steps == [(done, len(told)) for done in range(1, len(told) + 1)]
    summary = pd.DataFrame(result["summary"]).set_index("row")
    assert set(summary.index) == set(ROWS_TRIED) < set(ROWS)
    assert (summary.seeds == 2).all()
    errors = summary[[c for c in summary if c.startswith(("mape", "rmse")) and not c.endswith("_sd")]]
    assert (errors > 0).all().all()
    assert summary.mape1["affine"] < summary.mape1["last"], "losses that all fall are foreseen by what others did"
    pairs = set(pd.DataFrame(result["versus"]).pair)
    assert {"lc-gode over best no-graph row", "nsde over node"} <= pairs
    page = (tmp_path / "out" / "tables.md").read_text()
    assert "| lc-gode | " in page
    assert "25 points, the first 5 seen" in page

    told.clear()
    before = (tmp_path / "out" / "summary.csv").read_bytes()
    (tmp_path / "out" / "parts" / "made--nets--node--1.csv").unlink()
    run()
    assert told == ["made/nets node 1"]
    drop = ["train", "test"]
    again = pd.read_csv(tmp_path / "out" / "summary.csv").drop(columns=drop)
    (tmp_path / "before.csv").write_bytes(before)
    pd.testing.assert_frame_equal(again, pd.read_csv(tmp_path / "before.csv").drop(columns=drop))
    with pytest.raises(DataError, match="holds a benchmark of other settings"):
        run(metric="val_accuracy")


def test_what_learned_from_a_corpus_is_not_judged_on_it():
    assert learned_from("smallnets")
    assert not learned_from("spikenas-bench")
    assert BASE_ROW in ROWS


def test_the_command_hands_its_options_on_and_says_what_it_lacks(tmp_path):
    write_nets(tmp_path)
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "o"), "--task", "made/nets", "--seeds", "1", "--json"]
    good = CliRunner().invoke(app, ["bench", "dynamics", *options, "--row", "last", "--row", "affine"])
    assert good.exit_code == 0, good.stderr
    assert {r["row"] for r in json.loads(good.stdout)["summary"]} == {"last", "affine"}
    bad = CliRunner().invoke(app, ["bench", "dynamics", *options, "--row", "magic"])
    assert bad.exit_code == 2
    assert "no row is called 'magic'; there is lc-gode" in bad.stderr
