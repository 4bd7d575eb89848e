from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACCURACY, LOSS, SCORE, make, ragged

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError

NAN, INF = np.nan, np.inf


@pytest.fixture
def four() -> Curves:
    parts = [([1, 2, 3], [3, 2, 1.5]), ([1, 2], [4, INF]), ([2, 4], [2, 1]), ([1], [5])]
    return make(
        LOSS,
        parts,
        ["completed", "diverged", "censored", "running"],
        ["a", "b", "c", "d"],
        config=pd.DataFrame({"lr": [0.1, 0.2, 0.3, 0.4]}),
        arch=np.array(["net", None, "net", "cell"], dtype=object),
        group=np.array(["g", "h", "g", None], dtype=object),
        time_unit="epoch",
    )


def test_properties(four: Curves) -> None:
    assert len(four) == 4
    assert four.length.tolist() == [3, 2, 2, 1]
    assert four.owner.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
    assert four.t_last.tolist() == [3, 2, 4, 1]
    assert four.final.tolist() == [1.5, INF, 1, 5]
    assert four.metrics == (LOSS,)


def test_runs_without_points_or_values_have_no_end() -> None:
    curves = make(SCORE, [([1.0], [2.0]), ([], []), ([3.0, 4.0], [NAN, NAN]), ([], [])])
    assert np.array_equal(curves.t_last, [1, NAN, 4, NAN], equal_nan=True)
    assert np.array_equal(curves.final, [2, NAN, NAN, NAN], equal_nan=True)
    assert curves.best() == 2.0


def test_take_keeps_what_belongs_to_a_run(four: Curves) -> None:
    got = four.take([2, 0])
    assert got.ids.tolist() == ["c", "a"]
    assert got.t.tolist() == [2, 4, 1, 2, 3]
    assert got.y.tolist() == [2, 1, 3, 2, 1.5]
    assert got.config["lr"].tolist() == [0.3, 0.1]
    assert got.config.index.tolist() == [0, 1]
    assert got.arch.tolist() == ["net", "net"]
    assert got.group.tolist() == ["g", "g"]
    assert got.status.tolist() == ["censored", "completed"]
    assert four.take([-1]).ids.tolist() == ["d"]
    assert four.take(np.array([False, True, False, False])).ids.tolist() == ["b"]
    assert len(four.take([])) == 0
    assert [one.ids[0] for one in four] == ["a", "b", "c", "d"]


def test_selections(four: Curves) -> None:
    assert four.completed().ids.tolist() == ["a"]
    assert four.running().ids.tolist() == ["d"]
    assert four.finished().ids.tolist() == ["a", "b", "c"]
    assert four.best() == 1.0
    assert four.mirrored().best() == -1.0


def test_best_needs_a_finished_run(four: Curves) -> None:
    for none in (four.take([1, 3]), make(SCORE, [([1.0], [NAN])])):
        with pytest.raises(DataError, match="no completed run"):
            none.best()


def test_truncate(four: Curves) -> None:
    cut = four.truncate(1.0)
    assert cut.length.tolist() == [1, 1, 1, 1]
    assert cut.t.tolist() == [1, 1, 2, 1]
    assert cut.status.tolist() == ["running"] * 4
    own = four.truncate([2, 2, 9, 1])
    assert own.length.tolist() == [2, 2, 2, 1]
    assert own.status.tolist() == ["running", "diverged", "censored", "running"]


@given(curves=ragged(), t_max=st.floats(0, 130))
def test_truncate_is_what_was_known(curves: Curves, t_max: float) -> None:
    changed = replace(curves, values={"score": np.where(curves.t > t_max, -7.0, curves.y)}).truncate(t_max)
    cut = curves.truncate(t_max)
    late = cut.t > t_max
    # Only a first point may lie after the cut.
    assert np.isin(np.flatnonzero(late), cut.offsets[:-1]).all()
    assert np.array_equal(cut.y[~late], changed.y[~late])
    assert np.array_equal(cut.truncate(t_max).y, cut.y)


@given(curves=ragged())
def test_concat_undoes_a_split(curves: Curves) -> None:
    joined = Curves.concat(list(curves))
    for name in ("ids", "offsets", "t", "y", "status"):
        assert np.array_equal(getattr(joined, name), getattr(curves, name))


