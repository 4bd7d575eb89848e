"""From measured stacks to curves: where a run ends and as what, and what is written beside its values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from metalcx.corpora.build import _assemble as module
from metalcx.corpora.build import meta_features
from metalcx.corpora.build._assemble import METRICS, TaskResult, assemble
from metalcx.corpora.build._data import make
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._plan import TaskPlan
from metalcx.corpora.build._stack import MEASURED, Stack

MLP = {"widths": (8, 4), "activation": "relu", "norm": "none", "dropout": 0.0, "residual": False}
GRAPH = {
    "nodes": [
        {"op": "input", "out": 4},
        {"op": "linear", "params": 40, "macs": 32},
        {"op": "linear", "params": 36, "macs": 30},
        {"op": "output", "out": 3},
    ],
    "edges": [[0, 1], [1, 2], [2, 3]],
}
IRIS, DIABETES = expand([{"source": "sklearn", "dataset": ["iris", "diabetes"]}], 0)


@pytest.fixture(scope="module", autouse=True)
def known_features() -> Any:
    """Meta-features take a while, and most tests do not look at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "meta_features", lambda data: {"n_train": len(data.x_train)})
        yield


def planned(configs: Sequence[dict[str, Any]], epochs: int, spec: Any = IRIS, **changes: Any) -> TaskPlan:
    """One stack of a task."""
    stack = Stack(spec, "mlp", MLP, 16, epochs, tuple(configs), 77)
    score = "val_accuracy" if spec is IRIS else "val_r2"
    return replace(TaskPlan(spec, score, epochs, "none", (stack,), (tuple(range(len(configs))),)), **changes)


def piece(score: Any, length: Sequence[int] | None = None, graph: Any = GRAPH, **columns: Any) -> dict[str, Any]:
    """What a stack measured: scores (R, T), and what else is given; a run of `length` n breaks at its point n - 1."""
    score = np.asarray(score, np.float32)
    values = np.zeros((*score.shape, len(MEASURED)), np.float32)
    values[..., :4] = np.stack([1 - score, 2 - score, score, score - 0.1], -1)
    values[..., 4], values[..., 5] = 0.1, np.arange(score.shape[1]) * 0.5
    for name, column in columns.items():
        values[..., MEASURED.index(name)] = column
    lengths = np.full(len(score), score.shape[1]) if length is None else np.array(length)
    for run, n in enumerate(lengths):
        if n < score.shape[1]:
            values[run, n - 1, :3] = np.nan
            values[run, n:] = np.nan
    return {"values": values, "length": lengths.astype(np.int64), "graph": np.array(json.dumps(graph))}


def curve(result: TaskResult, run: int, name: str) -> np.ndarray:
    curves = result.curves
    return curves.values[name][curves.offsets[run] : curves.offsets[run + 1]]


def ends(result: TaskResult) -> list[tuple[str, int]]:
    return list(zip(result.curves.status, result.curves.length, strict=True))


# --- where runs end -------------------------------------------------------------------------------------------------


def test_a_run_that_is_lost_ends_in_one_inf_and_the_others_go_on() -> None:
    score = [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]]
    measured = piece(score, [4, 3, 2])
    measured["values"][0, 3, 0] = np.inf  # lost at its last point
    result = assemble(planned([{}, {}, {}], 3), [measured])
    assert ends(result) == [("diverged", 4), ("diverged", 3), ("diverged", 2)]
    for run, n in ((0, 4), (1, 3), (2, 2)):
        for name in ("train_loss", "val_loss", "val_accuracy"):
            values = curve(result, run, name)
            assert np.isposinf(values[-1])
            assert np.isfinite(values[:-1]).all()
        assert_array_equal(result.curves.t[result.curves.offsets[run] : result.curves.offsets[run + 1]], np.arange(n))
    assert ends(assemble(planned([{}], 3), [piece(score[:1])])) == [("completed", 4)]


@pytest.mark.parametrize(
    ("score", "patience", "end"),
    [
        ([0.5, 0.6, 0.6, 0.5, 0.7, 0.7], 2, ("censored", 4)),
        ([0.5, 0.6, 0.6, 0.7, 0.7, 0.7], 2, ("completed", 6)),  # out of patience at the budget: it had it all
        ([0.5, 0.6, 0.6, 0.7, 0.7, 0.8], 2, ("completed", 6)),
        ([0.5, 0.4, 0.3, 0.6, 0.7, 0.8], 3, ("completed", 6)),
        ([0.5, 0.4, 0.3, 0.5, 0.7, 0.8], 3, ("censored", 4)),  # as good is not better
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], None, ("completed", 6)),
    ],
)
def test_patience_ends_a_run_that_has_not_been_better_for_so_long(
    score: list[float], patience: int | None, end: tuple[str, int]
) -> None:
    config = {} if patience is None else {"patience": patience}
    result = assemble(planned([config], 5, stopping="patience"), [piece([score])])
    assert ends(result) == [end]
    assert_array_equal(curve(result, 0, "val_accuracy"), np.float32(score[: end[1]]))
    assert ends(assemble(planned([config], 5), [piece([score])])) == [("completed", 6)]


