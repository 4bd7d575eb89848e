from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from strategies import ACCURACY, LOSS, SCORE, ragged

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError

NAN, INF = np.nan, np.inf


def long(**columns: list) -> pd.DataFrame:
    return pd.DataFrame({"run": ["a", "a", "b", "b"], "t": [1, 2, 1, 2], "value": [4.0, 3.0, 2.0, 1.0]} | columns)


def alike(one: Curves, other: Curves) -> None:
    for name in ("ids", "offsets", "t", "y", "status"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


@given(curves=ragged())
def test_long_round_trip(curves: Curves) -> None:
    shuffled = curves.to_frame().sample(frac=1, random_state=0).sort_values("run", key=pos(curves), kind="stable")
    back = Curves.from_frame(shuffled, SCORE)
    alike(back, curves)
    alike(Curves.from_frame(curves.to_frame(), SCORE, runs=curves.runs_frame()), curves)


def pos(curves: Curves):
    place = {run: i for i, run in enumerate(curves.ids)}
    return lambda column: column.map(place)


@given(curves=ragged())
def test_wide_round_trip_on_irregular_grids(curves: Curves) -> None:
    wide = curves.to_wide()
    assert wide.shape == (len(curves), len(np.unique(curves.t)))
    alike(Curves.from_wide(wide, SCORE), curves)


def test_a_metric_is_declared_and_not_named() -> None:
    with pytest.raises(DataError, match=r"metric 'val_loss' is not declared; give Metric\(name, goal\)"):
        Curves.from_frame(long(), "val_loss")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="metric 'lr' is not declared"):
        Curves.from_frame(long(), LOSS, metrics=["lr"])  # type: ignore[list-item]


def test_ids_and_their_order_stay_as_given() -> None:
    df = pd.DataFrame({"run": [7, 3, 7], "t": [2, 1, 1], "value": [1.0, 2.0, 3.0]})
    curves = Curves.from_frame(df, SCORE)
    assert curves.ids.tolist() == [7, 3]
    assert curves.y.tolist() == [3, 1, 2]
    assert curves.to_frame()["run"].tolist() == [7, 7, 3]


def test_column_named_after_the_metric_comes_before_value() -> None:
    df = long(val_loss=[1.0, 2.0, 3.0, 4.0])
    assert Curves.from_frame(df, LOSS).y.tolist() == [1, 2, 3, 4]
    assert Curves.from_frame(long(), LOSS).y.tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_status_is_inferred(bad: float) -> None:
    df = pd.DataFrame(
        {"run": list("aabbbccd"), "t": [1, 3, 1, 2, 3, 1, 2, 3], "value": [3.0, 2.0, 1.0, bad, 5.0, 2.0, 1.0, bad]}
    )
    curves = Curves.from_frame(df, SCORE)
    assert curves.status.tolist() == ["completed", "diverged", "running", "diverged"]
    # Nothing after the divergence is kept, and the divergence is an infinity.
    assert curves.length.tolist() == [2, 2, 2, 1]
    assert curves.y[[3, 6]].tolist() == ([bad, bad] if np.isinf(bad) else [INF, INF])
    assert np.isnan(df["value"]).sum() == (2 if np.isnan(bad) else 0), "the person's table is untouched"


def test_horizon_says_what_is_completed() -> None:
    df = pd.DataFrame({"run": list("aab"), "t": [1, 5, 3], "value": [1.0, 2.0, 3.0]})
    assert Curves.from_frame(df, SCORE).status.tolist() == ["completed", "running"]
    assert Curves.from_frame(df, SCORE, horizon=3).status.tolist() == ["completed", "completed"]
    assert Curves.from_frame(df, SCORE, horizon=9).status.tolist() == ["running", "running"]
    with pytest.raises(DataError, match="horizon nan is not finite"):
        Curves.from_frame(df, SCORE, horizon=NAN)


