from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from strategies import ACCURACY, LOSS, make

from metalcx.curves import Curves, Metric
from metalcx.decide import Decision, DecisionLog, StopPolicy, support_of
from metalcx.errors import DataError
from metalcx.forecasters import Baseline


def runs(finals: list[float], running: list[list[float]], metric: Metric = ACCURACY, points: int = 10) -> Curves:
    """Completed runs that rise to `finals`, and running ones of which these values are seen."""
    t = np.arange(1.0, points + 1)
    parts = [(t, f * (1 - 0.5 / t)) for f in finals] + [(t[: len(y)], np.array(y)) for y in running]
    return make(metric, parts, ["completed"] * len(finals) + ["running"] * len(running))


FINALS = [0.70, 0.72, 0.74, 0.76, 0.80]


def policy(curves: Curves, **options: object) -> StopPolicy:
    return StopPolicy(Baseline("shift").adapt(curves.finished()), **options)  # type: ignore[arg-type]


def test_a_hopeless_run_is_stopped_and_a_promising_one_goes_on() -> None:
    curves = runs(FINALS, [[0.05, 0.06, 0.06], [0.5, 0.7, 0.79]])
    hopeless, promising = policy(curves).decide(curves)
    assert (hopeless.stop, promising.stop) == (True, False)
    assert hopeless.run == 5
    assert hopeless.incumbent == pytest.approx(curves.best())
    assert hopeless.horizon == 10
    assert hopeless.probability < 0.05 <= promising.probability
    assert "P(accuracy at 10 > 0.76)" in hopeless.reason


def test_the_probability_is_the_forecasts() -> None:
    curves = runs(FINALS, [[0.3, 0.5, 0.55]])
    model = Baseline("shift").adapt(curves.finished())
    (decision,) = StopPolicy(model).decide(curves)
    assert decision.probability == model.forecast(curves.running(), at=10).prob_better(curves.best())[0]


@pytest.mark.parametrize("options", [{}, {"patience": 2}, {"nth": 2, "margin": 0.01}, {"most_stopped": 0.3}])
def test_a_mirrored_metric_gives_the_same_decisions(options: dict[str, object]) -> None:
    curves = runs(FINALS, [[0.05, 0.06, 0.06], [0.5, 0.7, 0.79], [0.1, 0.3, 0.4]])
    mirrored = curves.mirrored()
    one, other = policy(curves, **options).decide(curves), policy(mirrored, **options).decide(mirrored)
    assert [d.stop for d in one] == [d.stop for d in other]
    assert [d.probability for d in one] == pytest.approx([d.probability for d in other])
    assert [d.incumbent for d in one] == pytest.approx([-d.incumbent for d in other])


def test_the_threshold_decides_and_its_ends_stop_nothing_or_all_below_one() -> None:
    curves = runs(FINALS, [[0.05, 0.06], [0.2, 0.3], [0.3, 0.6]])
    stopped = [sum(d.stop for d in policy(curves, threshold=q).decide(curves)) for q in (0.0, 0.05, 0.5, 1.0)]
    assert stopped[0] == 0
    assert stopped == sorted(stopped)
    assert stopped[-1] == 3


def test_the_nth_best_and_a_margin_ease_what_is_to_be_beaten() -> None:
    curves = runs(FINALS, [[0.5, 0.7]])
    values = sorted(curves.final[:5], reverse=True)
    for nth, margin in ((1, 0.0), (3, 0.0), (2, 0.1)):
        (decision,) = policy(curves, nth=nth, margin=margin).decide(curves)
        assert decision.incumbent == pytest.approx(values[nth - 1] - margin)


def test_grace_is_in_units_of_t_and_startup_counts_finished_runs() -> None:
    curves = runs(FINALS, [[0.05, 0.06, 0.06]])
    (decision,) = policy(curves, grace=3.5).decide(curves)
    assert not decision.stop
    assert "grace" in decision.reason
    assert np.isnan(decision.probability)
    assert policy(curves, grace=3.0).decide(curves)[0].stop
    (decision,) = policy(curves, startup=6).decide(curves)
    assert "fewer than 6" in decision.reason
    assert not decision.stop


def test_patience_asks_at_each_of_the_last_points() -> None:
    # Seen from its second point the run looked good; seen from its third it does not.
    curves = runs(FINALS, [[0.5, 0.79, 0.05]])
    assert policy(curves).decide(curves)[0].stop
    (decision,) = policy(curves, patience=2).decide(curves)
    assert not decision.stop
    assert "each of its last 2 points" in decision.reason
    longer = runs(FINALS, [[0.5, 0.79, 0.05, 0.05]])
    assert policy(longer, patience=2).decide(longer)[0].stop
    short = runs(FINALS, [[0.05]])
    assert "fewer than 2 points" in policy(short, patience=2).decide(short)[0].reason


