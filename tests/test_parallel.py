"""Training in several processes: real ones, started by torchrun, end with what one alone ends with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import corpus
from safetensors.numpy import load_file

from metalcx._parallel import Crew, crew, joined
from metalcx.errors import DataError

TRAIN = ("-m", "metalcx.cli", "meta-train", "--corpus", "source", "--episodes", "2")
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def done(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, f"{err[:2000]} ... {err[-2000:]}"
    return out


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


@pytest.fixture
def home(tmp_path):
    corpus(tmp_path, "source", ["f1", "f2"], n=14)
    return tmp_path


@pytest.mark.parametrize("model", ["expert-gate", "graph-ode", "rank-net"])
def test_two_processes_end_with_the_weights_of_one(home, model):
    options = ("--model", model, "--steps", "12")
    done(start(home, *TRAIN, *options, "--out", "alone"))
    said = done(start(home, *TOGETHER, *TRAIN, *options, "--out", "together"))
    assert said.count("meta-trained on 2 tasks") == 1, "one of them says so"
    one, two = weights(home / "alone"), weights(home / "together")
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=2e-3, atol=2e-4, err_msg=name)
    assert not list(home.glob("*.work"))


@pytest.mark.slow
def test_two_killed_processes_are_gone_on_with(home):
    options = ("--steps", "900")
    done(start(home, *TOGETHER, *TRAIN, *options, "--out", "whole"))
    killed = start(home, *TOGETHER, *TRAIN, *options, "--out", "together")
    checkpoint = home / "together.work" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGTERM)
    killed.communicate(timeout=60)
    assert checkpoint.exists()
    assert not (home / "together").exists(), "it was not finished"
    done(start(home, *TOGETHER, *TRAIN, *options, "--out", "together", "--resume"))
    whole, broken = weights(home / "whole"), weights(home / "together")
    for name, value in whole.items():
        np.testing.assert_array_equal(broken[name], value, err_msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    "options",
    [("--model", "graph-ode"), *(("--algorithm", name) for name in ("episodic", "maml", "metasgd", "anil"))],
)
def test_a_gpu_ends_near_the_weights_of_a_processor(home, options):
    for device in ("cpu", "cuda"):
        done(start(home, *TRAIN, *options, "--steps", "6", "--device", device, "--out", device))
    one, two = weights(home / "cpu"), weights(home / "cuda")
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=5e-2, atol=5e-3, err_msg=name)


def test_alone_everything_is_one_part():
    rows = np.arange(5)
    assert crew() == Crew()
    assert crew().part(rows)[0].tolist() == list(rows)
    crew().wait()
    with joined("meta") as own:
        assert own == crew() == Crew(device="meta")
    assert crew() == Crew()


def test_parts_are_all_of_it_and_their_shares_add_up():
    parts = [Crew(rank, 3).part(np.arange(10)) for rank in range(3)]
    assert sorted(np.concatenate([rows for rows, _ in parts])) == list(range(10))
    assert sum(share for _, share in parts) == pytest.approx(1)
    with pytest.raises(DataError, match="a step of 2 cannot be shared by 3 processes; start fewer"):
        Crew(0, 3).part(np.arange(2))
