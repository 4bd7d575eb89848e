"""A folder that is damaged, foreign or hostile is refused in one sentence, and nothing of it runs."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from metalcx import hub
from metalcx.errors import ModelError
from metalcx.hub._folder import FORMAT, read_folder


def edit(folder: Path, **changes: object) -> None:
    """Change keys of `config.json`; None removes one."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def forge(folder: Path, **tensors: np.ndarray) -> None:
    """Replace the tensors and make `config.json` agree."""
    import hashlib

    save_file(tensors, folder / "model.safetensors")
    declared = {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in tensors.items()}
    edit(folder, tensors=declared, sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())


def refused(path: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        hub.load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    assert "there is no such folder" in refused(tmp_path / "nothing")
    assert "file.txt: is a file and not a model" in refused(tmp_path / "file.txt")
    assert "empty: holds no config.json" in refused(tmp_path / "empty")
    assert "no model of that name" in refused("no-such-model")
    assert "there is no such folder" in refused("../no-such-model")


@pytest.mark.parametrize("keep", [0, 5, 20, 0.5, 0.9, -1])
def test_a_tensor_file_cut_short_says_so(base, keep):
    path = base / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    assert "model.safetensors: is cut short" in refused(base)


def test_a_changed_byte_is_noticed(base):
    path = base / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    assert "its sha256 is not the one in config.json" in refused(base)


def test_junk_and_giant_headers_are_no_tensor_file(base):
    path = base / "model.safetensors"
    path.write_bytes(b"\xff" * 100)
    assert "is no tensor file" in refused(base)
    path.write_bytes((50).to_bytes(8, "little") + b"[" * 50)
    assert "model.safetensors: is not whole, plain JSON" in refused(base)
    path.write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)
    assert "model.safetensors: is not whole, plain JSON" in refused(base)
    path.write_bytes((2).to_bytes(8, "little") + b"[]")
    assert "the header is not that of a tensor file" in refused(base)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_links_and_pipes_are_refused_without_being_followed(base, name, tmp_path):
    whole = (base / name).read_bytes()
    (base / name).unlink()
    assert ("holds no config.json" if name == "config.json" else f"{name}: the file is missing") in refused(base)
    (tmp_path / "secret").write_bytes(whole)
    (base / name).symlink_to(tmp_path / "secret")
    assert f"{name}: is a symbolic link" in refused(base)
    (base / name).unlink()
    os.mkfifo(base / name)
    assert f"{name}: is no regular file" in refused(base)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not whole, plain JSON"),
        ('{"format": "metalcx-model/1", "na', "is not whole, plain JSON"),
        ("[" * 100_000, "is not whole, plain JSON"),
        ('{"format": NaN}', "NaN is no JSON"),
        ("[]", "names no format"),
        ("{}", "names no format"),
        ('{"format": "metalcx-model/2"}', f"'metalcx-model/2' is not the one .*{FORMAT}"),
        (f'{{"format": "{FORMAT}"}}', "'name' is missing"),
    ],
)
def test_a_config_that_is_damaged_or_of_another_format(base, text, reason):
    (base / "config.json").write_text(text)
    with pytest.raises(ModelError, match=f"config.json: .*{reason}"):
        hub.load(base)


