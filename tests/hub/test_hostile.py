"""Folders made to do harm: sizes that fill the memory, steps without end, keys that say two things, odd values."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metalcx as mx
from metalcx import hub
from metalcx._resources import bundled
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import ModelError
from metalcx.forecasters import ExpertGate, LatentGraphODE, RankNet
from metalcx.forecasters._gate_network import GateConfig
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._rank_network import RankConfig

SMALL = OdeConfig(gate=GateConfig(members=1, width=8, depth=1), latent=4, hidden=8, heads=2)
MAKERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "ExpertGate": (lambda path: hub.save(ExpertGate(), path, name="gate"), hub.load),
    "LatentGraphODE": (lambda path: hub.save(LatentGraphODE(SMALL), path, name="ode"), hub.load),
    "RankNet": (lambda path: hub.save(RankNet(RankConfig(channels=4, hidden=8)), path, name="rank"), hub.load),
    "GraphEncoder": (
        lambda path: hub.save_encoder(new_encoder(EncoderConfig("gin", hidden=8, layers=2)), path, name="encoder"),
        hub.load_encoder,
    ),
    "TransferModel": (lambda path: shutil.copytree(bundled("pretrained", "metalcx-suggest"), path), hub.load_priors),
}


def config_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text()))


def refused(load: Callable[[Path], object], folder: Path, **changes: Any) -> str:
    """The reason, given soon and in one line."""
    (folder / "config.json").write_text(json.dumps(config_of(folder) | changes))
    start = time.process_time()
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert time.process_time() - start < 5
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "size", "value", "reason"),
    [
        ("ExpertGate", "width", 10**9, "width is 1000000000 in config.json, too large"),
        ("ExpertGate", "width", 40_000, "of another shape|too large"),
        ("ExpertGate", "depth", 10**9, "depth is 1000000000 in config.json, too large"),
        ("ExpertGate", "members", 10**12, "too large"),
        ("LatentGraphODE", "hidden", 10**9, "too large"),
        ("LatentGraphODE", "latent", 1000, "of another shape|too large"),
        ("LatentGraphODE", "method", "symplectic", "method is one of rk4"),
        ("RankNet", "channels", 10**9, "too large"),
        ("RankNet", "hidden", 2000, "of another shape|too large"),
    ],
)
def test_sizes_that_the_tensors_do_not_have_take_no_memory(tmp_path, kind, size, value, reason):
    make, load = MAKERS[kind]
    make(tmp_path / "model")
    config = config_of(tmp_path / "model")["config"]
    import re

    assert re.search(
        reason, refused(load, tmp_path / "model", config=config | {"network": config["network"] | {size: value}})
    )


@pytest.mark.parametrize(("size", "value"), [("hidden", 10**9), ("hidden", 1500), ("layers", 10**9)])
def test_an_encoder_of_other_sizes_than_its_tensors(tmp_path, size, value):
    make, load = MAKERS["GraphEncoder"]
    make(tmp_path / "model")
    said = refused(load, tmp_path / "model", config=config_of(tmp_path / "model")["config"] | {size: value})
    assert "too large" in said or "of another shape" in said


def test_gradient_steps_without_end(tmp_path):
    make, load = MAKERS["ExpertGate"]
    make(tmp_path / "model")
    config = config_of(tmp_path / "model")["config"]
    inner = config["inner"] | {"candidates": [10**9]}
    assert "steps are 0 to 10000" in refused(load, tmp_path / "model", config=config | {"inner": inner})


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in nested dicts and lists."""
    if isinstance(value, dict | list) and at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))
    if not isinstance(value, dict | list):
        yield at


@pytest.mark.parametrize("kind", MAKERS)
def test_any_value_in_any_place_is_refused_or_does_no_harm(tmp_path, kind):
    make, load = MAKERS[kind]
    make(tmp_path / "model")
    whole = config_of(tmp_path / "model")
    spots = [p for p in places(whole) if p[0] != "tensors"]
    rng = random.Random(0)
    odd = [
        None,
        -1,
        0,
        10**9,
        10**400,
        1e308,
        True,
        "x" * 2000,
        "../../etc/passwd",
        "os:system",
        [],
        [1] * 5,
        {},
        {"a": 1},
    ]
    for _ in range(10 if kind == "TransferModel" else 40):
        changed = json.loads(json.dumps(whole))
        place = rng.choice(spots)
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = rng.choice(odd)
        (tmp_path / "model" / "config.json").write_text(json.dumps(changed))
        start = time.process_time()
        with contextlib.suppress(ModelError):
            load(tmp_path / "model")
        assert time.process_time() - start < 5, (place, inner[place[-1]])


