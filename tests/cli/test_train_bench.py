"""Meta-train and bench: what the command hands to the library, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import metalcx as mx
from metalcx import hub
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.forecasters import LatentGraphODE, RankNet

SHORT = ("--episodes", "1", "--steps", "3")


@pytest.fixture
def trained(monkeypatch):
    """Stands for the training itself: notes its arguments, leaves a checkpoint, returns an untrained model."""
    from metalcx.forecasters._expert_gate import ExpertGate

    calls = []

    def meta_train(tasks, work, config, workers, progress):
        calls.append((tasks, work, config, workers))
        work.mkdir(parents=True, exist_ok=True)
        (work / "checkpoint.safetensors").write_bytes(b"")
        progress(1, 1, "meta-training")
        if config.train.steps == 13:
            raise KeyboardInterrupt
        return ExpertGate()

    monkeypatch.setattr("metalcx.transfer.meta_train", meta_train)
    return calls


def test_a_family_is_held_out_and_the_model_says_what_it_learned_from(mini, good, trained):
    said = json.loads(
        good("meta-train", "--corpus", "mini", "--holdout", "Wine", "--out", "mine", "--seed", 5, "--json")
    )
    ((tasks, work, config, workers),) = trained
    assert [t.name for t in tasks] == ["mini/digits"]
    assert (config.algorithm, config.train.seed, config.pool.seed, workers) == ("episodic", 5, 5, 1)
    known = hub.describe("mine")
    assert said["source_families"] == known["metrics"]["source_families"] == ["digits"]
    assert known["metrics"]["held_out_families"] == ["wine"]
    assert "mini: CC0-1.0" in known["card"]
    assert "held out of training: wine" in known["card"]
    assert isinstance(mx.load("./mine"), mx.Forecaster)
    assert not work.exists(), "a finished training leaves nothing but the model"


@pytest.mark.parametrize("algorithm", ["maml", "metasgd", "anil"])
def test_the_algorithm_and_sizes_are_handed_on(mini, good, trained, algorithm):
    good("meta-train", "--corpus", "mini", "--out", "mine", "--algorithm", algorithm, "--steps", 7, "--workers", 2)
    ((_, _, config, workers),) = trained
    assert (config.algorithm, config.train.steps, config.pool.with_support, workers) == (algorithm, 7, True, 2)


def test_a_latent_graph_ode_is_really_trained_and_forecasts(mini, good, bad):
    encoder = new_encoder(EncoderConfig("gin", hidden=4, layers=2))
    hub.save_encoder(encoder, "reader", name="reader")
    options = (
        "--corpus",
        "mini",
        "--holdout",
        "wine",
        "--model",
        "graph-ode",
        "--encoder",
        "./reader",
        "--size",
        "mini",
        *SHORT,
    )
    said = json.loads(good("meta-train", *options, "--out", "mine", "--json"))
    assert (said["model"], said["encoder"], said["size"]) == ("graph-ode", "./reader", "mini")
    assert hub.describe("mine")["card"].startswith("# mine\n\nMeta-trained with metalcx (graph-ode, episodic, 3 steps")
    assert isinstance(mx.load("./mine"), LatentGraphODE)
    common = ("--curves", "runs.csv", "--metric", "val_loss:min:0")
    good("adapt", "./mine", *common, "--out", "adapted")
    assert "q0.975" in good("forecast", "./adapted", *common, "--at", 20)
    line = bad("meta-train", "--corpus", "mini", "--out", "x", "--model", "graph-ode", "--algorithm", "maml")
    assert "--algorithm maml: a graph-ode is trained by plain episodes" in line
    line = bad("meta-train", "--corpus", "mini", "--out", "x", "--size", "mini")
    assert "--size mini: only a graph-ode has it" in line
    assert "--encoder: an expert-gate reads no architectures" in bad(
        "meta-train", *options[:4], "--encoder", "e", "--out", "x"
    )


def test_a_ranker_is_really_trained_and_forecasts(mini, good, bad):
    options = ("--corpus", "mini", "--holdout", "wine", "--model", "rank-net", *SHORT)
    said = json.loads(good("meta-train", *options, "--out", "mine", "--json"))
    assert (said["model"], said["source_families"]) == ("rank-net", ["digits"])
    assert isinstance(mx.load("./mine"), RankNet)
    assert "q0.975" in good("forecast", "./mine", "--curves", "runs.csv", "--metric", "val_loss:min:0", "--at", 20)
    line = bad("meta-train", "--corpus", "mini", "--out", "x", "--model", "rank-net", "--algorithm", "anil")
    assert "--algorithm anil: a rank-net is trained by plain episodes" in line


def test_a_killed_training_is_kept_and_gone_on_with_on_request(mini, call, good, trained):
    killed = call("meta-train", "--corpus", "mini", "--out", "mine", "--steps", 13)
    assert (killed.exit_code, killed.stderr) == (130, "metalcx: interrupted\n")
    assert Path("mine.work/checkpoint.safetensors").exists()
    assert not Path("mine").exists()
    refused = call("meta-train", "--corpus", "mini", "--out", "mine", "--steps", 3)
    assert refused.exit_code == 2
    assert "mine.work: holds a training that is not finished; go on with --resume" in refused.stderr
    good("meta-train", "--corpus", "mini", "--out", "mine", "--steps", 3, "--resume")
    assert sorted(p.name for p in Path().iterdir()) == ["mine", "runs.csv"]


def test_errors_come_before_the_work(mini, bad, trained):
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    assert "full: holds 'notes.txt'" in bad("meta-train", "--corpus", "mini", "--out", "full")
    assert "'mnist'" in bad("meta-train", "--corpus", "mini", "--holdout", "mnist", "--out", "mine")
    line = bad("meta-train", "--corpus", "mini", "--holdout", "wine", "--holdout", "digits", "--out", "mine")
    assert "hold out less" in line
    assert "neither a corpus folder nor a named corpus" in bad("meta-train", "--corpus", "none", "--out", "mine")
    line = bad("meta-train", "--corpus", "mini", "--corpus", str(mini), "--out", "mine")
    assert "--corpus: 'mini' given more than once" in line
    assert trained == []


@pytest.mark.slow
def test_a_real_training_ends_in_a_model_that_forecasts(mini, good):
    good("meta-train", "--corpus", "mini", "--holdout", "wine", "--out", "mine", *SHORT)
    rows = good("forecast", "./mine", "--curves", "runs.csv", "--metric", "val_loss:min:0", "--at", 20)
    assert len(rows.splitlines()) == 4


def test_bench_hands_its_options_on(home, good, monkeypatch):
    seen = {}

    def run_transfer(data, out, **options):
        seen.update(options, data=data, out=out)
        return {"gain": 0.1}

    monkeypatch.setattr("metalcx.bench.run_transfer", run_transfer)
    options = ("--forecaster", "med5", "--forecaster", "trees", "--folds", 5, "--seeds", 1, "--workers", 2)
    assert json.loads(good("bench", "transfer", "--data", "d", "--out", "o", *options, "--json")) == {"gain": 0.1}
    assert (seen["data"], seen["out"]) == (Path("d"), Path("o"))
    assert seen["forecasters"] == ["med5", "trees"]
    assert (seen["folds"], seen["seeds"], seen["extra"], seen["workers"]) == (5, 1, False, 2)
    good("bench", "transfer", "--data", "d", "--out", "o")
    assert seen["forecasters"] is None


def test_bench_says_what_it_lacks(home, bad):
    assert "no forecaster is called 'magic'" in bad(
        "bench", "transfer", "--data", ".", "--out", "o", "--forecaster", "magic"
    )
    assert "holds none of the corpora" in bad("bench", "transfer", "--data", ".", "--out", "o", "--forecaster", "med5")
