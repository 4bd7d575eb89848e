"""Rank and replay from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx import decide, hub

METRIC = "val_loss:min:0"
TABLE = ("--curves", "runs.csv", "--metric", METRIC)


def curves() -> mx.Curves:
    return mx.Curves.from_frame(pd.read_csv("runs.csv"), mx.Metric.parse(METRIC))


def test_rank_orders_all_runs_and_knows_the_finished_ones(home, good):
    rows = json.loads(good("rank", "tiny-base", *TABLE, "--at", 20, "--json"))
    assert rows["incumbent"] == pytest.approx(curves().best())
    frame = pd.DataFrame(rows["rows"])
    assert frame["rank"].tolist() == list(range(1, 10))
    assert sorted(frame["run"]) == [f"r{i}" for i in range(9)]
    assert frame["mean"].tolist() == sorted(frame["mean"])
    assert frame["prob_best"].sum() == pytest.approx(1)
    known = frame.set_index("run")
    assert known.loc["r0", "mean"] == pytest.approx(curves().final[0])
    assert known.loc["r0", "q0.05"] == known.loc["r0", "q0.95"]
    assert known.loc["r0", ["status", "prob_beats", "expected_improvement"]].tolist() == ["completed", 0, 0]
    model = hub.load("tiny-base").adapt(curves().finished())
    expected = decide.rank(model.forecast(curves().running(), at=20)).prob_beats(curves().best())
    assert known.loc[["r6", "r7", "r8"], "prob_beats"].tolist() == pytest.approx(expected.tolist())


def test_before_the_ends_runs_are_compared_as_they_stood(home, good, bad):
    rows = json.loads(good("rank", "tiny-base", *TABLE, "--at", 4, "--json"))
    stood = curves().padded().at(np.array([4.0]))[:, 0]
    assert rows["incumbent"] == pytest.approx(stood[:6].min())
    assert {r["run"]: r["mean"] for r in rows["rows"]} == pytest.approx(dict(zip(curves().ids, stood, strict=True)))
    assert "compared at a finite time" in bad("rank", "tiny-base", *TABLE, "--at", "nan")


def test_rank_shows_the_top_and_writes_a_table(home, good):
    said = good("rank", "tiny-base", *TABLE, "--at", 20, "--top", 3, "--out", "ranks.csv")
    assert said == "ranks.csv: 3 runs, the best first\n"
    frame = pd.read_csv("ranks.csv")
    assert {"prob_top3", "prob_best", "prob_beats", "expected_improvement"} <= set(frame)
    assert frame["rank"].tolist() == [1, 2, 3]
    assert good("rank", "tiny-base", *TABLE, "--at", 20, "--top", 3) == Path("ranks.csv").read_text()


def test_rank_without_a_finished_run_has_no_incumbent(home, call):
    result = call("rank", "tiny-base", *TABLE, "--horizon", 50, "--at", 50)
    assert result.exit_code == 0
    assert "no run of the table is finished" in result.stderr
    assert "prob_beats" not in result.stdout
    assert "prob_best" in result.stdout


def test_a_diverged_run_is_ranked_last(home, good):
    table = pd.read_csv("runs.csv")
    table.loc[(table["run"] == "r0") & (table["t"] == 9), "value"] = np.inf
    table[(table["run"] != "r0") | (table["t"] <= 9)].to_csv("runs.csv", index=False)
    rows = json.loads(good("rank", "tiny-base", *TABLE, "--at", 20, "--json"))["rows"]
    assert (rows[-1]["run"], rows[-1]["status"], rows[-1]["prob_best"], rows[-1]["mean"]) == ("r0", "diverged", 0, None)


def test_rank_refuses_what_it_cannot_do(home, bad):
    assert "says neither CSV nor Parquet" in bad("rank", "tiny-base", *TABLE, "--at", 20, "--out", "x.txt")
    line = bad(
        "rank", "tiny-base", "--curves", "runs.csv", "--metric", "accuracy:max", "--at", 20, "--runs", "none.csv"
    )
    assert "none.csv" in line


PAST = ("--curves", "past.csv", "--metric", METRIC)


@pytest.fixture
def past(home):
    """24 finished runs that fall to losses of their own."""
    rng = np.random.default_rng(0)
    rows = [
        (f"r{i}", t, level + (2.0 - level) * np.exp(-t / 3) + 0.01 * rng.random())
        for i, level in enumerate(rng.uniform(0.2, 1.0, 24))
        for t in range(1, 13)
    ]
    pd.DataFrame(rows, columns=["run", "t", "value"]).to_csv("past.csv", index=False)
    return home


def test_replay_says_what_would_have_been_saved(past, good):
    options = ("--orders", 4, "--threshold", 0.0, "--threshold", 0.3, "--json")
    said = json.loads(good("replay", "tiny-base", *PAST, *options))
    assert (said["runs"], said["orders"], said["readapt"]) == (24, 4, True)
    none, some = said["rows"]
    assert (none["threshold"], none["speed_up"], none["regret"], none["wrong"]) == (0.0, 1.0, 0.0, {})
    assert some["speed_up"] > 1.2
    assert some["speed_up_low"] <= some["speed_up"] <= some["speed_up_high"]
    # The same from Python.
    data = mx.Curves.from_frame(pd.read_csv("past.csv"), mx.Metric.parse(METRIC))
    policy = decide.StopPolicy(hub.load("tiny-base"), threshold=0.3)
    found = decide.summary([r.outcome for r in decide.replay(data, policy, orders=4)])
    assert {k: some[k] for k in found} == pytest.approx(found)


def test_replay_prints_a_table_and_names_wrong_stops(past, good):
    said = good("replay", "tiny-base", *PAST, "--orders", 3, "--threshold", 0.9, "--workers", 3)
    assert "24 runs, 3 orders, 3 workers, by tiny-base" in said
    assert "threshold 0.9: wrongly stopped r" in said
    assert "of 3 orders" in said


def test_replay_writes_a_table_or_a_folder(past, good):
    good("replay", "tiny-base", *PAST, "--orders", 2, "--out", "saved.csv")
    assert pd.read_csv("saved.csv")["threshold"].tolist() == [0.01, 0.05, 0.1]
    good("replay", "tiny-base", *PAST, "--orders", 2, "--threshold", 0.9, "--out", "folder")
    assert sorted(p.name for p in Path("folder").iterdir()) == [
        "orders.csv",
        "summary.csv",
        "timeline.jsonl",
        "wrong_stops.png",
    ]
    orders = pd.read_csv("folder/orders.csv")
    assert orders["order"].tolist() == [0, 1]
    lines = [json.loads(line) for line in Path("folder/timeline.jsonl").read_text().splitlines()]
    assert {"threshold", "order", "clock", "run", "what", "points", "t", "score", "incumbent"} == set(lines[0])
    for number, spent in enumerate(orders["spent"]):
        own = [line for line in lines if line["order"] == number]
        assert sum(line["points"] for line in own) == spent
        assert sum(line["what"] == "started" for line in own) == 24
    assert Path("folder/wrong_stops.png").read_bytes().startswith(b"\x89PNG")


def test_an_adapted_model_is_replayed_as_it_is(past, good):
    good("adapt", "tiny-base", *PAST, "--out", "mine")
    assert json.loads(good("replay", "mine", *PAST, "--orders", 2, "--json"))["readapt"] is False


def test_replay_refuses_what_it_cannot_do(past, bad):
    assert "0 of 24 runs are finished" in bad("replay", "tiny-base", *PAST, "--horizon", 50)
    table = pd.read_csv("past.csv")
    table[table["run"] == "r0"].to_csv("past.csv", index=False)
    assert "1 of 1 runs are finished" in bad("replay", "tiny-base", *PAST)
    table.rename(columns={"value": "cost"}).to_csv("past.csv", index=False)
    assert "past.csv" in bad("replay", "tiny-base", *PAST)
    table.to_csv("past.csv", index=False)
    assert "threshold is a share between 0 and 1; got 1.5" in bad("replay", "tiny-base", *PAST, "--threshold", 1.5)
