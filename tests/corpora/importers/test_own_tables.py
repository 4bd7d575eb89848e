"""People's own tables: long and wide, CSV and Parquet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from read_logs import LOSS, opened, read, write
from strategies import SCORE, ragged

from metalcx.corpora.importers import ImportOptions
from metalcx.corpora.importers._base import Tally
from metalcx.corpora.importers._logs import LoggedRun, Series, from_runs
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError

LONG = "run,t,value\n007,1,3\n007,2,2\n007,3,1\nNA,1,4\nNA,2,nan\nNA,3,9\nc,1,5\nc,2,4\n"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_long_table(src: Path) -> None:
    report, runs = read("csv", write(src / "mine.csv", LONG))
    assert (report.runs, report.points, report.shortest, report.longest) == (3, 7, 2, 3)
    assert {name: one.status[0] for name, one in runs.items()} == {
        "007": "completed",
        "NA": "diverged",
        "c": "censored",
    }
    assert runs["NA"].y.tolist() == [4, np.inf]
    corpus = opened(src / "mine.csv")
    assert corpus.name == "mine"
    assert (corpus.time_unit, corpus.licence, corpus.tasks["dataset"].tolist()) == ("epoch", "not stated", ["mine"])


def test_rows_of_tasks_may_be_mixed(src: Path) -> None:
    write(src / "curves.csv", "run,t,value,task\na,1,1,x\nd,1,5,b\nc,1,3,x\nd,2,4,b\na,2,2,x\nc,2,2,x\n")
    write(src / "runs.csv", "run,task,lr\nd,b,0.1\na,x,0.2\nc,x,0.3\n")
    read("csv", src)
    corpus = opened(src)
    found = {task.name: task.curves() for task in corpus}
    assert {name: curves.y.tolist() for name, curves in found.items()} == {"x": [1, 2, 3, 2], "b": [5, 4]}
    assert {name: curves.config["lr"].tolist() for name, curves in found.items()} == {"x": [0.2, 0.3], "b": [0.1]}


def test_a_row_without_the_primary_metric_keeps_the_further_ones(src: Path) -> None:
    path = write(src / "both.csv", "run,t,val_loss,acc\na,1,3,0.1\na,2,,0.2\na,3,1,\na,4,,\nb,1,2,\nb,2,nan,0.5\n")
    _, runs = read("csv", path, metrics=(Metric("acc", "max", 0, 1),))
    assert (runs["a"].t.tolist(), runs["a"].status[0]) == ([1, 2, 3], "completed")
    np.testing.assert_array_equal(runs["a"].y, [3, np.nan, 1])
    np.testing.assert_allclose(runs["a"].values["acc"], [0.1, 0.2, np.nan], rtol=1e-6)
    assert (runs["b"].y.tolist(), runs["b"].status[0]) == ([2, np.inf], "diverged")


def test_a_run_that_was_never_measured_is_named(src: Path) -> None:
    path = write(src / "blank.csv", "run,t,val_loss,acc\na,1,3,0.1\nb,1,,0.1\nb,2,NA,0.2\n")
    with pytest.raises(DataError, match=r"blank\.csv: column 'val_loss' is blank in every row of runs 'b'; leave"):
        read("csv", path, metrics=(Metric("acc", "max", 0, 1),))


def test_parquet_and_a_second_table(src: Path) -> None:
    frame = pd.DataFrame({"run": [1, 1, 2, 2, 3], "step": [10, 20, 10, 20, 10], "val_loss": [3.0, 2.0, 5.0, 4.0, 1.0]})
    frame.to_parquet(src / "curves.parquet")
    graph = {"nodes": [{"op": "input"}, {"op": "output"}], "edges": [[0, 1]]}
    known = pd.DataFrame({"run": ["1", "2", "3"], "lr": [0.1, 0.2, 0.3], "seed": [0, 1, 2]})
    known["arch"] = [json.dumps(graph), "resnet18", None]
    known["status"] = [None, "censored", "running"]
    known.to_csv(src / "runs.csv", index=False)
    report, runs = read("csv", src)
    assert {name: one.status[0] for name, one in runs.items()} == {"1": "completed", "2": "censored"}
    ((why, what),) = report.skipped.items()
    assert (what, "still running" in why) == (["3"], True)
    corpus = opened(src)
    assert corpus.time_unit == "step"
    assert [json.loads(c) for c in corpus.runs["config"]] == [{"lr": 0.1}, {"lr": 0.2}]
    assert corpus.runs["seed"].tolist() == ["0", "1"]
    rows = corpus.architectures.set_index("arch")
    assert json.loads(rows["graph"][corpus.runs["arch"][0]]) == graph
    assert rows["spec"]["resnet18"] == "resnet18"


def test_a_running_run_does_not_set_the_horizon_but_may_reach_it(src: Path) -> None:
    write(src / "curves.csv", "run,t,value\na,1,1\na,2,1\nb,1,1\nb,2,1\nb,3,1\n")
    write(src / "runs.csv", "run,status\na,\nb,running\n")
    _, runs = read("csv", src)
    assert {name: one.status[0] for name, one in runs.items()} == {"a": "completed", "b": "completed"}
    report, runs = read("csv", src, horizon=4)
    assert {name: one.status[0] for name, one in runs.items()} == {"a": "censored"}
    assert list(report.skipped.values()) == [["b"]]


def test_tasks_are_told_apart_or_chosen(src: Path) -> None:
    path = write(src / "two.csv", "run,t,value,task\na,1,1,cifar10\na,2,1,cifar10\nb,1,1,svhn\n")
    report, _ = read("csv", path, family="images")
    assert report.tasks == 2
    tasks = opened(path).tasks
    assert (tasks["task"].tolist(), tasks["family"].tolist()) == (["cifar10", "svhn"], ["images", "images"])
    assert opened(path).runs["status"].tolist() == ["completed", "completed"], "each task has its own horizon"
    report, runs = read("csv", path, task="svhn")
    assert (report.tasks, list(runs)) == (1, ["b"])
    with pytest.raises(DataError, match="holds no 'mnist'"):
        read("csv", path, task="mnist")


def test_further_metrics(src: Path) -> None:
    path = write(src / "m.csv", "run,epoch,val_loss,acc\na,1,1,inf\na,2,1,0.5\n")
    report, runs = read("csv", path, metrics=(Metric("acc", "max", 0, 1),))
    assert np.array_equal(runs["a"].values["acc"], [np.nan, 0.5], equal_nan=True)
    assert report.skipped == {"infinite values of a further metric": ["a: 1 of 'acc'"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,t,value\na,1,1\na,1,2\n", r"column 't' repeats a time within runs 'a'"),
        ("run,t,value\na,1,-1\n", r"column 'value' leaves the bounds"),
        ("run,t,value\n", r"the table is empty"),
        ("", r"the file is empty"),
        ("run,when,value\na,1,1\n", r"no column 't'"),
        ("run,t,accuracy\na,1,1\n", r"no column 'value' or 'val_loss'; it has 'run', 't', 'accuracy'"),
    ],
)
def test_mistakes_in_a_long_table(src: Path, text: str, said: str) -> None:
    path = write(src / "bad.csv", text)
    with pytest.raises(DataError, match=rf"bad\.csv: {said}"):
        read("csv", path)
    assert list(src.iterdir()) == [path], "nothing is written"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("diverged", "every value is finite in runs 'a', whose status is 'diverged'"),
        ("finished", r"runs.csv: column 'status' is not one of completed"),
    ],
)
def test_statuses_that_contradict(src: Path, status: str, said: str) -> None:
    write(src / "curves.csv", "run,t,value\na,1,1\na,2,2\n")
    write(src / "runs.csv", f"run,status\na,{status}\n")
    with pytest.raises(DataError, match=said):
        read("csv", src)


def test_an_infinity_in_a_completed_run_is_refused(src: Path) -> None:
    write(src / "curves.csv", "run,t,value\na,1,1\na,2,inf\na,3,1\n")
    write(src / "runs.csv", "run,status\na,completed\n")
    with pytest.raises(DataError, match="'val_loss' is infinite in runs 'a'"):
        read("csv", src)


def test_wide_table(src: Path) -> None:
    path = write(
        src / "wide.csv", "run,lr,1,2,4.5,status\n01,0.1,3,2,1,\n02,0.2,3,,,\n03,0.3,3,inf,,\n04,0.4,1,1,,running\n"
    )
    report, runs = read("wide-csv", path)
    assert (report.runs, report.points) == (3, 6)
    assert runs["01"].t.tolist() == [1, 2, 4.5]
    assert {n: one.status[0] for n, one in runs.items()} == {"01": "completed", "02": "censored", "03": "diverged"}
    assert [json.loads(c) for c in opened(path).runs["config"]] == [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    with pytest.raises(DataError, match="a wide table holds one metric"):
        read("wide-csv", path, metrics=(Metric("acc", "max"),))
    with pytest.raises(DataError, match=r"names.csv: no column is a time"):
        read("wide-csv", write(src / "names.csv", "run,lr\na,1\n"))


def test_wide_parquet(src: Path) -> None:
    frame = pd.DataFrame({"name": ["a", "b"], "1": [1.0, 2.0], "2": [0.5, np.nan]})
    frame.to_parquet(src / "wide.parquet")
    _, runs = read("wide-csv", src / "wide.parquet", time="step")
    assert [len(runs[name].t) for name in "ab"] == [2, 1]
    assert opened(src / "wide.parquet").time_unit == "step"


@given(curves=ragged())
def test_logged_runs_are_what_a_long_table_of_them_is(curves: Curves) -> None:
    """The builder of logs and `Curves.from_frame` agree, but for runs that go on: a log that ended is censored."""
    runs = [LoggedRun(str(one.ids[0]), {"score": Series(one.t, one.y)}, ["score"]) for one in curves]
    tally = Tally()
    made = from_runs(Path("logs"), runs, ImportOptions(SCORE), tally, "test", "epoch")
    (task,) = made.tasks
    wanted = Curves.from_frame(curves.to_frame(), SCORE)
    assert task.curves.ids.tolist() == [str(run) for run in curves.ids]
    assert (task.curves.t.tolist(), task.curves.y.tolist()) == (wanted.t.tolist(), wanted.y.tolist())
    assert task.curves.status.tolist() == ["censored" if s == "running" else s for s in wanted.status]
    assert tally.skipped == {}


def test_what_leaves_single_precision_is_a_divergence() -> None:
    runs = [LoggedRun("a", {"val_loss": Series(np.arange(3.0), np.array([1, 1e300, 2]))}, ["val_loss"])]
    (task,) = from_runs(Path("logs"), runs, ImportOptions(LOSS), Tally(), "test", "epoch").tasks
    assert (task.curves.y.tolist(), task.curves.status[0]) == ([1, np.inf], "diverged")