def test_no_more_than_a_share_is_stopped_the_least_likely_first() -> None:
    curves = runs(FINALS, [[0.05, 0.05], [0.06, 0.06], [0.055, 0.055]])
    decisions = policy(curves, most_stopped=0.25).decide(curves)
    assert sum(d.stop for d in decisions) == 2
    kept = next(d for d in decisions if not d.stop)
    assert kept.probability == max(d.probability for d in decisions)
    assert "0.25 of the runs" in kept.reason
    censored = replace(curves, status=np.array([*curves.status[:-1], "censored"], dtype=object))
    assert sum(d.stop for d in policy(censored, most_stopped=0.25).decide(censored)) == 1


def test_the_only_survivor_goes_on() -> None:
    curves = runs(FINALS, [[0.05, 0.05], [0.06, 0.06]])
    status = np.array(["censored"] * 5 + ["running"] * 2, dtype=object)
    curves = replace(curves, status=status)
    decisions = policy(curves, horizon=10.0).decide(curves)
    assert [d.stop for d in decisions] == [True, False]
    assert "only survivor" in decisions[1].reason


def test_where_none_completed_those_that_were_cut_short_tell_the_horizon() -> None:
    curves = runs(FINALS, [[0.05, 0.06, 0.06]])
    censored = replace(curves, status=np.where(curves.status == "running", "running", "censored").astype(object))
    (decision,) = StopPolicy(Baseline("shift").adapt(curves.finished())).decide(censored)
    assert decision.horizon == 10
    assert np.isfinite(decision.probability)
    (decision,) = StopPolicy(Baseline("shift"), startup=1).decide(curves.take([5]))
    assert np.isnan(decision.horizon)


def test_what_cannot_be_judged_goes_on() -> None:
    curves = runs(FINALS, [[np.nan, np.nan], [0.05] * 10])
    nothing, complete = policy(curves).decide(curves)
    assert "nothing is measured" in nothing.reason
    assert "at its horizon" in complete.reason
    assert not nothing.stop
    assert not complete.stop
    alone = curves.take([5, 6])
    assert all("finished" in d.reason for d in StopPolicy(Baseline("shift")).decide(alone))
    assert policy(curves).decide(curves.finished()) == []


def test_diverged_runs_are_nothing_to_beat() -> None:
    t = np.arange(1.0, 11)
    parts = [(t, 1 / t + f) for f in (0.1, 0.2, 0.3)] + [(t, np.append(t[:-1], np.inf)), (t[:3], np.full(3, 9.0))]
    curves = make(LOSS, parts, ["completed"] * 3 + ["diverged", "running"])
    (decision,) = policy(curves, startup=3).decide(curves)
    assert decision.incumbent == pytest.approx(0.2)
    assert decision.stop


def test_a_run_that_may_win_in_any_metric_goes_on() -> None:
    base = runs(FINALS, [[0.05, 0.06, 0.06], [0.05, 0.06, 0.06]])
    good = np.concatenate([base.y[:50], [0.5, 0.7, 0.79], [0.05, 0.06, 0.06]])
    other = Metric("f1", "max", 0.0, 1.0)
    curves = replace(base, values={**base.values, "f1": good}, metrics=(base.metric, other))
    both = StopPolicy(Baseline("shift"), metrics=("accuracy", "f1"), readapt=True).decide(curves)
    assert [d.stop for d in both] == [False, True]
    assert both[0].metric == "f1"
    assert [d.stop for d in StopPolicy(Baseline("shift"), readapt=True).decide(curves)] == [True, True]
    with pytest.raises(DataError, match="no metric 'auc'"):
        StopPolicy(Baseline("shift"), metrics=("auc",), readapt=True).decide(curves)
    with pytest.raises(DataError, match="readapt"):
        StopPolicy(Baseline("shift"), metrics=("f1",)).decide(curves)


def test_readapting_is_adapting_and_happens_when_a_run_finishes() -> None:
    class Counting(Baseline):
        calls = 0

        def adapt(self, support, **options):
            Counting.calls += 1
            return super().adapt(support, **options)

    curves = runs(FINALS, [[0.3, 0.5, 0.55]])
    policy_ = StopPolicy(Counting("shift"), readapt=True)
    assert policy_.decide(curves) == policy(curves).decide(curves) == policy_.decide(curves)
    assert Counting.calls == 1
    more = runs([*FINALS, 0.9], [[0.3, 0.5, 0.55]])
    policy_.decide(more)
    assert Counting.calls == 2