def test_a_config_too_long_is_not_read(base):
    with (base / "config.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "more than the" in refused(base)


@pytest.mark.parametrize("name", ["Nope", "os:system", "metalcx.errors:MetalcxError", "builtins.eval", "__import__"])
def test_only_registered_classes_are_built(base, name):
    edit(base, **{"class": name})
    assert f"class {name!r} is not one that this version of metalcx knows" in refused(base)


def test_tensors_are_held_against_the_declaration(base):
    declared = json.loads((base / "config.json").read_text())["tensors"]
    edit(base, tensors={})
    assert "must not hold tensor 'weights'" in refused(base)
    edit(base, tensors=declared | {"more": {"dtype": "float32", "shape": [1]}})
    assert "lacks tensor 'more'" in refused(base)
    edit(base, tensors={"weights": {"dtype": "float32", "shape": [3]}})
    assert "tensor 'weights' is {'dtype': 'float32', 'shape': [2]}" in refused(base)
    edit(base, tensors={"weights": {"dtype": "float64", "shape": [2]}})
    assert "config.json declares {'dtype': 'float64'" in refused(base)


def test_weights_that_are_not_finite_are_refused(base):
    forge(base, weights=np.array([1.0, np.nan], dtype=np.float32))
    assert "weights 'weights' hold NaN or infinity" in refused(base)


def test_a_config_and_tensors_that_make_no_model(base):
    forge(base, other=np.zeros(2))
    assert "do not make a Tiny (KeyError: 'weights')" in refused(base)
    edit(base, config={"width": 1, "expert": 2})
    forge(base, weights=np.zeros(2))
    assert len(hub.load(base).support) == 0


def test_another_base_under_the_same_name_is_noticed(adapted, base, tiny):
    hub.save(tiny.Tiny(width=0.3), base, name="tiny-base")
    assert "is not the model that" in refused(adapted)
    assert "sha256" in refused(adapted)


def test_white_space_in_the_base_does_not_matter(adapted, base):
    path = base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4).replace("\n", "\r\n"))
    assert len(hub.load(adapted).support) == 6


@pytest.mark.parametrize("name", ["../base", "/etc", "a/b", "", 7, None, "..", "x\n"])
def test_base_names_that_lead_elsewhere_are_refused(adapted, name):
    config = json.loads((adapted / "config.json").read_text())
    edit(adapted, base=config["base"] | {"name": name, "path": None})
    assert "is no name of a base model" in refused(adapted)


def test_a_base_path_can_lead_only_to_the_model_that_was_adapted(adapted, base, tiny):
    hub.save(tiny.Tiny(width=9.0), base.parent / "other", name="tiny-base")
    config = json.loads((adapted / "config.json").read_text())
    edit(adapted, base=config["base"] | {"path": "../other"})
    assert "is not the model that" in refused(adapted)
    edit(adapted, base=config["base"] | {"path": "../adapted"})
    assert "is itself adapted" in refused(adapted)
    edit(adapted, base=config["base"] | {"path": "\0"})
    assert "its base 'tiny-base' is not" in refused(adapted)
    edit(adapted, base=config["base"] | {"sha256": None})
    assert "says neither which base" in refused(adapted)


@pytest.mark.parametrize(
    "change",
    [
        {"ids": ["r0"]},
        {"ids": 3},
        {"metric": {"name": "acc", "goal": "sideways"}},
        {"metric": {"name": "acc", "goal": "max", "surprise": 1}},
        {"values": ["acc", "loss"]},
        {"status": ["done"] * 6},
        {"config": [{"name": "lr", "dtype": "datetime64[ns]", "values": [1] * 6}]},
        {"config": [{"name": "lr", "dtype": "float64", "values": [1]}]},
        {"config": [{"name": "lr", "dtype": "int8", "values": [1000] * 6}]},
        {"config": [[]]},
        {"arch": [None]},
    ],
)
def test_support_curves_that_do_not_fit_are_refused(adapted, change):
    config = json.loads((adapted / "config.json").read_text())
    edit(adapted, support=config["support"] | change)
    assert "support curves do not fit" in refused(adapted) or "rows than the runs" in refused(adapted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_any_file_raises_anything_but_a_model_error(adapted, base, data):
    folder = data.draw(st.sampled_from([adapted, base]))
    name = data.draw(st.sampled_from(["config.json", "model.safetensors"]))
    whole = (folder / name).read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, 40))
    patch = data.draw(st.binary(max_size=40))
    (folder / name).write_bytes(whole[:start] + patch + whole[start + length :])
    try:
        with contextlib.suppress(ModelError):
            hub.load(adapted)
        with contextlib.suppress(ModelError):
            read_folder(base)
    finally:
        (folder / name).write_bytes(whole)
