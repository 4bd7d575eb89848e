"""The report from the command line: one file, whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metalcx import hub
from metalcx.decide import Decision, DecisionLog

METRIC = "val_loss:min:0"
TABLE = ("--curves", "runs.csv", "--metric", METRIC)


def facts_of(path: str | Path) -> dict:
    page = Path(path).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture
def many(home):
    """24 finished and 6 running runs in `runs.csv`."""
    rng = np.random.default_rng(0)
    rows = [
        (f"r{i}", t, level + (2.0 - level) * np.exp(-t / 3) + 0.01 * rng.random())
        for i, level in enumerate(rng.uniform(0.2, 1.0, 30))
        for t in range(1, 13 if i < 24 else 6)
    ]
    pd.DataFrame(rows, columns=["run", "t", "value"]).to_csv("runs.csv", index=False)
    return home


def test_the_page_says_what_rank_says(many, good):
    said = good("report", "tiny-base", *TABLE, "--orders", 2, "--out", "r.html")
    assert said.startswith("r.html: 30 runs, 6 still forecast, ")
    facts = facts_of("r.html")
    rows = json.loads(good("rank", "tiny-base", *TABLE, "--at", 12, "--json"))["rows"]
    assert [r["run"] for r in facts["runs"]] == [r["run"] for r in rows]
    np.testing.assert_allclose([r["mean"] for r in facts["runs"]], [r["mean"] for r in rows], rtol=1e-4)
    np.testing.assert_allclose([r["best"] for r in facts["runs"]], [r["prob_best"] for r in rows], atol=0.04)
    assert (facts["title"], facts["origin"]["name"], facts["head"]["at"]) == ("runs", "tiny-base", 12)
    assert [b["method"] for b in facts["baselines"]] == ["tiny-base", "last value", "best so far", "affine", "med5"]
    assert sorted(p.name for p in Path().iterdir()) == ["r.html", "runs.csv"]


def test_json_is_short(many, good):
    options = ("--orders", 2, "--threshold", 0.2, "--at", 10, "--title", "mine", "--out", "r.html", "--json")
    said = json.loads(good("report", "tiny-base", *TABLE, *options))
    facts = facts_of("r.html")
    assert (facts["title"], facts["head"]["threshold"], facts["head"]["at"]) == ("mine", 0.2, 10)
    assert said["advised_to_stop"] == sorted(r["run"] for r in facts["runs"] if r.get("stop"))
    assert said["error_left_out"]["tiny-base"] == pytest.approx(np.mean(facts["baselines"][0]["error"]), rel=1e-3)
    assert said["speed_up"] == pytest.approx(
        next(r["speed_up"] for r in facts["saved"]["rows"] if r["threshold"] == 0.2), rel=1e-3
    )


def test_an_adapted_model_names_its_base(many, good):
    good("adapt", "tiny-base", *TABLE, "--out", "mine")
    good("report", "mine", *TABLE, "--orders", 1, "--out", "r.html")
    origin = facts_of("r.html")["origin"]
    assert (origin["name"], origin["base"], origin["support"]) == ("mine", "tiny-base", {"finished": 24})
    assert origin["sha256"] == hub.describe("tiny-base")["sha256"]


def test_a_log_of_decisions(many, good):
    log = DecisionLog(Path("log.jsonl"))
    log.append([Decision("r25", 2.0, True, "stopped: so it was", 0.01, 0.05, 0.2, 12.0, "val_loss")])
    good("report", "tiny-base", *TABLE, "--orders", 0, "--decisions", "log.jsonl", "--out", "r.html")
    assert facts_of("r.html")["log"][0]["why"] == "stopped: so it was"


def test_names_that_are_markup_stay_names(many, good):
    table = pd.read_csv("runs.csv")
    evil = "</script><img src=x onerror=alert(1)>"
    table["run"] = table["run"].replace("r25", evil)
    table.to_csv("runs.csv", index=False)
    good("report", "tiny-base", *TABLE, "--orders", 0, "--title", evil, "--out", "r.html")
    page = Path("r.html").read_text()
    assert "<img" not in page
    assert evil in [r["run"] for r in facts_of("r.html")["runs"]]
    assert page.count("</script>") == 2


def test_few_runs_and_no_finished_one(home, call, good):
    good("report", "tiny-base", *TABLE, "--out", "r.html")
    facts = facts_of("r.html")
    assert facts["calibration"] is not None
    assert facts["saved"] is None
    result = call("report", "tiny-base", *TABLE, "--horizon", 50, "--out", "r.html")
    assert (result.exit_code, "no run of the table is finished" in result.stderr) == (0, True)
    assert facts_of("r.html")["calibration"] is None


def test_it_refuses_what_it_cannot_do(many, bad):
    assert "give a name that ends in .html" in bad("report", "tiny-base", *TABLE, "--out", "r.pdf")
    assert "threshold is a share" in bad("report", "tiny-base", *TABLE, "--threshold", 3, "--out", "r.html")
    assert "compared at a finite time" in bad("report", "tiny-base", *TABLE, "--at", "nan", "--out", "r.html")
    line = bad("report", "nothing", *TABLE, "--out", "r.html")
    assert "no model of that name" in line
    assert "--threshold" not in line
    assert "nowhere/r.html: cannot be written" in bad(
        "report", "tiny-base", *TABLE, "--orders", 0, "--out", "nowhere/r.html"
    )
    assert "none.jsonl: there is no such file" in bad(
        "report", "tiny-base", *TABLE, "--decisions", "none.jsonl", "--out", "r.html"
    )
    Path("log.jsonl").write_text('{"a": 1}\n')
    assert "log.jsonl" in bad("report", "tiny-base", *TABLE, "--decisions", "log.jsonl", "--out", "r.html")


def test_defaults_of_options_are_those_of_python():
    from inspect import signature

    from metalcx.cli._report import report
    from metalcx.cli._watch import watch
    from metalcx.decide import MOST_SUPPORT, MOST_SUPPORT_LIVE

    # Options are declared without loading what is behind them.
    assert signature(report).parameters["most_support"].default == MOST_SUPPORT
    assert signature(watch).parameters["most_support"].default == MOST_SUPPORT_LIVE
