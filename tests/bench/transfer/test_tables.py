"""Tables from parts: golden gains, the protocol's order of means, and where metalcx loses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metalcx.bench import _bootstrap
from metalcx.bench.transfer._order import order_page, ordered
from metalcx.bench.transfer._tables import write_tables


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are under test elsewhere."""
    monkeypatch.setattr(_bootstrap, "DRAWS", 100)


#: Error of each forecaster on tasks a and b of families f and g (fixed), and c of g (ragged).
ERRORS = {
    "last": {"a": 2.0, "b": 2.0, "c": 2.0},
    "med5": {"a": 1.0, "b": 1.0, "c": 1.0},
    "metalcx": {"a": 0.5, "b": 0.5, "c": 4.0},
}
FAMILY = {"a": "f", "b": "g", "c": "g"}


def rows(name: str, task: str, seed: int = 0, **changed: object) -> list[dict[str, object]]:
    """Two draws and two cuts; draws and cuts scatter about the task's error."""
    return [
        {
            "task": task,
            "family": FAMILY[task],
            "ragged": task == "c",
            "forecaster": name,
            "seed": seed,
            "draw": draw,
            "K": 5,
            "cut": cut,
            "by_group": True,
            "end": "own",
            "n": 30,
            "error": ERRORS[name][task] * (1 + d) * (1 + c),
            "tau": 0.5 if name == "last" else 0.75,
            "crps_final": 0.5 * ERRORS[name][task],
            "crps_curve": np.nan if name == "last" else 0.25 * ERRORS[name][task],
            "cov50": 0.5,
            "cov80": 0.8,
            "cov95": 0.9,
            "seconds": 0.1,
        }
        | changed
        for draw, d in ((0, -0.2), (1, 0.2))
        for cut, c in ((0.1, 0.1), (0.4, -0.1))
    ]


def write(out: Path, names: tuple[str, ...] = tuple(ERRORS), **changed: object) -> None:
    (out / "parts").mkdir(parents=True, exist_ok=True)
    for name in names:
        frame = pd.DataFrame([r for task in FAMILY for r in rows(name, task, **changed)])  # type: ignore[arg-type]
        frame.to_csv(out / "parts" / f"{name}-seed{changed.get('seed', 0)}-fold00.csv", index=False)


def read(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / f"{name}.csv")


def cell(summary: pd.DataFrame, name: str, group: str, column: str, end: str = "own") -> float:
    found = summary[(summary.forecaster == name) & (summary.group == group) & (summary.end == end)]
    assert len(found) == 1
    return float(found[column].iloc[0])


def test_summary_golden(tmp_path: Path) -> None:
    write(tmp_path)
    result = write_tables(tmp_path, tuple(ERRORS), 1)
    summary = read(tmp_path, "summary")
    assert set(summary.group) == {"pooled", "fixed", "ragged"}
    for name, fixed, ragged in (("last", -1.0, -1.0), ("med5", 0.0, 0.0), ("metalcx", 0.5, -3.0)):
        assert cell(summary, name, "fixed", "gain") == pytest.approx(fixed, abs=1e-4)
        assert cell(summary, name, "ragged", "gain") == pytest.approx(ragged, abs=1e-4)
    # 1 - (0.5 x 0.5 x 4)^(1/3) = 0
    assert cell(summary, "metalcx", "pooled", "gain") == pytest.approx(0.0, abs=1e-4)
    assert cell(summary, "metalcx", "pooled", "median_error") == pytest.approx(0.5)
    assert cell(summary, "metalcx", "pooled", "tasks") == 3
    assert cell(summary, "metalcx", "fixed", "median_error_cut0.1") == pytest.approx(0.55)
    assert cell(summary, "metalcx", "fixed", "median_error_cut0.4") == pytest.approx(0.45)
    assert cell(summary, "metalcx", "pooled", "tau_over_last") == pytest.approx(0.25)
    assert cell(summary, "metalcx", "fixed", "crps_final_gain") == pytest.approx(0.5, abs=1e-4)
    assert cell(summary, "metalcx", "fixed", "crps_curve_gain") == pytest.approx(0.5, abs=1e-4)
    assert np.isnan(cell(summary, "last", "fixed", "crps_curve_gain"))
    assert cell(summary, "metalcx", "pooled", "cov80") == pytest.approx(0.8)
    assert result["forecasters"] == list(ERRORS)
    assert len(result["summary"]) == len(summary)


def test_errors_are_means_over_draws_cuts_and_seeds(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, ("metalcx",), seed=1, error=2.5)
    write_tables(tmp_path, tuple(ERRORS), 2)
    errors = read(tmp_path, "errors").set_index(["forecaster", "task"])
    assert errors.error["last", "a"] == pytest.approx(2.0)
    assert errors.error["metalcx", "a"] == pytest.approx((0.5 + 2.5) / 2)
    write_tables(tmp_path, tuple(ERRORS), 1)
    assert read(tmp_path, "errors").set_index(["forecaster", "task"]).error["metalcx", "a"] == pytest.approx(0.5)


