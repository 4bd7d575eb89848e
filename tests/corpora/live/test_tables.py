"""Tables that grow: what is read piece by piece is what the importer reads at the end."""

from __future__ import annotations

import numpy as np
import pytest
from read_logs import read, write

from metalcx.corpora import curves_of_tables, read_table
from metalcx.corpora.live import LiveOptions, live_curves, open_live
from metalcx.curves import Metric
from metalcx.errors import DataError

LOSS = Metric("val_loss", "min", 0.0)
OPTIONS = LiveOptions(LOSS)


def points(source) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for name, run in source.runs.items():
        t, y, _ = run.settled()
        found[name] = list(zip(t.tolist(), y.tolist(), strict=True))
    return found


def test_lightning_logs_are_followed_as_they_are_imported(tmp_path):
    src = tmp_path / "logs"
    text = "epoch,step,train_loss,val_loss\n0,1,0.9,\n0,1,,0.8\n1,2,0.7,\n1,2,,0.6\n2,3,,nan\n"
    path = write(src / "version_0" / "metrics.csv", "")
    (path.parent / "hparams.yaml").write_text("lr: 0.1\n")
    source = open_live(str(src), OPTIONS, "lightning-csv")
    for end in range(0, len(text) + 1, 3):
        path.write_text(text[:end])
        source.poll()
    path.write_text(text)
    source.poll()
    curves, notes = live_curves(source.runs, LOSS, horizon=3.0, time_unit=source.time_unit)
    _, imported = read("lightning-csv", src)
    one = imported["version_0"]
    assert (list(curves.ids), notes, source.notes) == (["version_0"], [], [])
    np.testing.assert_array_equal(curves.t, one.t)
    np.testing.assert_allclose(curves.y, one.values["val_loss"])
    assert (curves.status[0], one.status[0]) == ("diverged", "diverged")
    assert (source.time_unit, curves.config["lr"][0]) == ("step", 0.1)


def test_a_blank_cell_of_a_long_table_is_nan_live_imported_and_read(tmp_path):
    """As pandas writes it: with one value a row, a row without one would say nothing else."""
    text = "run,t,value\na,1,3\na,2,\na,3,1\nb,1,4\nb,2,NA\nb,3,nan\nc,1,5\nc,3,2\n"
    path = write(tmp_path / "curves.csv", text)
    source = open_live(str(path), OPTIONS, "csv")
    source.poll()
    curves, _ = live_curves(source.runs, LOSS, horizon=3.0, time_unit="epoch")
    table = curves_of_tables(read_table(path), LOSS)
    for found in (curves, table):
        assert list(found.ids) == ["a", "b", "c"]
        assert (found.t.tolist(), found.y.tolist()) == ([1, 2, 1, 2, 1, 3], [3, np.inf, 4, np.inf, 5, 2])
        assert list(found.status) == ["diverged", "diverged", "completed"]
    _, imported = read("csv", path)
    assert {name: (one.status[0], one.y.tolist()) for name, one in imported.items()} == {
        "a": ("diverged", [3, np.inf]),
        "b": ("diverged", [4, np.inf]),
        "c": ("completed", [5, 2]),
    }


def test_a_header_that_grows_is_read_anew(tmp_path):
    path = write(tmp_path / "a" / "metrics.csv", "epoch,step,train_loss\n0,1,0.9\n")
    source = open_live(str(tmp_path), OPTIONS)
    source.poll()
    assert source.runs == {}
    assert "nothing is logged as 'val_loss' yet; there is 'epoch', 'step', 'train_loss'" in source.notes[0]
    path.write_text("epoch,step,train_loss,val_loss\n0,1,0.9,\n0,1,,0.8\n")
    assert source.poll()
    assert points(source) == {"a": [(1.0, 0.8)]}
    assert source.notes == []


def test_keras_logs(tmp_path):
    write(tmp_path / "one.csv", "epoch;loss;val_loss\n0;1;0.5\n1;1;NA\n2;1;0.4\n")
    write(tmp_path / "other.csv", "name,size\na,1\n")
    source = open_live(str(tmp_path), OPTIONS)
    source.poll()
    assert points(source) == {"one": [(0.0, 0.5), (2.0, 0.4)]}
    assert source.time_unit == "epoch"


def test_a_long_table(tmp_path):
    path = write(tmp_path / "curves.csv", "run,t,value\na,1,0.5\nb,1,0.6\n")
    source = open_live(str(path), OPTIONS)
    assert source.poll()
    assert not source.poll()
    with path.open("a") as file:
        file.write("a,2,0.4\nb,x,0.3\nb,2\na,3,inf\nb,2,0.55\nb,1,0.65\na,4,")
    assert source.poll()
    assert points(source) == {"a": [(1.0, 0.5), (2.0, 0.4), (3.0, np.inf)], "b": [(1.0, 0.65), (2.0, 0.55)]}
    assert source.notes == [f"{path}: 2 rows hold no number where one is due; they are left out"]


