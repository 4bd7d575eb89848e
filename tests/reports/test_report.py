"""A report says what ranking, policy, leave-out and replay say, whatever the runs are like."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spying import Spy, saturating
from strategies import ACCURACY, LOSS, SCORE, make

from metalcx import decide, hub
from metalcx.curves import Curves
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import report


def partly(n: int = 24, seen: int = 6, points: int = 20, metric=SCORE, **known) -> Curves:
    """The first two thirds of `n` runs are complete."""
    whole = make(metric, saturating(n, points), ids=[f"r{i}" for i in range(n)], **known)
    done = 2 * n // 3
    return Curves.concat([whole.take(range(done)), whole.take(range(done, n)).truncate(float(seen))])


@pytest.fixture(scope="module")
def curves():
    return partly()


@pytest.fixture(scope="module")
def found(curves):
    return report(curves, Baseline("med5"), title="t", orders=2, made="today")


def test_it_says_what_its_parts_say(curves, found):
    model = Baseline("med5").adapt(curves.finished())
    np.testing.assert_allclose(found.forecast.values[:, -1], model.forecast(curves.running(), at=20.0).values[:, 0])
    assert list(found.decisions) == decide.StopPolicy(model, horizon=20.0).decide(curves)
    facts = found.to_dict()
    rows = {row["run"]: row for row in facts["runs"]}
    assert [row["rank"] for row in facts["runs"]] == list(range(1, 25))
    assert [row["run"] for row in facts["runs"]] == list(found.ranking.forecast.ids[found.ranking.order])
    for d in found.decisions:
        assert rows[d.run]["p"] == pytest.approx(d.probability, rel=1e-3)
        assert rows[d.run]["stop"] == d.stop
    assert facts["head"]["counts"] == {"completed": 16, "running": 8, "diverged": 0, "censored": 0}
    assert facts["head"]["incumbent"]["value"] == pytest.approx(curves.best(), rel=1e-4)
    assert curves.final[list(curves.ids).index(facts["head"]["incumbent"]["run"])] == curves.best()
    assert facts["origin"]["support"] == {"completed": 16}


def test_curves_are_drawn_as_measured_and_fans_as_forecast(curves, found):
    drawn = found.to_dict()["curves"]
    assert set(drawn) == set(curves.ids)
    for i, run in enumerate(curves.running().ids):
        fan = drawn[run]["fan"]
        np.testing.assert_allclose(drawn[run]["y"], curves.running().take([i]).y, rtol=1e-4)
        np.testing.assert_allclose(fan["q"][3], found.forecast.median[i], rtol=1e-4)
        np.testing.assert_allclose(fan["q"][0], found.forecast.quantile(0.025)[i], rtol=1e-4)
    assert "fan" not in drawn["r0"]


def test_the_same_seed_makes_the_same_page(curves, found):
    again = report(curves, Baseline("med5"), title="t", orders=2, made="today")
    assert again.to_html() == found.to_html()


def test_every_number_is_json(found):
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_replay_and_the_leave_out_start_from_the_base(curves):
    spy = Spy()
    report(curves, spy, orders=1)
    judged = [set(known.ids) & set(queries.ids) for known, queries in spy.seen if known is not None]
    # Queries of the replay and of the leave-out bear other ids; those of running runs are nobody's support.
    assert not any(judged)


def test_an_adapted_model_is_used_as_it_is_and_its_base_judged(curves, tiny, tmp_path):
    hub.save(tiny.Tiny(width=0.05), tmp_path / "base", name="base", metrics={"source_families": ["digits"]})
    base = hub.load(tmp_path / "base")
    few = curves.take(range(4))
    hub.save_adapted(base.adapt(few), tmp_path / "base", tmp_path / "mine")
    found = report(curves, tmp_path / "mine", orders=1)
    assert (found.origin.name, found.origin.base, dict(found.origin.support)) == ("mine", "base", {"finished": 4})
    expected = base.adapt(few).forecast(curves.running(), at=20.0)
    np.testing.assert_allclose(found.forecast.values[:, -1], expected.values[:, 0])
    fresh = report(curves, tmp_path / "base", orders=1)
    np.testing.assert_allclose(found.left_out.values, fresh.left_out.values)
    assert fresh.origin.families == ("digits",)
    assert found.saved.rows() == fresh.saved.rows()


@pytest.mark.parametrize("metric", [LOSS, ACCURACY])
def test_bounded_metrics_and_diverged_runs(metric):
    parts = [(t, np.where(t == 15, np.inf, y)[:15] if i == 2 else y) for i, (t, y) in enumerate(saturating(20))]
    parts[2] = (parts[2][0][:15], parts[2][1])
    status = ["diverged" if i == 2 else "running" if i > 14 else "completed" for i in range(20)]
    parts = [(t[:5], y[:5]) if s == "running" else (t, y) for (t, y), s in zip(parts, status, strict=True)]
    found = report(make(metric, parts, status), Baseline("med5"), orders=2)
    row = next(r for r in found.to_dict()["runs"] if r["run"] == "2")
    assert (row["rank"], row["status"], row["best"]) == (20, "diverged", 0)
    assert None not in found.to_dict()["curves"]["2"]["y"]


def test_nothing_running_and_nothing_finished(curves):
    finished = report(curves.finished(), Baseline("med5"), orders=1)
    assert (len(finished.forecast), finished.decisions, finished.standing.past) == (0, (), {})
    running = report(curves.running(), Baseline("med5"), at=20.0)
    assert (running.left_out, running.saved, running.standing.incumbent) == (None, None, None)
    assert all(row["beats"] is None for row in running.to_dict()["runs"])
    for one in (finished, running):
        assert "</html>" in one.to_html()
    with pytest.raises(DataError, match="give that time"):
        report(curves.running(), Baseline("med5"))


def test_a_log_of_decisions_is_the_past(curves):
    log = [
        decide.Decision("r20", t, False, "because", p, 0.05, 0.9, 20.0, "score") for t, p in ((1.0, 0.4), (2.0, 0.3))
    ]
    found = report(curves, Baseline("med5"), orders=0, log=log)
    assert found.saved is None
    assert found.to_dict()["curves"]["r20"]["past"] == [[1.0, 0.4], [2.0, 0.3]]
    assert [d["why"] for d in found.to_dict()["log"]] == ["because", "because"]


def test_a_thousand_long_runs_make_a_small_file():
    known = make(SCORE, saturating(1000, 300), ids=[f"sweep/trial-{i:05d}" for i in range(1000)])
    curves = Curves.concat([known.take(range(60)), known.take(range(60, 1000)).truncate(150.0)])
    found = report(curves, Baseline("last"), orders=0, most_support=10)
    assert len(found.to_html().encode()) < 3_000_000


def test_arguments_out_of_range_are_refused(curves):
    with pytest.raises(ValueError, match="threshold is a share"):
        report(curves, Baseline("med5"), threshold=2.0)
