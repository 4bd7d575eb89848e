"""Adapt and forecast from the command line: the same numbers as from Python, ids as given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx import hub

METRIC = "val_loss:min:0"
COLUMNS = ["run", "t", "mean", *(f"q{q:g}" for q in (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975))]


def curves() -> mx.Curves:
    return mx.Curves.from_frame(pd.read_csv("runs.csv"), mx.Metric.parse(METRIC))


def test_adapt_then_forecast_gives_the_rows_of_the_python_interface(home, good):
    said = good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    assert said == "mine: tiny-base adapted to 6 completed runs of val_loss\n"
    rows = good("forecast", "mine", "--curves", "runs.csv", "--metric", METRIC, "--at", 20, "--out", "fc.csv")
    assert rows == "fc.csv: 3 forecasts of 3 runs\n"
    found = pd.read_csv("fc.csv")
    expected = hub.load("tiny-base").adapt(curves().completed()).forecast(curves().running(), at=20).to_frame()
    assert list(found.columns) == COLUMNS
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-14)
    assert found["run"].tolist() == ["r6", "r7", "r8"]


def test_a_base_takes_the_finished_runs_of_the_table_as_support(home, good):
    good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    arguments = ("--curves", "runs.csv", "--metric", METRIC, "--at", 15, "--at", 20)
    assert good("forecast", "mine", *arguments) == good("forecast", "tiny-base", *arguments)
    assert len(good("forecast", "mine", *arguments).splitlines()) == 1 + 2 * 3


def test_an_adapted_model_keeps_its_own_support(home, good):
    good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    table = pd.read_csv("runs.csv")
    table[table["run"] != "r0"].to_csv("fewer.csv", index=False)
    one, other = (
        good("forecast", "mine", "--curves", file, "--metric", METRIC, "--at", 20) for file in ("runs.csv", "fewer.csv")
    )
    assert one == other


def test_without_any_finished_run_a_base_says_so_and_forecasts(home, call):
    result = call("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--horizon", 50, "--at", 50)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 10
    assert "no run of the table is finished" in result.stderr


def test_json(home, good):
    said = json.loads(good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine", "--json"))
    assert said["runs"] == {"completed": 6, "diverged": 0, "censored": 0}
    assert said["bytes"] == sum(p.stat().st_size for p in Path("mine").iterdir())
    arguments = ("forecast", "mine", "--curves", "runs.csv", "--metric", METRIC, "--at", 20, "--json")
    result = json.loads(good(*arguments))
    assert [list(row) for row in result["rows"]] == [COLUMNS] * 3
    assert result["metric"]["goal"] == "min"
    assert json.loads(good(*arguments, "--out", "fc.parquet"))["n_rows"] == 3
    assert pd.read_parquet("fc.parquet")["mean"].tolist() == [row["mean"] for row in result["rows"]]


@pytest.mark.parametrize("ids", [["007", "7", "1e3"], ["NA", "null", "nan"], ["a,b", 'say "x"', "ü"]])
def test_run_ids_come_back_as_given(home, good, ids):
    table = pd.read_csv("runs.csv")
    table["run"] = table["run"].replace(dict(zip(["r6", "r7", "r8"], ids, strict=True)))
    table.to_csv("runs.csv", index=False)
    good("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20, "--out", "fc.csv")
    assert pd.read_csv("fc.csv", dtype=str, keep_default_na=False)["run"].tolist() == ids
    out = json.loads(good("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20, "--json"))
    assert [row["run"] for row in out["rows"]] == ids


def test_a_support_of_one_run(home, good):
    table = pd.read_csv("runs.csv")
    table[table["run"] == "r0"].to_csv("one.csv", index=False)
    assert "1 completed run of" in good(
        "adapt", "tiny-base", "--curves", "one.csv", "--metric", METRIC, "--out", "mine"
    )
    assert len(good("forecast", "mine", "--curves", "runs.csv", "--metric", METRIC, "--at", 20).splitlines()) == 4


@pytest.mark.parametrize("word", ["nan", "inf", ""])
def test_a_run_that_diverged_at_its_second_point(home, good, word):
    table = pd.read_csv("runs.csv").astype({"value": object})
    table.loc[(table["run"] == "r2") & (table["t"] == 2), "value"] = word
    table.loc[(table["run"] == "r7") & (table["t"] == 2), "value"] = word
    table.to_csv("bad.csv", index=False)
    said = good("adapt", "tiny-base", "--curves", "bad.csv", "--metric", METRIC, "--out", "mine")
    assert "5 completed, 2 diverged runs" in said
    lines = good("forecast", "mine", "--curves", "bad.csv", "--metric", METRIC, "--at", 20).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["r6", "r8"]
    assert np.isfinite([float(x) for line in lines[1:] for x in line.split(",")[1:]]).all()


def test_statuses_and_hyperparameters_come_from_the_table_of_runs(home, good):
    status = ["completed", "censored", "diverged", *["completed"] * 3, "running", "completed", "running"]
    pd.DataFrame({"run": [f"r{i}" for i in range(9)], "status": status, "lr": np.arange(9.0)}).to_csv(
        "known.csv", index=False
    )
    arguments = ("--curves", "runs.csv", "--runs", "known.csv", "--metric", METRIC)
    said = json.loads(good("adapt", "tiny-base", *arguments, "--out", "mine", "--json"))
    assert said["runs"] == {"completed": 5, "diverged": 1, "censored": 1}
    assert hub.load("mine").support.source.config["lr"].tolist() == [0, 1, 2, 3, 4, 5, 7]
    lines = good("forecast", "mine", *arguments, "--at", 20).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["r6", "r8"]


def test_one_of_several_tasks(home, good):
    table, other = pd.read_csv("runs.csv"), pd.read_csv("runs.csv")
    other["value"] += 1
    pd.concat([table.assign(task="a"), other.assign(task="b")]).to_csv("both.csv", index=False)
    known = pd.DataFrame({"run": [f"r{i}" for i in range(9)] * 2, "task": ["a"] * 9 + ["b"] * 9, "lr": range(18)})
    known.to_csv("known.csv", index=False)
    arguments = ("--curves", "both.csv", "--runs", "known.csv", "--metric", METRIC, "--task", "b")
    good("adapt", "tiny-base", *arguments, "--out", "mine")
    source = hub.load("mine").support.source
    assert source.config["lr"].tolist() == [9, 10, 11, 12, 13, 14]
    np.testing.assert_allclose(source.y[:20], other["value"][:20])


@pytest.mark.parametrize("kind", ["int", "str"])
def test_parquet_and_csv_may_be_mixed(home, good, kind):
    table = pd.read_csv("runs.csv")
    table["run"] = table["run"].str[1:].astype(kind)
    table.to_parquet("runs.parquet")
    known = pd.DataFrame({"run": range(9), "lr": range(9)})
    known.to_csv("known.csv", index=False)
    known.to_parquet("known.parquet")
    for runs in ("known.csv", "known.parquet"):
        arguments = ("--curves", "runs.parquet", "--runs", runs, "--metric", METRIC)
        rows = json.loads(good("forecast", "tiny-base", *arguments, "--at", 20, "--json"))["rows"]
        assert [row["run"] for row in rows] == ([6, 7, 8] if kind == "int" else ["6", "7", "8"])


def test_a_file_by_content_not_by_name_and_a_byte_order_mark(home, good):
    pd.read_csv("runs.csv").to_parquet("runs.data")
    Path("bom.csv").write_bytes(b"\xef\xbb\xbf" + Path("runs.csv").read_bytes().replace(b"\n", b"\r\n"))
    outputs = {
        good("forecast", "tiny-base", "--curves", file, "--metric", METRIC, "--at", 20)
        for file in ("runs.csv", "runs.data", "bom.csv")
    }
    assert len(outputs) == 1


def test_an_adapted_model_is_replaced_and_nothing_stays_beside_it(home, good):
    for metric in (METRIC, "val_loss:min"):
        good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", metric, "--out", "deep/mine")
    assert sorted(p.name for p in Path("deep").iterdir()) == ["mine"]
    assert hub.load("deep/mine").support.metric == mx.Metric("val_loss", "min")