@pytest.mark.parametrize("text", ['"name": "a", "name": "b"', '"config": {"width": 1, "width": 2}'])
def test_keys_that_stand_there_twice(base, text):
    path = base / "config.json"
    path.write_text(path.read_text().replace("{", "{" + text + ",", 1))
    with pytest.raises(ModelError, match="stands there twice"):
        hub.load(base)


def test_a_header_that_names_a_tensor_twice(base):
    entry = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    header = f'{{"weights":{entry},"weights":{entry.replace("[0,8]", "[8,16]")}}}'.encode()
    raw = struct.pack("<Q", len(header)) + header + np.arange(4, dtype=np.float32).tobytes()
    (base / "model.safetensors").write_bytes(raw)
    config = config_of(base) | {"sha256": hashlib.sha256(raw).hexdigest()}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="the key 'weights' stands there twice"):
        hub.load(base)


def test_files_of_gigabytes_are_not_read(base):
    for name, reason in (("model.safetensors", "more than the 1073741824"), ("config.json", "more than the 67108864")):
        os.truncate(base / name, 1 << 40)  # a hole: it takes no room on the disk
        with pytest.raises(ModelError, match=reason):
            hub.load(base)


@pytest.mark.parametrize("number", ["1" * 5000, "1e400", "-1e400", "NaN", "Infinity"])
def test_numbers_that_are_none(base, number):
    text = json.dumps(config_of(base)).replace('"width": 0.2', f'"width": {number}')
    (base / "config.json").write_text(text)
    with pytest.raises(ModelError, match="is not whole, plain JSON"):
        hub.load(base)


def test_a_folder_reached_by_a_link_is_read_and_never_written_through(base, tiny, tmp_path):
    before = {p.name: p.read_bytes() for p in base.iterdir()}
    (tmp_path / "link").symlink_to(base)
    assert len(hub.load(tmp_path / "link").support) == 0
    (tmp_path / "files").mkdir()
    for name in before:
        (tmp_path / "files" / name).symlink_to(base / name)
    with pytest.raises(ModelError, match="is a symbolic link"):
        hub.load(tmp_path / "files")
    with pytest.raises(ModelError, match="nothing but a model is replaced"):
        hub.save(tiny.Tiny(width=0.7), tmp_path / "files", name="other")
    assert {p.name: p.read_bytes() for p in base.iterdir()} == before


def test_a_base_that_was_changed_under_its_delta_is_noticed_whatever_was_changed(adapted, base):
    """One weight, and `config.json` made to agree: the whole is another model than was adapted."""
    config = config_of(base)
    raw = bytearray((base / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (base / "model.safetensors").write_bytes(raw)
    (base / "config.json").write_text(json.dumps(config | {"sha256": hashlib.sha256(raw).hexdigest()}))
    assert len(hub.load(base).support) == 0
    with pytest.raises(ModelError, match="is not the model that"):
        hub.load(adapted)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"base": {"path": "../" + "9" * 5000}}, "its base 'tiny-base' is not at"),
        ({"base": {"path": "../\0"}}, "its base 'tiny-base' is not at"),
        ({"config": {"steps": 2}}, "do not make a Tiny .AssertionError"),
        ({"config": []}, "'config' is missing or no dict"),
        ({"support": {"time_unit": "x"}}, "support curves do not fit"),
    ],
)
def test_a_delta_that_points_nowhere(adapted, change, reason):
    whole = config_of(adapted)
    merged = {k: whole[k] | v if k == "base" else v for k, v in change.items()}
    (adapted / "config.json").write_text(json.dumps(whole | merged))
    with pytest.raises(ModelError, match=reason):
        hub.load(adapted)


def test_a_shipped_name_cannot_lead_out_of_its_shelf(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    away = ("../metalcx-base", "metalcx-base/../metalcx-base", "/metalcx-base", "..", "metalcx-base\0", "", "9" * 5000)
    for name in away:
        with pytest.raises(ModelError, match=r"no such folder|is no path|holds no config|no model of that name"):
            mx.load(name)