def test_what_t_counts_can_be_said() -> None:
    assert Curves.from_frame(long(), LOSS).time_unit is None
    assert Curves.from_frame(long(), LOSS, time_unit="epoch").time_unit == "epoch"
    wide = pd.DataFrame({"1": [3.0], "2": [2.0]}, index=["a"])
    assert Curves.from_wide(wide, LOSS, time_unit="step").time_unit == "step"


def test_runs_table_is_aligned_and_split() -> None:
    runs = pd.DataFrame(
        {
            "run": ["b", "z", "a"],
            "lr": [2, 9, 1],
            "arch": ["n", "m", None],
            "group": [None, "y", "g"],
            "opt": list("uvw"),
        }
    )
    curves = Curves.from_frame(long(), SCORE, runs=runs)
    assert curves.config.to_dict("list") == {"lr": [1, 2], "opt": ["w", "u"]}
    assert curves.arch.tolist() == [None, "n"]
    assert curves.group.tolist() == ["g", None]
    assert curves.runs_frame()["run"].tolist() == ["a", "b"]


def test_stated_status_stands_and_missing_ones_are_inferred() -> None:
    runs = pd.DataFrame({"run": ["a", "b"], "status": ["censored", None]})
    curves = Curves.from_frame(long(value=[4.0, NAN, 2.0, NAN]), SCORE, runs=runs)
    assert curves.status.tolist() == ["censored", "diverged"]
    assert np.array_equal(curves.y, [4, NAN, 2, INF], equal_nan=True), "NaN of a censored run was not measured"


def test_several_metrics_are_cut_together() -> None:
    train = Metric("train_loss", "min", 0.0)
    df = long(value=[4.0, INF, 2.0, 1.0], train_loss=[1.0, 2.0, NAN, 3.0])
    df = pd.concat([df, pd.DataFrame({"run": ["a"], "t": [3], "value": [9.0], "train_loss": [9.0]})])
    curves = Curves.from_frame(df, LOSS, metrics=[train])
    assert curves.metrics == (LOSS, train)
    assert np.array_equal(curves.values["train_loss"], [1, 2, NAN, 3], equal_nan=True)
    assert curves.to_frame().columns.tolist() == ["run", "t", "val_loss", "train_loss"]
    with pytest.raises(DataError, match=r"no column 'train_loss'"):
        Curves.from_frame(long(), LOSS, metrics=[train])


def test_nullable_and_text_numbers_are_read() -> None:
    df = long(value=pd.array([4.0, None, 2.0, 1.0], dtype="Float64"))
    assert Curves.from_frame(df, SCORE).status.tolist() == ["diverged", "completed"]
    text = long(value=["4", "inf", " 2e0", "NaN"])
    assert Curves.from_frame(text, SCORE).y.tolist() == [4, INF, 2, INF]


NAMES = [f"r{i}" for i in range(7)]
SEVEN = pd.DataFrame({"run": NAMES, "t": [1.0] * 7, "value": [0.5] * 7})