def test_concat_leaves_unknown_what_one_part_does_not_know(four: Curves) -> None:
    bare = replace(four.take([0]), config=None, arch=None, group=None, time_unit=None, ids=["e"])
    both = Curves.concat([four, bare])
    assert both.ids.tolist() == ["a", "b", "c", "d", "e"]
    assert both.group.tolist() == ["g", "h", "g", None, None]
    assert both.arch.tolist() == ["net", None, "net", "cell", None]
    assert both.config["lr"].isna().tolist() == [False] * 4 + [True]
    assert both.time_unit == "epoch"
    assert Curves.concat([bare, bare]).config is None


def test_concat_refuses_what_does_not_belong_together(four: Curves) -> None:
    with pytest.raises(DataError, match=r"different metrics: .*val_loss:min.* and .*val_loss:max"):
        Curves.concat([four, four.mirrored()])
    with pytest.raises(DataError, match=r"different times.*'epoch', 'step'"):
        Curves.concat([four, replace(four, time_unit="step")])
    with pytest.raises(DataError, match="at least one"):
        Curves.concat([])


def test_mirrored_leaves_what_is_no_metric(four: Curves) -> None:
    clock = np.arange(8.0)
    other = replace(four, values={**four.values, "seconds": clock}).mirrored()
    assert other.metric == LOSS.mirrored()
    assert other.metric.goal == "max"
    assert np.array_equal(other.y, -four.y)
    assert np.array_equal(other.values["seconds"], clock)
    assert np.array_equal(other.mirrored().y, four.y)
    assert other.final.tolist() == [-1.5, -INF, -1, -5]


def test_padded_of_another_metric(four: Curves) -> None:
    train = Metric("train_loss", "min")
    both = replace(four, values={**four.values, "train_loss": four.t}, metrics=(LOSS, train))
    assert both.padded("train_loss").last.tolist() == [3, 2, 4, 1]
    assert both.padded().last.tolist() == [1.5, 4, 1, 5]


def test_lists_become_arrays() -> None:
    curves = Curves(SCORE, ["a"], [0, 2], [1, 2], {"score": [3, 4]}, ["running"])  # type: ignore[arg-type]
    assert curves.running().final.tolist() == [4.0]
    assert curves.t.dtype == curves.y.dtype == np.float64


def test_lists_of_architectures_and_groups_become_arrays(four: Curves) -> None:
    lists = replace(four, arch=["net", None, "net", "cell"], group=pd.Series(list("ghgi"), index=[3, 2, 1, 0]))
    assert lists.take([2, 1]).arch.tolist() == ["net", None]
    assert lists.take([3, 0]).group.tolist() == ["i", "g"]


def test_ids_may_be_tuples(four: Curves) -> None:
    tuples = replace(four, ids=[(i, 0) for i in range(4)], group=[(i // 2, "g") for i in range(4)])
    assert tuples.ids.shape == tuples.group.shape == (4,)
    assert tuples.take([2]).ids.tolist() == [(2, 0)]
    assert Curves.concat([tuples, tuples]).group.tolist() == 2 * [(0, "g"), (0, "g"), (1, "g"), (1, "g")]


def test_curves_are_compared_by_identity(four: Curves) -> None:
    assert four == four
    assert four != four.take([0, 1, 2, 3])
    assert len({four, four}) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"offsets": [0, 3, 5, 7]}, "offsets do not fit: 4 runs, 8 points.*; give 0 and then the end of each run"),
        ({"offsets": [1, 3, 5, 7, 8]}, "offsets do not fit"),
        ({"offsets": [0, 5, 3, 7, 8]}, "offsets do not fit"),
        ({"values": {"loss": np.zeros(8)}}, "no values for metric 'val_loss'.*'loss'"),
        ({"values": {"val_loss": np.zeros(7)}}, "'val_loss' has 7 values for 8 points; give one a point"),
        ({"status": ["completed"]}, "status has 1 rows for 4 runs; give one a run"),
        ({"status": ["completed", "done", "running", "running"]}, "unknown status.*'done'.*completed, running"),
        ({"config": pd.DataFrame({"lr": [1]})}, "config has 1 rows for 4 runs"),
        ({"t": [1, 2, 3, 1, 2, 4, 2, 1]}, "strictly ascending within a run; mend runs 'c'"),
        ({"t": [1, 2, 2, 1, 2, 2, 4, NAN]}, "finite and strictly ascending within a run; mend runs 'a', 'd'"),
        ({"metrics": (ACCURACY,)}, "primary metric 'val_loss' is not among"),
        ({"metrics": (LOSS, ACCURACY)}, "no values for metric 'accuracy'"),
    ],
)
def test_what_does_not_fit_is_named(four: Curves, change: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        replace(four, **change)
