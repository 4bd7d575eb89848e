from __future__ import annotations

from dataclasses import replace as changed

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ACCURACY, LOSS, SCORE, make

from metalcx.curves import Curves, Metric
from metalcx.decide import Replay, StopPolicy, outcome, replay, simulate, summary
from metalcx.decide._advice import Advice, Progress
from metalcx.decide._prefixes import PrefixForecasts, Recording, asked_points
from metalcx.decide._replay import NEVER
from metalcx.decide._rules import NoStopping, PolicyRule, doublings
from metalcx.errors import DataError
from metalcx.forecasters import Baseline


def rising(n: int = 24, points: int = 8, seed: int = 0, metric: Metric = ACCURACY) -> Curves:
    """Noisy runs that rise to finals of their own; one diverges and one was cut short."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, points + 1)
    final = rng.uniform(0.3, 0.9, n)
    y = final[:, None] * (1 - 0.6 * t ** -rng.uniform(0.6, 1.6, n)[:, None]) + 0.01 * rng.normal(size=(n, points))
    y = np.clip(y, 0.0, 1.0) if metric is ACCURACY else 1 - y
    parts = [(t, row.copy()) for row in y]
    status = ["completed"] * n
    parts[2] = (t[:5], np.append(parts[2][1][:4], np.inf))
    status[2] = "diverged"
    parts[4] = (t[:6], parts[4][1][:6])
    status[4] = "censored"
    return make(metric, parts, status, [f"r{i}" for i in range(n)])


def flat(finals: list[float], points: int = 4) -> Curves:
    """Runs that stand at their final value from the start."""
    t = np.arange(1.0, points + 1)
    return make(SCORE, [(t, np.full(points, f)) for f in finals])


def live(
    curves: Curves, policy: StopPolicy, order: np.ndarray, workers: int, stages: tuple[int, ...]
) -> tuple[list[tuple[int, int, float]], list[int], int]:
    """What `StopPolicy.decide` does, asked after every point of every run: (stops, finished, points spent)."""
    length = curves.padded().length
    waiting, going = list(order)[::-1], {}
    stopped: dict[int, int] = {}
    finished: list[int] = []
    stops, spent = [], 0
    while waiting or going:
        while waiting and len(going) < workers:
            going[waiting.pop()] = 0
        for run in list(going):
            going[run] += 1
            spent += 1
            if going[run] == length[run]:
                finished.append(run)
                del going[run]
        reached = [s for s in stages if s <= len(finished)]
        if not reached:
            continue
        support = curves.take(finished[: reached[-1]])
        known = [*finished, *stopped, *going]
        ends = [length[i] for i in finished] + [*stopped.values(), *going.values()]
        seen = curves.take(known)
        cut = seen.truncate(seen.t[seen.offsets[:-1] + np.array(ends) - 1])
        status = [curves.status[i] for i in finished] + ["censored"] * len(stopped) + ["running"] * len(going)
        whole = curves.take(finished)
        state = changed(cut, status=np.array(status, dtype=object))
        if finished:
            # A diverged run keeps its infinity, which is no point of its own.
            state = Curves.concat([whole, state.take(np.arange(len(finished), len(known)))])
        horizon = float(np.median(support.completed().t_last))
        asked = changed(policy, model=policy.model.adapt(support), horizon=horizon)
        ended = [(d.probability, i) for d, i in zip(asked.decide(state), going, strict=True) if d.stop]
        for probability, run in sorted(ended, key=lambda pair: pair[0]):
            stopped[run] = going.pop(run)
            stops.append((run, stopped[run], probability))
    return stops, finished, spent


POLICIES = [
    {},
    {"threshold": 0.4},
    {"grace": 3.5, "threshold": 0.2},
    {"patience": 2, "threshold": 0.2},
    {"width": 2.0, "threshold": 0.3},
    {"nth": 3, "margin": 0.01, "threshold": 0.2},
    {"most_stopped": 0.4, "threshold": 0.4},
]


@pytest.mark.parametrize("options", POLICIES)
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_the_replay_decides_as_the_policy_does_live(options: dict[str, float], workers: int, metric: Metric) -> None:
    curves = rising(metric=metric)
    policy = StopPolicy(Baseline("shift"), startup=4, **options)  # type: ignore[arg-type]
    order = np.random.default_rng(3).permutation(len(curves))
    (found,) = replay(curves, policy, orders=[order], workers=workers, asks=None)
    stops, finished, spent = live(curves, policy, order, workers, doublings(4, len(curves)))
    mine = [(e.run, e.points) for e in found.events if e.what == "stopped"]
    assert mine == [(run, points) for run, points, _ in stops]
    assert [e.score for e in found.events if e.what == "stopped"] == [p for _, _, p in stops]
    assert found.kept.tolist() == finished
    assert found.spent == spent
    assert 0 < len(mine) <= len(curves) - 4


def test_forecasts_are_asked_for_in_a_few_calls() -> None:
    class Counting(Baseline):
        calls: list[int] = []  # noqa: RUF012

        def forecast(self, queries, at):
            Counting.calls.append(len(queries))
            return super().forecast(queries, at)

    curves = rising()
    replay(curves, StopPolicy(Counting("shift"), startup=4), orders=1, asks=None)
    assert 1 <= len(Counting.calls) <= len(doublings(4, 24))
    assert min(Counting.calls) > 100


def test_a_task_worked_out_by_hand() -> None:
    # Runs stand at their values, so that after two finished runs whoever is below the best is known to lose, and is
    # stopped after one point; run 3 (5.0) is better and goes on; 4.5 is then stopped.
    curves = flat([1.0, 3.0, 2.0, 5.0, 4.5, 0.0])
    policy = StopPolicy(Baseline("last"), threshold=0.3, startup=2)
    (found,) = replay(curves, policy, orders=[np.arange(6)], asks=None)
    assert [(e.run, e.points) for e in found.events if e.what == "stopped"] == [(2, 1), (4, 1), (5, 1)]
    assert found.kept.tolist() == [0, 1, 3]
    assert found.spent == found.clock == 3 * 4 + 3
    assert found.outcome.speed_up == 24 / 15
    assert (found.outcome.regret, found.outcome.keeps_best) == (0.0, True)
    # The true top five are 5, 4.5, 3, 2, 1, of which 4.5 and 2 were stopped.
    assert found.outcome.wrong == (4, 2)
    # Two workers: run 4 starts when 2 leaves, beats the 3.0 that is known, and leaves when 3 has finished.
    (two,) = replay(curves, policy, orders=[np.arange(6)], asks=None, workers=2)
    assert [(e.clock, e.run, e.points, e.what) for e in two.events if e.what != "started"] == [
        (4, 0, 4, "finished"),
        (4, 1, 4, "finished"),
        (5, 2, 1, "stopped"),
        (8, 3, 4, "finished"),
        (8, 4, 3, "stopped"),
        (9, 5, 1, "stopped"),
    ]
    assert (two.spent, two.clock) == (17, 9)
    missed = outcome(found.recording, [0, 1], 8)
    low, high = np.quantile([0, 1, 2, 3, 4.5, 5], [0.05, 0.95])
    assert missed.regret == pytest.approx(2.0 / (high - low))
    assert (missed.speed_up, missed.keeps_best, missed.wrong) == (3.0, False, (3, 4, 2))


@given(st.integers(0, 10), st.integers(1, 5), st.sampled_from([None, 4]))
@settings(max_examples=15)
def test_invariants(seed: int, workers: int, asks: int | None) -> None:
    curves = rising(12, seed=seed)
    order = np.random.default_rng(seed).permutation(12)

    def run(threshold: float, workers: int = workers) -> Replay:
        policy = StopPolicy(Baseline("shift"), threshold=threshold, startup=3)
        return replay(curves, policy, orders=[order], workers=workers, asks=asks)[0]

    none, some = run(0.0), run(0.3)
    assert none.outcome.speed_up == 1.0
    assert none.outcome.wrong == ()
    # As text: NaN is not equal to itself.
    assert repr(none.events) == repr(simulate(none.recording, NoStopping(), order, workers).events)
    assert some.outcome.regret >= 0
    assert some.outcome.speed_up >= 1
    assert sorted([*some.kept, *some.stopped]) == list(range(12))
    assert some.clock <= none.clock
    assert some.spent >= some.clock
    # Each run's own record adds up, and no more run side by side than there are workers.
    started = {e.run: e.clock for e in some.events if e.what == "started"}
    ended = {e.run: e.clock for e in some.events if e.what != "started"}
    for event in some.events:
        if event.what != "started":
            assert event.clock - started[event.run] == event.points
    for clock in range(some.clock):
        assert sum(started[r] <= clock < ended[r] for r in started) <= workers


def test_one_worker_is_the_sequence_and_orders_do_not_meet() -> None:
    curves, policy = rising(), StopPolicy(Baseline("shift"), threshold=0.2, startup=4)
    many = replay(curves, policy, orders=5)
    alone = [replay(curves, policy, orders=[r.order])[0] for r in many]
    assert repr([r.events for r in many]) == repr([r.events for r in alone])
    for r in many:
        seen = [e.run for e in r.events if e.what == "started"]
        assert seen == r.order.tolist()
        assert sum(e.points for e in r.events) == r.clock
    assert [r.order.tolist() for r in replay(curves, policy, orders=2)] == [r.order.tolist() for r in many[:2]]


def test_a_mirrored_metric_replays_alike() -> None:
    curves, policy = rising(), StopPolicy(Baseline("med5"), threshold=0.2, startup=4, margin=0.01)
    one, other = (replay(c, policy, orders=2) for c in (curves, curves.mirrored()))
    for a, b in zip(one, other, strict=True):
        assert [(e.run, e.points) for e in a.events] == [(e.run, e.points) for e in b.events]
        assert a.outcome.regret == pytest.approx(b.outcome.regret)


def test_a_model_taken_as_it_is_is_not_adapted() -> None:
    curves = rising()
    model = Baseline("shift").adapt(curves.take(np.arange(8)))
    (found,) = replay(curves, StopPolicy(model, threshold=0.2, startup=4), orders=1, readapt=False)
    recording = found.recording
    forecasts = PrefixForecasts(model, recording)
    direct = simulate(recording, PolicyRule(StopPolicy(model, threshold=0.2, startup=4), forecasts, ()), found.order)
    assert repr(direct.events) == repr(found.events)
    assert forecasts.horizon(()) == 8.0


def test_fewer_questions_are_closer_at_the_beginning() -> None:
    assert asked_points(9, None).tolist() == asked_points(9, 8).tolist() == list(range(1, 9))
    assert asked_points(2, 5).tolist() == asked_points(1, None).tolist() == [1]
    few = asked_points(501, 16)
    assert len(few) <= 16
    assert (few[0], few[-1]) == (1, 500)
    assert (np.diff(np.diff(few)) >= -1).all()
    curves, policy = rising(points=20), StopPolicy(Baseline("shift"), threshold=0.3, startup=4)
    (found,) = replay(curves, policy, orders=1, asks=6)
    assert {e.points for e in found.events if e.what == "stopped"} <= set(asked_points(20, 6).tolist())


def test_the_timeline_tells_ids_times_and_the_metrics_own_unit() -> None:
    curves = rising(metric=LOSS)
    (found,) = replay(curves, StopPolicy(Baseline("shift"), threshold=0.3, startup=4), orders=1)
    lines = found.timeline()
    assert len(lines) == len(found.events)
    assert {line["what"] for line in lines} == {"started", "stopped", "finished"}
    stop = next(line for line in lines if line["what"] == "stopped")
    assert stop["run"].startswith("r")
    assert 0 <= stop["score"] < 0.3
    assert stop["t"] == stop["points"]
    assert 0 < stop["incumbent"] < 1
    assert next(line for line in lines if line["what"] == "started")["t"] is None


def test_the_model_is_adapted_again_when_the_finished_runs_have_doubled() -> None:
    assert doublings(5, 24) == (5, 10, 20)
    assert doublings(5, 1000) == (5, 10, 20, 40)
    assert doublings(5, 3) == doublings(5, 5) == (5,)
    assert doublings(100, 1000) == (100,)


def test_a_summary_is_over_orders() -> None:
    curves = rising()
    outcomes = [r.outcome for r in replay(curves, StopPolicy(Baseline("shift"), threshold=0.3, startup=4), orders=7)]
    found = summary(outcomes)
    assert found["orders"] == 7
    assert found["speed_up_low"] <= found["speed_up"] <= found["speed_up_high"]
    assert found["speed_up"] in [o.speed_up for o in outcomes]
    assert 0 <= found["keeps_best"] <= 1


def test_a_rule_of_ones_own() -> None:
    """Whoever is below .5 at its second point is stopped, whatever else happened."""
    recording = Recording.of(rising())

    class Below:
        most_stopped = 1.0

        def advise(self, progress: Progress) -> Advice:
            y = recording.padded.y[:, recording.points - 1]
            return Advice((recording.points == 2) & (y < 0.5), y)

    found = simulate(recording, Below(), workers=3)
    assert set(found.stopped) == set(np.flatnonzero(recording.padded.y[:, 1] < 0.5))
    assert NEVER > 10**9


def test_what_cannot_be_replayed_is_refused() -> None:
    curves, policy = rising(), StopPolicy(Baseline("shift"))
    running = changed(curves, status=np.array(["running"] * 24, dtype=object))
    with pytest.raises(DataError, match="0 of 24 runs are finished"):
        replay(running, policy)
    with pytest.raises(DataError, match="1 of 1 runs are finished"):
        replay(curves.take([0]), policy)
    with pytest.raises(DataError, match="each of the 24 runs once"):
        replay(curves, policy, orders=[np.zeros(24, dtype=int)])
    with pytest.raises(ValueError, match="workers"):
        replay(curves, policy, orders=1, workers=0)


def test_orders_may_be_counted_by_numpy_and_errors_say_the_mend() -> None:
    curves, policy = rising(8), StopPolicy(Baseline("last"), startup=3)
    one, other = (replay(curves, policy, orders=count) for count in (2, np.int64(2)))
    assert repr([r.events for r in one]) == repr([r.events for r in other])
    with pytest.raises(DataError, match="give a permutation of 0 to 7"):
        replay(curves, policy, orders=[[0, 0]])
    with pytest.raises(DataError, match="replay at least one order"):
        summary([])