def test_one_task_of_a_table(tmp_path):
    path = write(tmp_path / "curves.csv", "task,run,t,val_loss\nx,a,1,0.5\ny,b,1,0.6\n")
    source = open_live(str(path), LiveOptions(LOSS, task="y"))
    source.poll()
    assert points(source) == {"b": [(1.0, 0.6)]}


def test_files_come_and_go(tmp_path):
    source = open_live(str(tmp_path / "logs"), OPTIONS)
    assert not source.poll()
    assert "no logs" in source.notes[0]
    for name in "ab":
        write(tmp_path / "logs" / name / "metrics.csv", "step,val_loss\n1,0.5\n2,0.4\n")
    assert source.poll()
    assert set(source.runs) == {"a", "b"}
    (tmp_path / "logs" / "a" / "metrics.csv").unlink()
    assert source.poll()
    assert set(source.runs) == {"b"}
    (tmp_path / "logs" / "b" / "metrics.csv").write_text("step,val_loss\n1,0.5\n")
    source.poll()
    assert points(source) == {"b": [(1.0, 0.5)]}
    (tmp_path / "logs" / "b" / "metrics.csv").write_bytes(b"\x00\xff\xfe")
    source.poll()
    assert points(source) == {"b": []} or points(source) == {}


def test_what_stood_beside_a_deleted_run_is_forgotten(tmp_path):
    """A run of the same name that comes later has its own hyperparameters, and nothing piles up over the hours."""
    source = open_live(str(tmp_path / "logs"), OPTIONS, "lightning-csv")
    for rate in (0.1, 0.2):
        path = write(tmp_path / "logs" / "a" / "metrics.csv", "step,val_loss\n1,0.5\n")
        (path.parent / "hparams.yaml").write_text(f"lr: {rate}\n")
        source.poll()
        assert source.runs["a"].config == {"lr": rate}
        path.unlink()
        assert source.poll()
    assert not source._settings
    long = open_live(str(tmp_path / "long"), OPTIONS, "csv")
    path = write(tmp_path / "long" / "all.csv", "run,t,value\na,1,0.5\n")
    write(tmp_path / "long" / "runs.csv", "run,lr\na,0.1\n")
    long.poll()
    assert long.runs["a"].config == {"lr": 0.1}
    path.unlink()
    long.poll()
    assert not long._known


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path / "metrics.csv", "epoch,val_loss\n1,0.5\n")
    source = open_live(str(path), LiveOptions(LOSS, time="step"), "lightning-csv")
    source.poll()
    assert source.notes == [f"{path}: no column 'step'; it has epoch, val_loss"]


def test_status_is_of_points_horizon_idleness_and_source(tmp_path):
    rows = ["done,1,0.5", "done,9,0.4", "broken,1,nan", "going,1,0.5", "wild,1,-3"]
    path = write(tmp_path / "curves.csv", "run,t,value\n" + "\n".join(rows) + "\n")
    source = open_live(str(path), OPTIONS)
    source.poll()
    curves, notes = live_curves(source.runs, LOSS, horizon=9.0)
    assert dict(zip(curves.ids, curves.status, strict=True)) == {
        "done": "completed",
        "broken": "diverged",
        "going": "running",
    }
    assert "wild: -3 at 1 leaves the bounds of 'val_loss'" in notes[0]
    source.runs["going"].touched -= 100
    assert list(live_curves(source.runs, LOSS, horizon=9.0, idle=60.0)[0].status) == [
        "completed",
        "diverged",
        "censored",
    ]
    source.runs["going"].status = "completed"
    assert list(live_curves(source.runs, LOSS)[0].status) == ["running", "diverged", "completed"]
    assert len(live_curves({}, LOSS)[0]) == 0


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(DataError, match="no live logs of format 'wandb'; there are"):
        open_live(str(tmp_path), OPTIONS, "wandb")


def test_a_table_of_runs_beside_a_long_one(tmp_path):
    write(tmp_path / "curves.csv", "run,t,value\na,1,0.5\nb,1,0.6\n")
    source = open_live(str(tmp_path), OPTIONS)
    source.poll()
    assert source.runs["a"].config == {}
    write(tmp_path / "runs.csv", "run,status,lr,act\na,censored,0.1,relu\nb,running,,tanh\n")
    assert source.poll()
    assert not source.poll()
    assert source.runs["a"].config == {"lr": 0.1, "act": "relu"}
    curves, _ = live_curves(source.runs, LOSS, horizon=9.0)
    assert list(curves.status) == ["censored", "running"]
    assert curves.config["act"].tolist() == ["relu", "tanh"]
    write(tmp_path / "runs.csv", "name\na\n")
    assert source.poll()
    assert "no column 'run'" in source.notes[0]
    (tmp_path / "runs.csv").unlink()
    assert not source.poll()
    assert source.runs["b"].config == {"act": "tanh"}