def test_patience_is_with_the_primary_metric() -> None:
    score, loss = [[0.5, 0.5, 0.5, 0.5, 0.5]], [[5.0, 4.0, 3.0, 2.0, 1.0]]
    measured = piece(score, val_loss=loss)
    assert ends(assemble(planned([{"patience": 2}], 4, stopping="patience"), [measured])) == [("censored", 3)]
    by_loss = planned([{"patience": 2}], 4, stopping="patience", metric="val_loss")
    assert ends(assemble(by_loss, [measured])) == [("completed", 5)]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(1, 5), st.integers(2, 12))
def test_patience_is_that_of_a_plain_loop(steps: list[int], patience: int, length: int) -> None:
    length = min(length, len(steps))
    score = [step / 4 for step in steps]
    result = assemble(
        planned([{"patience": patience}], len(steps) - 1, stopping="patience"), [piece([score], [length])]
    )
    best, since = -np.inf, 0
    wanted = ("completed", length) if length == len(steps) else ("diverged", length)
    for point in range(length - 1):
        best, since = (score[point], 0) if score[point] > best else (best, since + 1)
        if since >= patience:
            wanted = ("censored", point + 1)
            break
    assert ends(result) == [wanted]


def test_a_target_ends_the_runs_that_reach_it_after_five_points() -> None:
    fast, slow, never = [0.9] * 8, [0.1, 0.1, 0.2, 0.3, 0.4, 0.9, 0.9, 0.9], [0.2] * 8
    result = assemble(planned([{}] * 5, 7, stopping="target"), [piece([fast, slow, never, never, never])])
    assert ends(result) == [("censored", 5), ("censored", 6), *[("completed", 8)] * 3]
    aim = result.meta["target"]
    best = [0.9, 0.9, 0.2, 0.2, 0.2]
    assert aim == pytest.approx(np.quantile(best, 0.6), rel=1e-6)
    assert result.meta["stopping"] == "target"
    assert (curve(result, 1, "val_accuracy")[:-1] < aim).all()


def test_the_target_of_a_loss_is_stated_as_a_loss() -> None:
    loss = np.array([[3.0, 2.5, 2.0, 1.5, 1.0, 0.5], [3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.0, 3.0, 3.0, 3.0, 3.0]])
    measured = piece(np.zeros((3, 6)), val_loss=loss)
    result = assemble(planned([{}] * 3, 5, stopping="target", metric="val_loss"), [measured])
    assert result.meta["target"] == pytest.approx(np.quantile([0.5, 2.5, 3.0], 0.4))
    assert ends(result) == [("censored", 5), ("completed", 6), ("completed", 6)]


def test_a_run_lost_before_it_is_stopped_is_diverged_and_one_stopped_before_is_censored() -> None:
    flat = [0.5] * 8
    given = planned([{"patience": 3}, {"patience": 3}, {"patience": 3}], 7, stopping="patience")
    assert ends(assemble(given, [piece([flat, flat, flat], [8, 4, 5])])) == [
        ("censored", 4),
        ("diverged", 4),
        ("censored", 4),
    ]


def test_every_run_lost_leaves_a_target_that_nobody_reaches() -> None:
    result = assemble(planned([{}] * 3, 5, stopping="target"), [piece(np.full((3, 6), 0.5), [2, 2, 2])])
    assert ends(result) == [("diverged", 2)] * 3


# --- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "applies", "other"), [(IRIS, "accuracy", "r2"), (DIABETES, "r2", "accuracy")], ids=["classes", "numbers"]
)
def test_metrics_that_do_not_apply_are_not_measured(spec: Any, applies: str, other: str) -> None:
    curves = assemble(planned([{}], 2, spec), [piece([[0.1, 0.2, 0.3]])]).curves
    assert curves.metric.name == f"val_{applies}"
    assert set(curves.values) == {
        "train_loss",
        "val_loss",
        f"val_{applies}",
        f"test_{applies}",
        "learning_rate",
        "seconds",
    }
    assert {m.name for m in METRICS} >= {f"val_{other}", f"test_{other}", *curves.values} - {"seconds"}


