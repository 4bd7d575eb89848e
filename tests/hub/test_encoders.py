"""Encoders on disk: what is saved comes back, forecasters and encoders are told apart, and damage is named."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from metalcx import hub
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import ModelError
from metalcx.graphs import ArchGraph
from metalcx.hub._folder import FILES

GRAPH = ArchGraph(
    ({"op": "input"}, {"op": "conv", "kernel": 3}, {"op": "relu"}, {"op": "output"}), ((0, 1), (1, 2), (2, 3))
)


@pytest.fixture(params=["gin", "gated-gcn", "flow"])
def saved(request, tmp_path):
    encoder = new_encoder(EncoderConfig(request.param, hidden=8, layers=2), seed=1)
    hub.save_encoder(encoder, tmp_path / "mine", name="mine", card="# Mine", metrics={"tau": 0.5})
    return encoder, tmp_path / "mine"


def test_an_encoder_comes_back(saved):
    encoder, path = saved
    again = hub.load_encoder(path)
    assert (again.config, type(again), again.training) == (encoder.config, type(encoder), False)
    np.testing.assert_array_equal(again.encode([GRAPH]), encoder.encode([GRAPH]))
    assert sorted(p.name for p in path.iterdir()) == sorted(FILES)
    known = hub.describe(path)
    assert (known["class"], known["card"], known["metrics"]) == ("GraphEncoder", "# Mine\n", {"tau": 0.5})


def test_forecasters_and_encoders_are_told_apart(saved, base):
    with pytest.raises(ModelError, match="encoder of architectures and forecasts nothing; open it with load_encoder"):
        hub.load(saved[1])
    with pytest.raises(ModelError, match="a Tiny is no encoder of architectures; open it with load"):
        hub.load_encoder(base)


def test_shipped_encoders_are_found_by_name(saved, shelf):
    hub.save_encoder(saved[0], shelf / "pretrained" / "tiny-encoder", name="tiny-encoder")
    np.testing.assert_array_equal(hub.load_encoder("tiny-encoder").encode([GRAPH]), saved[0].encode([GRAPH]))
    assert [model["name"] for model in hub.list_models()] == ["tiny-encoder"]
    assert "saved without a card" in hub.describe("tiny-encoder")["card"]


def test_what_does_not_fit_or_is_no_number_is_refused(saved, tmp_path):
    encoder, path = saved
    config = json.loads((path / "config.json").read_text())
    config["config"]["hidden"] = 9
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"config.json: tensors .* are missing, unknown or of another shape.*; copy the"
    ):
        hub.load_encoder(path)
    config["config"]["kind"] = "telepathy"
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no encoder of kind 'telepathy'"):
        hub.load_encoder(path)
    with torch.no_grad():
        next(encoder.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="hold NaN or infinity"):
        hub.save_encoder(encoder, tmp_path / "other", name="other")
    assert not (tmp_path / "other").exists()


def test_the_hub_itself_loads_no_torch():
    code = "import sys, metalcx.hub; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
