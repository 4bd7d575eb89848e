"""The stopping benchmark from corpora to tables, on corpora of three small tasks; the choice of settings by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up import corpus
from recorded import noisy, whole
from strategies import SCORE, make

from metalcx.bench import _bootstrap, run_stopping, run_transfer
from metalcx.bench.stopping._foreseen import GROWTH, STARTUP, Foreseen
from metalcx.bench.stopping._rows import ROWS
from metalcx.bench.stopping._rules import MedianRule, one_epoch, patience
from metalcx.bench.stopping._tables import chosen, compared, score, summarise
from metalcx.bench.transfer import _score
from metalcx.decide import ForecastScore, Recorded, Recording, asha, simulate
from metalcx.errors import DataError
from metalcx.forecasters import Baseline


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks of two families, and a fourth that is too small."""
    folder = tmp_path_factory.mktemp("data")
    corpus(folder, "lemur", ["a", "b"])
    corpus(folder, "spikenas-bench", ["a"])
    corpus(folder, "baker2018", ["c"], n=20)
    corpus(folder, "smallnets", ["s"], n=42)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bootstrap, "DRAWS", 100)


STATIC = [name for name, row in ROWS.items() if not isinstance(row.forecaster, str) and name != "power-law"]


def test_end_to_end_and_again(data: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []

    def run(**known: Any) -> dict[str, Any]:
        return run_stopping(data, tmp_path, rows=STATIC, orders=2, progress=lambda *w: told.append(w), **known)

    result = run()
    assert [w[0] for w in told] == list(range(1, 2 * len(STATIC) + 1))
    settings, scores = (pd.read_csv(tmp_path / f"stopping/{name}.csv") for name in ("settings", "scores"))
    assert set(scores.task) == {"lemur/task-a", "lemur/task-b", "spikenas-bench/task-a"}
    assert set(scores["mode"]) == {"sequential", "parallel"}
    assert (settings.regret >= 0).all()
    assert (scores.score >= 1 - 1e-9).all()
    none = scores[scores.row == "no-stopping"]
    assert (none.score == 1).all()
    assert (none.regret == 0).all()
    assert (none.wrong_stops == 0).all()
    assert len(scores) == len(STATIC) * 3 * 2 * 2
    summary = pd.DataFrame(result["summary"])
    assert set(summary.row) == set(STATIC)
    assert (summary.low <= summary.score + 1e-9).all()
    page = (tmp_path / "stopping/tables.md").read_text()
    assert "metalcx bench stopping" in page
    assert "3 tasks of 2 families" in page

    before = {p.name: p.read_bytes() for p in (tmp_path / "stopping").glob("*.csv")}
    told.clear()
    run()
    assert told == []
    tables = tmp_path / "stopping"
    assert {p.name: p.read_bytes() for p in tables.glob("*.csv")} == before
    alone = tmp_path / "alone"
    run_stopping(data, alone, rows=["med5"], orders=2, earlier=tables / "scores.csv")
    # The tables have five digits.
    both = (pd.read_csv(folder / "summary.csv") for folder in (alone / "stopping", tables))
    pd.testing.assert_frame_equal(*both, rtol=1e-3)
    assert "From an earlier call: asha" in (alone / "stopping" / "tables.md").read_text()
    with pytest.raises(DataError, match=r"is no scores\.csv of this benchmark"):
        run_stopping(data, alone, rows=["med5"], orders=2, earlier=tables / "settings.csv")

    for other in ({"orders": 3}, {"orders": 2, "folds": 2}):
        with pytest.raises(DataError, match="other tasks, orders or folds"):
            run_stopping(data, tmp_path, rows=["med5"], **other)


def test_the_folder_of_the_transfer_benchmark_may_be_shared(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_score, "DRAWS", 1)
    monkeypatch.setattr(_score, "SUPPORT_SIZES", (0, 5))
    run_transfer(data, tmp_path, forecasters=["last", "med5"])
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.*")}
    run_stopping(data, tmp_path, rows=["no-stopping", "asha"], orders=1)
    assert before.items() <= {p.name: p.read_bytes() for p in tmp_path.glob("*.*")}.items()
    assert set(pd.read_csv(tmp_path / "stopping/scores.csv").row) == {"no-stopping", "asha"}
    run_transfer(data, tmp_path, forecasters=["last", "med5"])
    assert before.items() <= {p.name: p.read_bytes() for p in tmp_path.glob("*.*")}.items()


def test_what_cannot_be_judged_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row is called 'oracle'"):
        run_stopping(data, tmp_path, rows=["oracle"])
    with pytest.raises(DataError, match="holds none of the corpora"):
        run_stopping(tmp_path, tmp_path / "out", rows=["med5"])
    alone = tmp_path / "small"
    corpus(alone, "baker2018", ["c"], n=20)
    corpus(alone, "smallnets", ["s"], n=42)
    with pytest.raises(DataError, match="no task has 40 runs of at least 20 points; add"):
        run_stopping(alone, tmp_path / "out", rows=["med5"])


def lines(scores: dict[tuple[str, str], tuple[float, float]]) -> pd.DataFrame:
    """(task, setting) -> (points spent of 1000, median regret), in one mode; the family is the task's first letter."""
    return pd.DataFrame(
        [
            {"row": "metalcx", "mode": "sequential", "task": t, "family": t[0], "setting": s, "runs": 9}
            | {"full": 1000, "spent": spent, "regret": regret, "keeps_best": 1.0, "wrong_stops": 0.0}
            for (t, s), (spent, regret) in scores.items()
        ]
    )


def test_a_setting_is_chosen_on_other_families_and_a_lost_best_counts_as_nothing_saved() -> None:
    frame = lines(
        {
            ("a1", "bold"): (100, 0.0),
            ("a2", "bold"): (100, 0.0),
            ("b1", "bold"): (100, 0.5),
            ("a1", "careful"): (500, 0.0),
            ("a2", "careful"): (500, 0.005),
            ("b1", "careful"): (500, 0.0),
        }
    )
    assert score(frame, 0.001).tolist() == [10, 10, 1, 2, 1, 2]
    assert score(frame, 0.01).tolist() == [10, 10, 1, 2, 2, 2]
    found = chosen(frame).query("tolerance == 0.001").set_index("task")
    # b1 is judged by what did best on the a's, and fails; the a's by what did best on b1.
    assert found.setting.to_dict() == {"a1": "careful", "a2": "careful", "b1": "bold"}
    assert found.score.to_dict() == {"a1": 2.0, "a2": 1.0, "b1": 1.0}
    pooled = summarise(chosen(frame)).query("tolerance == 0.001").iloc[0]
    assert pooled.score == pytest.approx(2 ** (1 / 3))
    assert pooled.within == pytest.approx(1 / 3)


def test_ahead_is_a_higher_score_and_of_all_others_at_once() -> None:
    ours = lines({("a1", "x"): (200, 0.0), ("b1", "x"): (250, 0.0), ("c1", "x"): (500, 0.0)})
    one = lines({("a1", "x"): (500, 0.0), ("b1", "x"): (250, 0.0), ("c1", "x"): (100, 0.0)}).assign(row="one")
    two = lines({("a1", "x"): (100, 0.0), ("b1", "x"): (900, 0.0), ("c1", "x"): (900, 0.9)}).assign(row="two")
    found = compared(chosen(pd.concat([ours, one, two]))).query("tolerance == 0.001").set_index("over")
    assert found.ahead.to_dict() == pytest.approx({"one": 1 / 3, "two": 2 / 3, "all others": 0.0})
    assert found.behind.to_dict() == pytest.approx({"one": 1 / 3, "two": 1 / 3, "all others": 2 / 3})
    assert found.ratio["one"] == pytest.approx((5 / 2 * 4 / 4 * 2 / 10) ** (1 / 3))


def recording(rows: list[list[float]]) -> Recording:
    return Recording.of(make(SCORE, [(np.arange(1.0, len(y) + 1), np.array(y)) for y in rows]))


def test_the_median_rule_by_hand() -> None:
    # Means of the finished runs up to points 1, 2: 1 and 1, 3 and 3; medians 2 and 2.
    runs = recording([[1, 1, 1], [3, 3, 3], [1, 2.5, 9], [1, 1, 9], [2, 0, 4]])
    found = simulate(runs, MedianRule(runs, grace=1, startup=2))
    # Run 2 is below the median at once; so is 3; run 4 is as good as the median at its first point, and its best stays.
    assert [(e.run, e.points) for e in found.events if e.what == "stopped"] == [(2, 1), (3, 1)]
    later = simulate(runs, MedianRule(runs, grace=2, startup=2))
    # At its second point run 2 has 2.5 and goes on; with it the median of means is 2 again at point 2 of run 3.
    assert [(e.run, e.points) for e in later.events if e.what == "stopped"] == [(3, 2)]


def test_patience_and_one_epoch_by_hand() -> None:
    runs = recording([[1, 2, 2, 2, 9], [1, 2, 3, 4, 5], [3, 1, 1, 4, 4]])
    two = patience(runs, 2)
    # Run 0 ends after 4 points and run 2 after 3; 5 and the best values 2 and 3 are what is left of a best of 9.
    assert two.spent == 4 + 5 + 3
    assert two.regret == pytest.approx(4 / runs.spread)
    assert not two.keeps_best
    assert patience(runs, 9).spent == 15
    one = one_epoch(runs, np.array([1, 0, 2]), 1 / 3)
    assert one.spent == 3 + 4
    assert one.regret == pytest.approx(5 / runs.spread)
    both = one_epoch(runs, np.array([1, 0, 2]), 0.5)
    # Runs 0 and 1 are equal at their first point, and run 1 was started before.
    assert both.spent == 3 + 4 + 4
    assert both.wrong == (0,)
    assert one_epoch(runs, np.array([0, 1, 2]), 1.0).speed_up == 1.0


@pytest.mark.slow
def test_what_is_trained_is_trained_without_the_family(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metalcx.bench.stopping import _run as _stopping
    from metalcx.forecasters._expert_gate import ExpertGate

    asked = []

    def train(unit: Any, pools: Any) -> ExpertGate:
        asked.append((unit.forecaster, unit.families, {t.family for t in pools.tasks}))
        return ExpertGate()

    monkeypatch.setattr(_stopping, "train", train)
    run_stopping(data, tmp_path, rows=["metalcx-thaw", "one-epoch"], orders=1)
    assert [name for name, _, _ in asked] == ["metalcx-amortised"] * 2
    assert sorted(f for _, families, _ in asked for f in families) == ["a", "b"]
    versus = pd.read_csv(tmp_path / "stopping/versus.csv")
    assert set(versus.over) == {"one-epoch", "all others"}
    assert "## Where metalcx-thaw is not ahead" in (tmp_path / "stopping/tables.md").read_text()


@pytest.mark.parametrize("workers", [1, 4])
def test_foreseen_promotions_are_those_of_a_forecast_at_a_time(workers: int) -> None:
    curves = noisy(40, 27)
    model, order = Baseline("med5"), np.random.default_rng(0).permutation(40)
    direct = ForecastScore(model, startup=STARTUP, growth=GROWTH)
    bare = replace(curves, config=None, arch=None, group=None)
    searches = [
        asha(Recorded(bare), 27, order=order, workers=workers, score=score)
        for score in (direct, Foreseen(model, curves))
    ]
    assert whole(searches[0]) == whole(searches[1])
