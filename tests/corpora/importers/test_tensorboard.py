"""Event directories, written by the loggers that people use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from read_logs import opened, read

from metalcx.curves import Metric
from metalcx.errors import DataError, MissingDependencyError

pytest.importorskip("tensorboard", reason="tensorboard is not installed")

LOSS = Metric("val/loss", "min")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def log(folder: Path, values: dict[int, float], tag: str = "val/loss", **options) -> Path:
    """Scalars as `SummaryWriter` writes them; the event file."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder, **options) as writer:
        for step, value in values.items():
            writer.add_scalar(tag, value, step, walltime=1000.0 + 2 * step)
        return Path(writer.file_writer.event_writer._file_name)


def log_tensors(folder: Path, values: dict[int, float], tag: str) -> None:
    """Scalars in the form of TensorFlow 2 and Keras: tensors with the metadata of the scalars plugin."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step, value in values.items():
        writer.add_event(Event(step=step, wall_time=1000.0 + step, summary=scalar_pb(tag, value)))
    writer.close()


def test_nothing_is_sampled(src: Path) -> None:
    n = 10_400
    values = 1 / np.sqrt(1 + np.arange(n))
    log(src / "a" / "b", dict(enumerate(values.tolist())))
    report, runs = read("tensorboard", src, LOSS)
    assert (report.runs, report.points, report.skipped) == (1, n, {})
    assert runs["a/b"].t.tolist() == list(range(n))
    assert np.array_equal(runs["a/b"].y, values.astype(np.float32))
    assert opened(src).time_unit == "step"


def test_tensors_and_folders_of_splits(src: Path) -> None:
    for name, end in (("one", 64), ("two", 30)):
        log_tensors(src / name / "train", {e: 1 / (e + 1) for e in range(end)}, "epoch_loss")
        log_tensors(src / name / "validation", {e: 2 / (e + 1) for e in range(end)}, "epoch_loss")
    train, valid = Metric("train/epoch_loss", "min"), Metric("validation/epoch_loss", "min")
    report, runs = read("tensorboard", src, valid, metrics=(train,))
    assert (report.runs, report.points) == (2, 94)
    assert runs["one"].y == pytest.approx(2 * runs["one"].values["train/epoch_loss"])
    assert [runs[name].status[0] for name in ("one", "two")] == ["completed", "censored"]
    with pytest.raises(DataError, match="there is 'train/epoch_loss', 'validation/epoch_loss'"):
        read("tensorboard", src, Metric("epoch_loss", "min"))
    _, runs = read("tensorboard", src / "one" / "validation", Metric("epoch_loss", "min"))
    assert list(runs) == ["validation"]


def test_hyperparameters(src: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for name, run_name in (("own", None), ("same", ".")):
        with SummaryWriter(src / name) as writer:
            writer.add_scalar("val/loss", 1.0, 0)
            writer.add_hparams({"lr": 0.1, "opt": "adam", "amp": True}, {"final": 0.5}, run_name=run_name)
    report, runs = read("tensorboard", src, LOSS)
    assert sorted(runs) == ["own", "same"]
    assert report.skipped == {}
    for config in opened(src).runs["config"]:
        assert json.loads(config) == {"lr": 0.1, "opt": "adam", "amp": True}


def test_restarts_are_merged(src: Path) -> None:
    log(src / "a", {s: float(s) for s in range(10)}, filename_suffix=".0")
    log(src / "a", {s: 100.0 + s for s in range(7, 12)}, filename_suffix=".1")
    report, runs = read("tensorboard", src, LOSS)
    assert runs["a"].t.tolist() == list(range(12))
    assert runs["a"].y[6:8].tolist() == [6, 107]
    assert report.skipped == {"points at a time that was logged again later": ["a: 3 of 'val/loss'"]}


def test_a_writer_that_purges_is_believed(src: Path) -> None:
    log(src / "a", {s: float(s) for s in range(10)}, filename_suffix=".0")
    log(src / "a", {5: 50.0, 6: 60.0}, filename_suffix=".1", purge_step=5)
    report, runs = read("tensorboard", src, LOSS)
    assert runs["a"].y.tolist() == [0, 1, 2, 3, 4, 50, 60]
    assert report.skipped == {}


def test_wall_time(src: Path) -> None:
    log_tensors(src / "a", {0: 3.0, 4: 2.0, 9: 1.0}, "loss")
    loss = Metric("loss", "min")
    _, runs = read("tensorboard", src, loss)
    assert np.diff(runs["a"].values["seconds"]).tolist() == [4, 5]
    _, runs = read("tensorboard", src, loss, time="seconds")
    assert np.diff(runs["a"].t).tolist() == [4, 5]
    assert opened(src).time_unit == "second"
    with pytest.raises(DataError, match="no time 'epoch'; there is 'step', 'seconds'"):
        read("tensorboard", src, loss, time="epoch")


def test_divergence(src: Path) -> None:
    log(src / "a", {0: 1.0, 1: float("nan"), 2: 0.5})
    log(src / "b", {0: 1.0, 1: float("-inf")})
    log(src / "c", {0: 1.0, 2: 1.0})
    _, runs = read("tensorboard", src, LOSS)
    assert (runs["a"].y.tolist(), runs["b"].y.tolist()) == ([1, np.inf], [1, -np.inf])
    assert [runs[name].status[0] for name in "abc"] == ["diverged", "diverged", "completed"]


def test_a_last_record_that_is_being_written(src: Path) -> None:
    path = log(src / "a", {s: float(s) for s in range(20)})
    whole = path.read_bytes()
    for lost in (1, 5, 20):
        path.write_bytes(whole[:-lost])
        report, runs = read("tensorboard", src, LOSS)
        assert runs["a"].t.tolist() == list(range(19))
        assert report.skipped == {}


def test_a_damaged_file_is_named(src: Path) -> None:
    path = log(src / "a", {s: float(s) for s in range(20)})
    log(src / "b", {0: 1.0})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    report, runs = read("tensorboard", src, LOSS)
    assert list(runs) == ["b"]
    (what,) = report.skipped["a damaged event file"]
    assert what.startswith(f"a: {path.name} is damaged after ")
    shutil.rmtree(src / "b")
    with pytest.raises(DataError, match=r"no run was found; 1 left out: a damaged event file"):
        read("tensorboard", src, LOSS)


def test_empty_and_foreign_folders(src: Path) -> None:
    with pytest.raises(DataError, match="logs: holds no event file"):
        read("tensorboard", src, LOSS)
    (src / "events.out.tfevents.1.host").touch()
    with pytest.raises(DataError, match="no run was found; 1 left out: no value of 'val/loss'"):
        read("tensorboard", src, LOSS)
    log(src / "a", {0: 1.0}, tag="loss")
    with pytest.raises(DataError, match="nothing was logged as 'val/loss'; there is 'loss'"):
        read("tensorboard", src, LOSS)


def test_one_file(src: Path) -> None:
    path = log(src / "a", {0: 1.0, 1: 2.0})
    _, runs = read("tensorboard", path, LOSS)
    assert runs[path.name].t.tolist() == [0, 1]


def test_without_tensorboard(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(src / "a", {0: 1.0})
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.compat.proto", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "metalcx\[tensorboard\]"'):
        read("tensorboard", src, LOSS)