def test_the_test_score_stands_at_the_last_point_alone() -> None:
    score = [[0.1, 0.2, 0.3, 0.3, 0.3, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1] * 6]
    given = planned([{"patience": 2}] * 3, 5, stopping="patience")
    result = assemble(given, [piece(score, [6, 6, 3])])
    assert ends(result) == [("censored", 5), ("completed", 6), ("diverged", 3)]
    for run, last in ((0, 0.2), (1, 0.5)):
        test = curve(result, run, "test_accuracy")
        assert np.isnan(test[:-1]).all()
        assert test[-1] == pytest.approx(last)


def test_learning_rates_and_seconds_are_recorded_at_each_point() -> None:
    rates = [[0.4, 0.4, 0.2, 0.1], [0.3, 0.3, 0.3, 0.3]]
    result = assemble(planned([{}, {}], 3), [piece(np.full((2, 4), 0.5), [4, 3], learning_rate=rates)])
    assert_allclose(curve(result, 0, "learning_rate"), rates[0])
    assert_allclose(curve(result, 1, "learning_rate"), rates[1][:3])
    assert_allclose(curve(result, 1, "seconds"), [0, 0.5, 1.0])


# --- what stands beside the values ----------------------------------------------------------------------------------


def test_configurations_hold_the_networks_and_the_trainings_settings() -> None:
    configs = [{"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.9}, {"optimiser": "adam", "learning_rate": 0.2}]
    curves = assemble(planned(configs, 2), [piece(np.zeros((2, 3)))]).curves
    network = {"network": "mlp", "activation": "relu", "norm": "none", "dropout": 0.0, "residual": False}
    shared = {**network, "depth": 2, "width": 8, "batch_size": 16, "epochs": 2}
    for i, config in enumerate(configs):
        row = curves.config.iloc[i].dropna().to_dict()
        assert row == {**shared, **config}
        assert {type(row[k]) for k in ("depth", "width", "batch_size", "epochs")} == {int}


def test_names_groups_and_seeds_tell_runs_by_stack_and_place() -> None:
    one = planned([{}, {}, {}], 2)
    stacks = (one.stacks[0], replace(one.stacks[0], seed=78, settings={**MLP, "widths": (4,)}))
    given = replace(one, stacks=stacks, groups=((0, 1, 0), (0, 1, 2)))
    result = assemble(given, [piece(np.zeros((3, 3))), piece(np.ones((3, 3)))])
    assert list(result.curves.ids) == [f"iris/0{i}-0{j}" for i in (0, 1) for j in (0, 1, 2)]
    assert list(result.curves.group) == [
        f"iris/{text}" for text in ("00-00", "00-01", "00-00", "01-00", "01-01", "01-02")
    ]
    assert result.seed == ("77.0", "77.1", "77.2", "78.0", "78.1", "78.2")
    assert curve(result, 4, "val_accuracy")[0] == 1
    archs = [a["arch"] for a in result.architectures]
    assert list(result.curves.arch) == [archs[0]] * 3 + [archs[1]] * 3
    assert len(set(archs)) == 2


def test_architecture_rows_hold_the_traced_graph_and_what_it_counts() -> None:
    (row,) = assemble(planned([{}], 1), [piece([[0.0, 0.0]])]).architectures
    assert row["arch"].startswith("mlp-")
    assert row["format"] == "metalcx-build"
    assert json.loads(row["spec"]) == {"network": "mlp", **MLP, "widths": [8, 4]}
    assert row["features"] == {"n_params": 76, "macs": 62, "nodes": 4}
    assert row["graph"] == GRAPH


def test_equal_networks_for_data_of_equal_shape_are_one_architecture() -> None:
    wide = {**GRAPH, "nodes": [{"op": "input", "out": 5}, *GRAPH["nodes"][1:]]}
    more = {**GRAPH, "nodes": [*GRAPH["nodes"][:-1], {"op": "output", "out": 4}]}
    names = [
        assemble(planned([{}], 1, spec), [piece([[0.0, 0.0]], graph=graph)]).architectures[0]["arch"]
        for spec, graph in ((IRIS, GRAPH), (DIABETES, GRAPH), (IRIS, wide), (IRIS, more))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_task_is_described_by_its_training_data_and_how_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "meta_features", meta_features)
    meta = assemble(planned([{}], 1), [piece([[0.0, 0.0]])]).meta
    assert meta == {**meta_features(make(IRIS)), "stopping": "none", "target": None, "epochs": 1}
    assert meta["n_train"] == IRIS.n_train