def test_another_model_is_adapted_itself_and_another_horizon_adapts_nothing() -> None:
    class Counting(Baseline):
        calls = 0

        def adapt(self, support, **options):
            Counting.calls += 1
            return super().adapt(support, **options)

    curves = runs(FINALS, [[0.3, 0.5, 0.55]])
    one = StopPolicy(Counting("last"), readapt=True)
    one.decide(curves)
    replace(one, horizon=10.0).decide(curves)
    assert Counting.calls == 1
    other = replace(one, model=Counting("affine"))
    assert other.decide(curves) == StopPolicy(Baseline("affine"), readapt=True).decide(curves)
    assert other.decide(curves) != one.decide(curves)


def test_a_bounded_support_is_spread_over_the_finals_of_runs_that_ended_themselves() -> None:
    class Seeing(Baseline):
        seen: list[Curves] = []  # noqa: RUF012 - what every copy has seen

        def adapt(self, support, **options):
            Seeing.seen.append(support)
            return super().adapt(support, **options)

    finals = [0.70, 0.80, 0.72, 0.74, 0.76, 0.71, 0.73, 0.79]
    curves = runs(finals, [[0.3, 0.5, 0.55]])
    for most, ids in ((None, [*range(8)]), (8, [*range(8)]), (4, [1, 4, 5, 6]), (2, [1, 6]), (1, [1])):
        StopPolicy(Seeing("shift"), readapt=True, most_support=most).decide(curves)
        assert Seeing.seen[-1].ids.tolist() == ids
    status = curves.status.copy()
    status[[1, 3]] = "censored"
    few = StopPolicy(Seeing("shift"), readapt=True, most_support=7)
    few.decide(replace(curves, status=status))
    assert Seeing.seen[-1].ids.tolist() == [0, 2, 4, 5, 6, 7], "what was stopped does not tell how a run ends"
    cut_off = replace(curves, status=np.where(curves.status == "running", "running", "censored").astype(object))
    assert len(support_of(cut_off, 7)) == 7, "unless nothing else has ended"
    mirrored = StopPolicy(Seeing("shift"), readapt=True, most_support=3)
    mirrored.decide(curves)
    mirrored.decide(curves.mirrored())
    assert Seeing.seen[-1].ids.tolist() == Seeing.seen[-2].ids.tolist()


def test_a_dry_run_stops_nothing_and_says_what_it_would() -> None:
    curves = runs(FINALS, [[0.05, 0.06, 0.06]])
    (decision,) = policy(curves, dry_run=True).decide(curves)
    assert not decision.stop
    assert decision.reason.startswith("would be stopped")


def test_the_log_keeps_every_decision(tmp_path) -> None:
    log = tmp_path / "decisions.jsonl"
    curves = runs(FINALS, [[0.05, 0.06, 0.06], [np.nan]])
    known = policy(curves, log=log)
    first, second = known.decide(curves), known.decide(curves)
    read = DecisionLog(log).read()
    assert [d.to_dict() for d in read] == [d.to_dict() for d in first + second]
    assert np.isnan(read[1].probability)
    with log.open("a") as file:
        file.write('{"run": 1, "t":')
    assert len(DecisionLog(log).read()) == 4
    log.write_text('{"run": 1}\n')
    with pytest.raises(DataError, match=r"decisions.jsonl, line 1: not a decision"):
        DecisionLog(log).read()
    assert DecisionLog(tmp_path / "none.jsonl").read() == []
    with pytest.raises(DataError, match="cannot be written"):
        DecisionLog(tmp_path / "no" / "such").append(first)


def test_a_decision_is_json() -> None:
    decision = Decision(np.int64(3), 1.0, True, "so", float("nan"), 0.05, 0.9, float("nan"), "acc")
    assert json.loads(json.dumps(decision.to_dict()))["probability"] is None


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.5},
        {"most_stopped": -0.1},
        {"nth": 0},
        {"startup": 0},
        {"patience": 0},
        {"margin": -1},
        {"most_support": 0},
        {"grace": np.nan},
        {"horizon": np.nan},
        {"horizon": np.inf},
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        StopPolicy(Baseline("shift"), **options)  # type: ignore[arg-type]