@pytest.mark.parametrize(
    ("df", "metric", "told"),
    [
        (long().drop(columns="run"), LOSS, "f.csv: no column 'run'; it has 't', 'value'"),
        (long().rename(columns={"t": "epoch"}), LOSS, "f.csv: no column 't'; it has 'run', 'epoch', 'value'"),
        (
            long().rename(columns={"value": "loss"}),
            LOSS,
            "f.csv: no column 'value' or 'val_loss'; it has 'run', 't', 'loss'",
        ),
        (long().iloc[:0], LOSS, "f.csv: the table is empty; give at least one row of run, t, value"),
        (pd.DataFrame(), LOSS, "f.csv: the table is empty"),
        (long(t=[1, 2, 1, 1]), LOSS, "f.csv: column 't' repeats a time within runs 'b'; keep one row"),
        (long(t=[1, NAN, 1, INF]), LOSS, "f.csv: column 't' is not finite in runs 'a', 'b'; every point needs a time"),
        (
            long(t=["1", "two", "1", "2"]),
            LOSS,
            "f.csv: column 't' holds 'two', which is no number, in runs 'a'; ",
        ),
        (
            long(value=["1", "2", "3", "bad"]),
            LOSS,
            "f.csv: column 'value' holds 'bad', which is no number, in runs 'b'",
        ),
        (
            long(value=[4, -1, 2, 1]),
            LOSS,
            r"f.csv: column 'value' leaves the bounds \[0.0, None\] declared for 'val_loss' in runs 'a'",
        ),
        (SEVEN.assign(value=2.0), ACCURACY, "in runs 'r0', 'r1', 'r2', 'r3', 'r4' and 2 more; correct the values or"),
        (
            pd.concat([long(), long()["value"]], axis=1),
            LOSS,
            "f.csv: columns 'value' stand there twice; name each column once",
        ),
        (
            long(value=pd.Series([10**400, 1, 2, 3], dtype=object)),
            LOSS,
            "f.csv: column 'value' holds an integer beyond double precision; write inf for it",
        ),
        (long(run=["a", None, "b", "b"]), LOSS, "f.csv: column 'run' is missing in row 2; fill it in"),
        (long(task=["x", "x", "y", "y"]), LOSS, "f.csv: column 'task' holds 'x', 'y'; curves are of one task"),
    ],
)
def test_mistakes_in_the_long_table_are_named(df: pd.DataFrame, metric: Metric, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        Curves.from_frame(df, metric, source="f.csv")
    assert "\n" not in str(caught.value)


def test_the_name_of_the_task_is_no_hyperparameter() -> None:
    runs = pd.DataFrame({"run": ["a", "b"], "task": ["x", "x"], "lr": [0.1, 0.2]})
    config = Curves.from_frame(long(), LOSS, runs=runs).config
    assert config is not None
    assert list(config.columns) == ["lr"]


def test_na_in_a_table_of_python_is_a_divergence_where_it_is_a_number() -> None:
    nullable = long(value=pd.array([4.0, None, 2.0, 1.0], dtype="Float64"))
    assert list(Curves.from_frame(nullable, LOSS).status) == ["diverged", "completed"]
    assert list(Curves.from_frame(long(value=[4.0, NAN, 2.0, 1.0]), LOSS).status) == ["diverged", "completed"]


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ({"name": ["a", "b"]}, "runs: no column 'run'; it has 'name'"),
        ({"run": ["a", "a", "b"]}, "runs: run ids repeat: 'a'; keep one row a run"),
        ({"run": ["a"]}, "runs: no row for runs 'b' of curves; add them"),
        ({"run": ["a", "b"], "status": ["done", "running"]}, "'status' is not one of completed, running.* in runs 'a'"),
    ],
)
def test_mistakes_in_the_runs_table_are_named(runs: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Curves.from_frame(long(), LOSS, runs=pd.DataFrame(runs))


@pytest.mark.parametrize(
    ("wide", "told"),
    [
        (pd.DataFrame(), "f.csv: the wide table is empty"),
        (pd.DataFrame({"run": ["a"], "1": [2.0]}), "columns of a wide table are times, not 'run', '1'"),
        (pd.DataFrame({1: [1.0, 2.0]}, index=["a", "a"]), "run ids repeat in the index: 'a'"),
        (pd.DataFrame({1: [1.0, NAN], 2: [1.0, NAN]}, index=["a", "b"]), "no value in any column for runs 'b'"),
        (pd.DataFrame({1: [-1.0]}, index=["a"]), "leaves the bounds"),
    ],
)
def test_mistakes_in_the_wide_table_are_named(wide: pd.DataFrame, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Curves.from_wide(wide, LOSS, source="f.csv")


def test_wide_reads_text_times_and_infinities() -> None:
    wide = pd.DataFrame({"10": [3.0, 2.0], "5": [4.0, INF], "20": [NAN, NAN]}, index=["b", "a"])
    curves = Curves.from_wide(wide, LOSS)
    assert curves.ids.tolist() == ["b", "a"]
    assert curves.status.tolist() == ["completed", "diverged"]
    assert curves.t.tolist() == [5, 10, 5]
    assert curves.final.tolist() == [3, INF]