def test_where_it_loses(tmp_path: Path) -> None:
    """On task c its error is 4 against 1 of med5, the best of the simple methods there."""
    write(tmp_path)
    write_tables(tmp_path, tuple(ERRORS), 1)
    loses = read(tmp_path, "loses")
    assert list(loses.task) == ["c", "c"]
    assert list(loses.columns) == ["task", "ragged", "K", "cut", "metalcx", "best", "best_simple", "ratio"]
    assert set(loses.best) == {"med5"}
    assert set(loses.cut) == {0.1, 0.4}
    np.testing.assert_allclose(loses.ratio, 4.0, rtol=1e-4)
    text = (tmp_path / "tables.md").read_text()
    assert "## Where it loses\n\n2 (task, K, cut)" in text
    assert "| c | 5 | 0.1 | 4.400 | med5 | 1.100 | 4.00 |" in text


def test_the_common_end_has_tables_of_its_own(tmp_path: Path) -> None:
    write(tmp_path)
    extra = []
    for name in ERRORS:
        extra += rows(name, "c", end="common", error=ERRORS[name]["c"] / 4, crps_curve=np.nan, seconds=np.nan)
        # Too few reached it: no score, which does not count as an error of any size.
        extra += rows(name, "c", end="common", error=np.nan, tau=np.nan, crps_curve=np.nan, seconds=np.nan, draw=2)
    pd.DataFrame(extra).to_csv(tmp_path / "parts" / "x.csv", index=False)
    write_tables(tmp_path, tuple(ERRORS), 1)
    summary = read(tmp_path, "summary")
    assert cell(summary, "metalcx", "ragged", "median_error", "common") == pytest.approx(1.0)
    assert cell(summary, "metalcx", "ragged", "median_error") == pytest.approx(4.0)
    assert "K = 5, at the support's median last t" in (tmp_path / "tables.md").read_text()
    assert len(read(tmp_path, "loses")) == 2


def test_a_task_that_not_all_were_judged_on_is_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "parts" / "last-seed0-fold00.csv"
    frame = pd.read_csv(path)
    frame[frame.task != "a"].to_csv(path, index=False)
    write_tables(tmp_path, tuple(ERRORS), 1)
    summary = read(tmp_path, "summary")
    assert {cell(summary, n, "fixed", "tasks") for n in ERRORS} == {1}
    write_tables(tmp_path, ("med5", "metalcx"), 1)
    assert {cell(read(tmp_path, "summary"), n, "fixed", "tasks") for n in ("med5", "metalcx")} == {2}


def test_without_the_control_there_are_errors_and_no_gains(tmp_path: Path) -> None:
    write(tmp_path, ("last",))
    write_tables(tmp_path, ("last",), 1)
    summary = read(tmp_path, "summary")
    assert np.isnan(cell(summary, "last", "pooled", "gain"))
    assert cell(summary, "last", "pooled", "median_error") == pytest.approx(2.0)
    assert read(tmp_path, "loses").empty
    assert "| last | 2.000 |" in (tmp_path / "tables.md").read_text()


def test_tables_are_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path)
    write_tables(tmp_path, tuple(ERRORS), 1)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    assert set(before) >= {"errors.csv", "summary.csv", "loses.csv", "tables.md"}
    write_tables(tmp_path, tuple(ERRORS), 1)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_order_is_told_beside_that_of_the_last_values() -> None:
    better = {"a": 0.1, "b": 0.3, "c": 0.2}
    parts = pd.DataFrame(
        [
            row | {"cut": cut, "tau": 0.4 + (0 if name == "last" else cut * better[task]) + 0.01 * row["draw"]}
            for name in ("last", "metalcx")
            for task in better
            for row in rows(name, task)[:2]
            for cut in (0.1, 0.2)
        ]
    )
    found = ordered(parts).set_index("cut")
    assert set(found.forecaster) == {"metalcx"}
    assert found.tau_over_last.to_dict() == pytest.approx({"0.1": 0.02, "0.2": 0.04, "0.1 and 0.2": 0.03})
    both = found.loc["0.1 and 0.2"]
    assert both.tasks == 3
    assert 0.0149 < both.low < both.tau_over_last < both.high < 0.0451
    # Families weigh as they are: a alone, or b and c.
    assert (both.family_low, both.family_high) == pytest.approx((0.015, 0.0375))
    only = ordered(parts, {"a", "nobody"}).set_index("cut")
    assert only.loc["0.1 and 0.2"].tau_over_last == pytest.approx(0.015)
    assert "| 5 | metalcx | 3 | +0.030 |" in "\n".join(order_page(ordered(parts)))
    assert ordered(parts[parts.forecaster != "last"]).empty
