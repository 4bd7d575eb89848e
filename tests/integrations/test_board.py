from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ACCURACY
from trainings import LOSS, earlier, losses

from metalcx.curves import Metric
from metalcx.errors import DataError
from metalcx.integrations._board import Board
from metalcx.integrations._record import Record, as_json, from_json, of_metric, to_curves


def filled(folder: Path | None, run: str = "a", points: int = 3) -> Board:
    board = Board(LOSS, folder)
    board.start(run, {"lr": 0.1, "opt": {"name": "sgd"}})
    for t, y in enumerate(losses(0.1)[:points], 1):
        board.report(run, t, y)
    return board


def points(board: Board, run: str) -> dict[float, float]:
    return board._records[run].points


def test_a_folder_keeps_what_was_reported(tmp_path: Path) -> None:
    first = filled(tmp_path)
    first.end("a", "completed")
    second = Board(LOSS, tmp_path)
    second.start("b")
    second.report("b", 1, 0.9)
    curves = second.curves("b")
    assert curves.ids.tolist() == ["a", "b"]
    assert curves.status.tolist() == ["completed", "running"]
    assert curves.y.tolist() == [*losses(0.1)[:3], 0.9]
    assert curves.config.iloc[0].to_dict() == {"lr": 0.1, "opt.name": "sgd"}


def test_architectures_are_a_text_or_follow_from_hyperparameters(tmp_path: Path) -> None:
    named = Board(LOSS, tmp_path, "small")
    named.start("a")
    Board(LOSS, tmp_path, lambda config: f"{config['net']['depth']} layers").start("b", {"net": {"depth": 3}})
    Board(LOSS, tmp_path).start("c")
    seen = Board(LOSS, tmp_path)
    assert {run: record.arch for run, record in seen._records.items()} == {"a": "small", "b": "3 layers", "c": None}
    curves = to_curves(LOSS, list(seen._records.values()))
    assert curves.arch.tolist() == ["small", "3 layers", None]
    assert from_json(json.loads(json.dumps(as_json(curves))), LOSS).arch.tolist() == curves.arch.tolist()
    assert to_curves(LOSS, [Record("d")]).arch is None


def test_boards_on_one_folder_see_each_other_at_once(tmp_path: Path) -> None:
    one, other = filled(tmp_path, "a"), filled(tmp_path, "b")
    assert other.curves("b").ids.tolist() == ["b"], "running runs of others say nothing yet"
    one.end("a", "censored")
    assert other.curves("b").ids.tolist() == ["a", "b"]
    one.report("a", 9, 0.1)
    assert other.curves("b").ids.tolist() == ["b"], "it was taken up again"


def test_finished_runs_are_built_once() -> None:
    board = filled(None)
    board.end("a", "completed")
    board.start("b")
    board.report("b", 1, 0.5)
    board.curves("b")
    built = board._finished[1]
    board.report("b", 2, 0.4)
    board.curves("b")
    assert board._finished[1] is built


def test_a_run_is_taken_up_where_a_kill_left_it(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"t": 4, "val')
    again = Board(LOSS, tmp_path)
    again.start("a", {"lr": 7})
    assert points(again, "a") == dict(enumerate(losses(0.1)[:3], 1))
    assert again._records["a"].config["lr"] == 0.1
    again.report("a", 4, 0.2)
    assert points(Board(LOSS, tmp_path), "a")[4] == 0.2


def test_going_back_to_a_checkpoint_forgets_what_came_after(tmp_path: Path) -> None:
    board = filled(tmp_path, points=5)
    board.report("a", 3, 0.3)
    for seen in (board, Board(LOSS, tmp_path)):
        assert points(seen, "a") == {**dict(enumerate(losses(0.1)[:2], 1)), 3: 0.3}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_ends_a_run_or_counts_as_not_measured(tmp_path: Path, value: float) -> None:
    for run, check_finite, status in (("x", True, "diverged"), ("y", False, "running")):
        board = filled(tmp_path, run)
        board.report(run, 4, value, check_finite)
        for seen in (board, Board(LOSS, tmp_path)):
            assert seen._records[run].status == status
            assert math.isinf(points(seen, run)[4]) == check_finite
            own = seen.curves(run).take([-1])
            assert own.padded().length.tolist() == [3]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1e6) | st.sampled_from([math.nan, math.inf])), max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
)
def test_what_is_read_is_what_was_reported(tmp_path_factory, reports, run) -> None:
    folder = tmp_path_factory.mktemp("board")
    board = Board(LOSS, folder)
    board.start(run)
    for t, y in reports:
        board.report(run, t, y)
    read = Board(LOSS, folder)._records[run]
    assert (read.run, read.status) == (run, board._records[run].status)
    assert list(read.points.items()) == list(points(board, run).items())
    assert [*read.points] == sorted(read.points)


def test_another_metric_in_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: .*measures val_loss:min:0\.0, this training accuracy:max"):
        Board(ACCURACY, tmp_path)


@pytest.mark.parametrize("line", ["[1]", '{"t": 1}', '{"t": "soon", "value": 1}', '{"status": "tired"}', "{"])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    filled(tmp_path)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl, line 5"):
        Board(LOSS, tmp_path)


def test_a_foreign_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"format": "metalcx-run/9"}) + "\n")
    with pytest.raises(DataError, match="'metalcx-run/9', not 'metalcx-run/1'"):
        Board(LOSS, tmp_path)


def test_values_out_of_bounds_and_times_that_are_none_are_refused() -> None:
    board = filled(None)
    with pytest.raises(DataError, match=r"-0\.5 at t = 4 leaves the bounds \[0\.0, None\]"):
        board.report("a", 4, -0.5)
    with pytest.raises(DataError, match="report a finite time"):
        board.report("a", math.inf, 0.5)
    assert points(board, "a") == dict(enumerate(losses(0.1)[:3], 1))


def test_earlier_runs_measure_the_same() -> None:
    board = Board(LOSS, earlier())
    board.start("mine")
    assert len(board.curves("mine")) == 6
    assert Board(Metric("val_loss", "min", 0.0, unit="nat"), earlier()).metric.unit == "nat"
    for other in (Metric("val_loss", "max", 0.0), Metric("val_loss", "min"), Metric("loss", "min", 0.0)):
        with pytest.raises(DataError, match="declare the same metric for both"):
            Board(other, earlier())


def test_one_of_several_metrics_is_taken() -> None:
    both = replace(earlier(), values={"val_loss": earlier().y, "f1": np.zeros(50)}, metrics=(LOSS, Metric("f1", "max")))
    assert of_metric(both, Metric("f1", "max")).metrics == (Metric("f1", "max"),)


def test_earlier_runs_survive_json() -> None:
    known = [Record("a", {"lr": 0.1}, {1.0: 0.5, 2.5: math.inf}, "diverged"), Record("b", {}, {1.0: 0.4}, "completed")]
    curves = to_curves(LOSS, known)
    again = from_json(json.loads(json.dumps(as_json(curves))), LOSS)
    assert again.to_frame().equals(curves.to_frame())
    assert again.status.tolist() == curves.status.tolist()
    assert again.config["lr"].tolist()[0] == 0.1
    assert from_json(as_json(Path("runs")), LOSS) == "runs"
    assert from_json(as_json(None), LOSS) is None
