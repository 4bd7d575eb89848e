"""The demo on a small corpus: what it claims is what it computed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from strategies import SCORE, make

from metalcx import hub
from metalcx.cli._demo import _choose
from metalcx.cli._study import _draw, run_study
from metalcx.corpora import open_corpus

DEMO = ("demo", "--model", "tiny-base", "--corpus", "mini")


@pytest.fixture
def study(mini):
    return run_study(open_corpus("mini").task("wine"), "tiny-base", 5, 0.2, 0)


def test_the_demo_prints_a_table_and_draws_a_picture(mini, good):
    text = good(*DEMO)
    assert "tiny-base, adapted to 5 completed runs of wine" in text
    assert "mean of all" in text
    assert "The 80 % interval holds" in text
    assert len([line for line in text.splitlines() if re.match(r" *r\d", line)]) == 15
    picture = Path("metalcx-demo.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
    assert sorted(p.name for p in Path().iterdir()) == ["metalcx-demo.html", "metalcx-demo.png", "runs.csv"]


def test_json_says_what_the_table_says(mini, good):
    said = json.loads(good(*DEMO, "--task", "digits", "--out", "x.png", "--json"))
    errors = {
        name: np.mean([run["error"][name] for run in said["runs"]]) for name in ("forecast", "last value", "med5")
    }
    assert said["mean_error"] == pytest.approx(errors)
    inside = [run["interval_80"][0] <= run["final"] <= run["interval_80"][1] for run in said["runs"]]
    assert said["coverage_80"] == pytest.approx(np.mean(inside))
    assert said["task"] == "digits"
    assert Path("x.png").exists()


def test_support_and_queries_share_no_run_and_no_group(study):
    assert (study.support.status == "completed").all()
    assert len(study.support) == 5
    assert not set(study.support.group) & set(study.truth.group)
    assert "r3" not in {*study.support.ids, *study.truth.ids}, "a diverged run has no end to compare with"
    assert study.left_out == 1


def test_queries_are_cut_and_forecast_at_their_end(study):
    assert (study.seen.length == 6).all()
    np.testing.assert_array_equal(study.forecast.t[:, -1], study.truth.t_last)
    np.testing.assert_array_equal(study.last, study.truth.padded().y[:, 5])
    base = hub.load("tiny-base").adapt(study.support)
    np.testing.assert_array_equal(study.forecast.mean[:, -1], base.forecast(study.seen, at=30).mean)


def test_errors_are_against_the_truth_and_rows_follow_it(study):
    np.testing.assert_allclose(study.errors()["last value"], np.abs(study.truth.padded().last - study.last))
    finals = [float(row[2]) for row in study.rows(12)[:-1]]
    assert finals == sorted(finals), "a loss: the best is the smallest"
    assert len(study.rows(3)) == 4
    assert study.rows(3)[-1][0] == f"mean of all {len(study.truth)}"


def test_a_run_that_blew_up_does_not_decide_the_mean(study):
    values = study.truth.y.copy()
    values[study.truth.offsets[1] - 1] = 1e9
    truth = replace(study.truth, values={"val_loss": values})
    init, best = np.median(truth.padded().first), values.min()
    worst = replace(study, truth=truth).errors()["last value"][0]
    assert worst == pytest.approx(init + 3 * (init - best) - study.last[0])


def test_another_seed_draws_another_support(mini, study):
    other = run_study(open_corpus("mini").task("wine"), "tiny-base", 5, 0.2, 1)
    assert list(other.support.ids) != list(study.support.ids)
    again = run_study(open_corpus("mini").task("wine"), "tiny-base", 5, 0.2, 0)
    assert list(again.support.ids) == list(study.support.ids)


def test_the_task_is_of_a_family_that_the_model_never_saw(mini, bad, shelf, tiny):
    path = shelf / "pretrained" / "tiny-base"
    hub.save(tiny.Tiny(), path, name="tiny-base", metrics={"source_families": ["wine"]})
    assert _choose("mini", None, "tiny-base").name == "digits"
    assert _choose("mini", "wine", "tiny-base").name == "wine"
    hub.save(tiny.Tiny(), path, name="tiny-base", metrics={"source_families": ["wine", "digits"]})
    assert "tiny-base was trained on every family in it" in bad(*DEMO)


def test_a_support_too_large_and_a_place_that_cannot_be_written(mini, bad):
    assert "wine: has too few completed runs for a support of 40" in bad(*DEMO, "--support", 40)
    assert "no task 'mnist'" in bad(*DEMO, "--task", "mnist")
    assert "runs.csv/x.png: cannot be written" in bad(*DEMO, "--out", "runs.csv/x.png")


def test_no_support_at_all(mini):
    study = run_study(open_corpus("mini").task("wine"), "tiny-base", 0, 0.2, 0)
    assert len(study.support) == 0
    assert len(study.truth) == 23
    assert np.isfinite(study.forecast.values).all()


def test_it_ends_with_ranking_replay_and_report(mini, good, bad):
    said = json.loads(good(*DEMO, "--report", "x.html", "--json"))
    assert said["report"] == "x.html"
    page = Path("x.html").read_text()
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])
    assert facts["title"] == "wine, from the first 20 %"
    assert (len(facts["runs"]), facts["head"]["counts"]["completed"]) == (len(said["runs"]) + 5, 5)
    assert facts["calibration"]["runs"] == len(said["runs"]) + 5
    best = [row["best"] for row in facts["runs"]]
    assert said["ranking"][0]["prob_best"] == pytest.approx(max(best), rel=1e-3)
    assert said["stopping"]["speed_up"] >= 1
    text = good(*DEMO)
    assert "Likeliest to be the best of all, as the runs stood: r" in text
    assert "Stopped below 5 % to beat the best so far" in text
    assert "give a name that ends in .html" in bad(*DEMO, "--report", "x.pdf")


def test_runs_without_a_group_may_be_on_both_sides():
    parts = [(np.arange(5.0), np.arange(5.0) + i) for i in range(6)]
    curves = make(SCORE, parts, group=np.array([None, None, None, "a", "a", None], dtype=object))
    for seed in range(5):
        support, queries, _ = _draw(curves, 1, seed, "t")
        assert len(queries) == (4 if curves.group[support[0]] == "a" else 5)
