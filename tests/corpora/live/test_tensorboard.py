"""Event files are read on from where they ended; cut, damaged or deleted ones break nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from read_logs import read

from metalcx.corpora.importers import _event_file
from metalcx.corpora.live import LiveOptions, live_curves, open_live
from metalcx.curves import Metric

pytest.importorskip("tensorboard", reason="tensorboard is not installed")

LOSS = Metric("val/loss", "min")


@pytest.fixture
def writer(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "logs" / "one", flush_secs=1) as writer:
        yield writer


@pytest.fixture
def source(tmp_path):
    return open_live(str(tmp_path / "logs"), LiveOptions(LOSS))


def log(writer, step, value, tag="val/loss"):
    writer.add_scalar(tag, value, step)
    writer.flush()


def points(source, name="one"):
    t, y, _ = source.runs[name].settled()
    return list(zip(t.tolist(), np.round(y, 5).tolist(), strict=True))


def file_of(writer) -> Path:
    return Path(writer.file_writer.event_writer._file_name)


def test_points_appear_as_they_are_written(writer, source, monkeypatch):
    log(writer, 1, 0.9, "train/loss")
    source.poll()
    assert source.runs == {}
    assert source.notes == ["nothing is logged as 'val/loss' yet; there is 'train/loss'"]
    for step in range(1, 6):
        log(writer, step, 1 / step)
        assert source.poll()
        assert len(points(source)) == step
    assert not source.poll()
    # What was read is not read again.
    taken = []
    fresh = _event_file.EventFile.fresh
    monkeypatch.setattr(_event_file.EventFile, "fresh", lambda self: (taken.append(e) or e for e in fresh(self)))
    log(writer, 6, 0.1)
    source.poll()
    assert len(taken) == 1


def test_it_agrees_with_the_importer(writer, source, tmp_path):
    for step in (1, 2, 3, 2, 4):
        log(writer, step, step / 10)
        source.poll()
    curves, _ = live_curves(source.runs, LOSS, horizon=4.0, time_unit=source.time_unit)
    _, imported = read("tensorboard", tmp_path / "logs", LOSS)
    np.testing.assert_array_equal(curves.t, imported["one"].t)
    np.testing.assert_allclose(curves.y, imported["one"].values["val/loss"])


def test_half_a_record_waits(writer, source):
    log(writer, 1, 0.5)
    path = file_of(writer)
    whole = path.read_bytes()
    log(writer, 2, 0.4)
    longer = path.read_bytes()
    path.write_bytes(longer[: len(whole) + 7])
    source.poll()
    assert points(source) == [(1.0, 0.5)]
    path.write_bytes(longer)
    source.poll()
    assert points(source) == [(1.0, 0.5), (2.0, 0.4)]


def test_a_file_that_was_cut_is_read_anew(writer, source):
    log(writer, 1, 0.5)
    whole = file_of(writer).read_bytes()
    log(writer, 2, 0.4)
    source.poll()
    file_of(writer).write_bytes(whole)
    source.poll()
    assert points(source) == [(1.0, 0.5)]


def test_a_damaged_file_is_named_and_read_again_when_mended(writer, source):
    log(writer, 1, 0.5)
    log(writer, 2, 0.4)
    path = file_of(writer)
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + b"damage" + whole[-6:])
    source.poll()
    assert "is damaged after" in source.notes[0]
    path.write_bytes(whole + b"half")
    source.poll()
    assert points(source) == [(1.0, 0.5), (2.0, 0.4)]
    assert source.notes == []


def test_a_restart_continues_the_run_and_a_deleted_run_is_gone(writer, source, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    log(writer, 1, 0.5)
    log(writer, 2, 0.4)
    source.poll()
    with SummaryWriter(tmp_path / "logs" / "one", filename_suffix=".second") as second:
        log(second, 2, 0.3)
        log(second, 3, 0.2)
        source.poll()
    assert points(source) == [(1.0, 0.5), (2.0, 0.3), (3.0, 0.2)]
    shutil.rmtree(tmp_path / "logs" / "one")
    assert source.poll()
    assert source.runs == {}


def test_hyperparameters_of_a_folder_below(writer, source):
    log(writer, 1, 0.5)
    writer.add_hparams({"lr": 0.1}, {"val/final": 0.5})
    writer.flush()
    source.poll()
    assert set(source.runs) == {"one"}
    assert source.runs["one"].config == {"lr": 0.1}
