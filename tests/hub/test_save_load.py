"""What is saved comes back: the same forecasts, the same curves, the same files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx import hub
from metalcx.errors import ModelError
from metalcx.forecasters import Baseline
from metalcx.hub._folder import FILES

FILES_SORTED = sorted(FILES)


def files(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_a_model_comes_back_with_its_weights_and_forecasts(base, tiny, curves):
    model = hub.load(base)
    assert type(model) is tiny.Tiny
    assert model.width == 0.2
    assert model.weights.dtype == np.float32
    assert model.weights.flags.writeable
    expected = tiny.Tiny(width=0.2).adapt(curves.finished()).forecast(curves.running(), at=20)
    found = model.adapt(curves.finished()).forecast(curves.running(), at=20)
    np.testing.assert_array_equal(found.values, expected.values)


def test_a_folder_holds_the_four_files_and_nothing_stays_beside_it(base):
    assert files(base) == FILES_SORTED
    assert files(base.parent) == ["base"]
    assert json.loads((base / "metrics.json").read_text()) == {"error": 0.5}
    assert "sources" in (base / "README.md").read_text()


def test_saving_twice_gives_the_same_bytes(base, tiny, tmp_path):
    hub.save(tiny.Tiny(width=0.2), tmp_path / "again", name="tiny-base", metrics={"error": 0.5})
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (base / name).read_bytes()


def test_an_adapted_model_comes_back_from_its_delta_and_base(adapted, base, curves):
    expected = hub.load(base).adapt(curves.finished()).forecast(curves.running(), at=[15, 20])
    found = hub.load(adapted).forecast(curves.running(), at=[15, 20])
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.mean, expected.mean)


def test_the_base_of_an_adapted_model_is_as_it_was_before(adapted, base, curves):
    fresh = hub.load(base).forecast(curves.running(), at=30)
    for path in (adapted, base):
        np.testing.assert_array_equal(hub.load_base(path).forecast(curves.running(), at=30).values, fresh.values)
    assert not np.array_equal(hub.load(adapted).forecast(curves.running(), at=30).values, fresh.values)


def test_a_delta_holds_no_weight_of_its_base_and_names_it(adapted, base):
    config = json.loads((adapted / "config.json").read_text())
    assert set(config["base"]) == {"name", "path", "sha256"}
    assert config["base"]["name"] == "tiny-base"
    assert config["base"]["path"] == "../base"
    assert config["base"]["sha256"] == hub.describe(base)["sha256"]
    assert "weights" not in config["tensors"]
    assert (adapted / "model.safetensors").stat().st_size < 4000


def test_support_curves_come_back_exactly(adapted, curves):
    found, expected = hub.load(adapted).support.source, curves.finished()
    for name in ("ids", "offsets", "t", "y", "status", "arch"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.metric, found.metrics, found.group, found.time_unit) == (
        expected.metric,
        expected.metrics,
        None,
        None,
    )
    assert np.isinf(found.y).sum() == 1
    pd.testing.assert_frame_equal(found.config, expected.config)


def test_support_keeps_further_metrics_groups_and_units(base, curves, tmp_path):
    loss = mx.Metric("loss", "min")
    rich = replace(
        curves.finished(),
        ids=np.array([1, 2, 3, 4, 5, 6], dtype=object),
        metrics=(curves.metric, loss),
        values={"acc": curves.finished().y, "loss": np.full(len(curves.finished().t), np.nan)},
        group=np.array(list("aabbcc"), dtype=object),
        time_unit="epoch",
    )
    hub.save_adapted(hub.load(base).adapt(rich), base, tmp_path / "rich", name="rich")
    found = hub.load(tmp_path / "rich").support.source
    assert found.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.metrics == (curves.metric, loss)
    assert np.isnan(found.values["loss"]).all()
    assert found.group.tolist() == list("aabbcc")
    assert found.time_unit == "epoch"


def test_base_and_delta_move_together(adapted, base, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for folder in (adapted, base):
        folder.rename(tmp_path / "elsewhere" / folder.name)
    assert len(hub.load(tmp_path / "elsewhere" / "adapted").support) == 6


def test_a_base_that_moved_alone_is_asked_for_and_can_be_named(adapted, base, tmp_path):
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"its base 'tiny-base' is not at '\.\./base' .*base="):
        hub.load(adapted)
    assert len(hub.load(adapted, base=tmp_path / "moved").support) == 6


def test_a_delta_of_a_shipped_model_names_it_and_needs_no_path(adapted, base, curves, tmp_path, shelf):
    shutil.copytree(base, shelf / "pretrained" / "tiny-base")
    model = hub.load("tiny-base").adapt(curves.finished())
    hub.save_adapted(model, "tiny-base", tmp_path / "delta")
    assert json.loads((tmp_path / "delta" / "config.json").read_text())["base"]["path"] is None
    assert len(hub.load(tmp_path / "delta").support) == 6
    (entry,) = hub.list_models()
    assert (entry["name"], entry["class"], entry["parameters"]) == ("tiny-base", "Tiny", 2)
    assert entry["sha256"] == hub.describe(base)["sha256"]
    with pytest.raises(ModelError, match=r"nonsense: no model of that name \(shipped are 'tiny-base'\)"):
        hub.load("nonsense")
    (shelf / "pretrained" / "tiny-base" / "model.safetensors").write_bytes(b"")
    assert "cut short" in hub.list_models()[0]["problem"]
    shutil.rmtree(shelf / "pretrained" / "tiny-base")
    with pytest.raises(ModelError, match="its base 'tiny-base' is not among those that ship"):
        hub.load(tmp_path / "delta")


def test_describe_says_what_an_adapted_model_is(adapted):
    known = hub.describe(adapted)
    assert known["support"] == {"runs": 6, "metric": mx.Metric("acc", "max", 0.0).to_dict()}
    assert known["base"]["name"] == "tiny-base"
    assert known["parameters"] == 1
    assert "6 finished runs" in known["card"]
    json.dumps(known, allow_nan=False)


def test_a_model_is_replaced_whole(base, tiny):
    (base / "README.md").unlink()
    hub.save(tiny.Tiny(width=0.7), base, name="tiny-base", card="# New")
    assert hub.load(base).width == 0.7
    assert files(base) == FILES_SORTED
    assert (base / "README.md").read_text() == "# New\n"
    assert files(base.parent) == ["base"]


def test_an_empty_folder_is_filled(tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    hub.save(tiny.Tiny(), tmp_path / "empty", name="tiny")
    assert hub.load(tmp_path / "empty").width == 0.1


@pytest.mark.parametrize("inside", ["notes.txt", "config.json"])
def test_a_folder_that_is_no_model_is_not_replaced(tiny, tmp_path, inside):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / inside).write_text("{}")
    with pytest.raises(ModelError, match=r"mine: holds .*nothing but a model is replaced"):
        hub.save(tiny.Tiny(), tmp_path / "mine", name="tiny")
    assert files(tmp_path / "mine") == [inside]


def test_a_file_is_not_replaced_and_nothing_is_written_below_one(tiny, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="file: is a file"):
        hub.save(tiny.Tiny(), tmp_path / "file", name="tiny")
    with pytest.raises(ModelError, match=r"below: cannot be written \(.*\); choose"):
        hub.save(tiny.Tiny(), tmp_path / "file" / "below", name="tiny")
    assert (tmp_path / "file").read_text() == "mine"
    assert files(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_the_old_model(base, tiny, monkeypatch):
    write = Path.write_bytes

    def dies(self: Path, data: bytes) -> int:
        if self.name == "README.md":
            write(self, data[:1])
            raise KeyboardInterrupt
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        hub.save(tiny.Tiny(width=0.9), base, name="tiny-base")
    monkeypatch.undo()
    hub.CLASSES["Tiny"] = "metalcx_test_tiny:Tiny"
    try:
        assert hub.load(base).width == 0.2
    finally:
        del hub.CLASSES["Tiny"]
    assert files(base.parent) == ["base"]


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b", "x" * 101])
def test_names_that_a_file_system_would_read_otherwise_are_refused(tiny, tmp_path, name):
    with pytest.raises(ModelError, match="a model cannot be called"):
        hub.save(tiny.Tiny(), tmp_path / "m", name=name)
    assert files(tmp_path) == []


def test_what_cannot_be_saved_is_refused_before_anything_is_written(base, tiny, curves, tmp_path):
    fitted = tiny.Tiny().adapt(curves.finished())
    broken = tiny.Tiny(weights=np.array([1.0, np.nan]))
    unequal = replace(fitted, bias=np.array([1j]))
    strange = curves.finished()
    strange = replace(strange, config=strange.config.assign(lr=[object()] * len(strange)))
    for act, reason in [
        (lambda: hub.save(fitted, tmp_path / "m", name="m"), "save it with save_adapted"),
        (lambda: hub.save(broken, tmp_path / "m", name="m"), "'weights' hold NaN"),
        (lambda: hub.save(Baseline(), tmp_path / "m", name="m"), "a Baseline cannot be saved"),
        (lambda: hub.save(tiny.Tiny(), tmp_path / "m", name="m", metrics={"e": np.nan}), "metrics cannot be written"),
        (lambda: hub.save_adapted(tiny.Tiny(), base, tmp_path / "m"), "adapt it first"),
        (lambda: hub.save_adapted(unequal, base, tmp_path / "m"), "'bias' have a type"),
        (lambda: hub.save_adapted(tiny.Tiny().adapt(strange), base, tmp_path / "m"), "'lr': <object .*cannot be saved"),
        (lambda: hub.save_adapted(fitted, base, base), "is the base itself"),
    ]:
        with pytest.raises(ModelError, match=reason):
            act()
    assert files(tmp_path) == ["base"]


def test_an_adapted_model_is_no_base(adapted, curves, tmp_path):
    model = hub.load(adapted).adapt(curves.finished())
    with pytest.raises(ModelError, match="is itself adapted, from 'tiny-base'; adapt that one"):
        hub.save_adapted(model, adapted, tmp_path / "second")
