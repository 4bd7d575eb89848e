"""Pretrain-encoder: from corpora with graphs to an encoder in a folder, killed and gone on with."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import metalcx as mx
from metalcx import graphs, hub
from metalcx.corpora import open_corpus, write_corpus
from metalcx.graphs import ArchGraph

QUICK = ("--hidden", 8, "--epochs", 3)


def graph_of(ops: list[str], count: int | None = None) -> ArchGraph:
    """A chain; with `count`, its operations have as many parameters each."""
    nodes = [{"op": op} | ({"params": count} if count else {}) for op in ops]
    edges = tuple((i, i + 1) for i in range(len(ops) + 1))
    return ArchGraph(({"op": "input"}, *nodes, {"op": "output"}), edges)


def write(name: str, graphs: list[ArchGraph | None], redistributable: bool = True) -> None:
    """A corpus of one task and one run an architecture."""
    archs = [f"a{i}" for i in range(len(graphs))]
    runs = pd.DataFrame({"run": archs, "arch": archs})
    table = pd.DataFrame({"run": archs, "t": 1.0, "value": 0.5})
    metric = mx.Metric("acc", "max", 0.0, 1.0)
    tasks = pd.DataFrame([{"task": "t", "dataset": "d", "family": "f", "domain": "image", "metric": "acc"}])
    texts = [None if graph is None else graph.to_json() for graph in graphs]
    write_corpus(
        Path(name),
        tasks,
        [("t", mx.Curves.from_frame(table, metric, runs))],
        pd.DataFrame({"arch": archs, "format": "made-up", "graph": texts}),
        name=name,
        time_unit="epoch",
        metrics=(metric,),
        licence="CC0-1.0",
        citation="none",
        redistributable=redistributable,
    )


CELLS = [graph_of(ops) for ops in (["nor_conv_3x3"], ["nor_conv_1x1"], ["avg_pool_3x3", "nor_conv_3x3"])]
NETS = [graph_of(["linear"] * n, 5) for n in (1, 2, 4, 4)]


@pytest.fixture
def corpora(home):
    write("cells", CELLS)
    # The same graph twice, and an architecture without one.
    write("nets", [*NETS, None], redistributable=False)
    write("bare", [graph_of(["relu"]), graph_of(["relu", "relu"])])
    write("none", [None, None])


def test_an_encoder_learns_from_several_corpora_and_says_so(corpora, good):
    sources = ("--corpus", "cells", "--corpus", "nets")
    said = json.loads(good("pretrain-encoder", *sources, "--out", "mine", *QUICK, "--json"))
    assert said["sources"] == {"cells": 3, "nets": 3}
    assert said["proxies"] == {"cells": "synflow", "nets": "parameters"}
    assert (said["graphs"], said["encoder"], said["learned"], said["epochs"]) == (6, "gated-gcn", "both", 3)
    assert said["surrogate_loss"] > 0
    assert said["ranking_loss"] > 0
    encoder = hub.load_encoder("./mine")
    assert encoder.encode(CELLS).shape == (3, 8)
    card = hub.describe("./mine")["card"]
    assert "- nets: 3 graphs, proxy parameters. CC0-1.0." in card
    assert "**Not to be passed on**: nets allow" in card
    assert not Path("mine.work").exists()


def test_a_killed_pre_training_is_gone_on_with_on_request(corpora, call, good, monkeypatch):
    from metalcx.encoders._pretraining import Training

    good("pretrain-encoder", "--corpus", "cells", "--out", "whole", "--hidden", 8, "--epochs", 12)
    real = Training.epoch

    def dies(training, number):
        if number == 11:
            raise KeyboardInterrupt
        return real(training, number)

    monkeypatch.setattr(Training, "epoch", dies)
    command = ("pretrain-encoder", "--corpus", "cells", "--out", "mine", "--hidden", 8, "--epochs", 12)
    assert (call(*command).exit_code, Path("mine").exists()) == (130, False)
    monkeypatch.setattr(Training, "epoch", real)
    refused = call(*command)
    assert (refused.exit_code, "go on with --resume" in refused.stderr) == (2, True)
    good(*command, "--resume")
    whole, mine = hub.load_encoder("./whole"), hub.load_encoder("./mine")
    np.testing.assert_array_equal(whole.encode(CELLS), mine.encode(CELLS))
    assert not Path("mine.work").exists()


def test_cells_need_no_corpus(home, good, bad, monkeypatch):
    whole = graphs.all_nasbench201
    monkeypatch.setattr(graphs, "all_nasbench201", lambda: islice(whole(), 15_600, None))
    said = json.loads(good("pretrain-encoder", "--cells", "nasbench201", "--out", "mine", *QUICK, "--json"))
    assert said["proxies"] == {"nasbench201": "synflow"}
    assert 0 < said["sources"]["nasbench201"] <= 25, "of those that compute the same, one"
    assert "- nasbench201: " in hub.describe("./mine")["card"]
    assert "give --corpus DIR or --cells SPACE" in bad("pretrain-encoder", "--out", "other")


def test_options_are_handed_on(corpora, good):
    options = ("--encoder", "gin", "--learn", "flow", "--seed", 3, *QUICK)
    said = json.loads(good("pretrain-encoder", "--corpus", "bare", "--out", "mine", *options, "--json"))
    assert (said["proxies"], said["ranking_loss"], said["seed"]) == ({"bare": None}, 0.0, 3)
    assert hub.load_encoder("./mine").config.kind == "gin"


def test_errors_come_before_the_work(corpora, bad):
    assert "none: no architecture has a graph" in bad("pretrain-encoder", "--corpus", "none", "--out", "mine")
    assert "--learn: no zero-cost proxy is known" in bad("pretrain-encoder", "--corpus", "bare", "--out", "mine")
    assert "given more than once" in bad("pretrain-encoder", "--corpus", "bare", "--corpus", "bare", "--out", "mine")
    if not torch.cuda.is_available():
        assert "no device 'cuda'" in bad("pretrain-encoder", "--corpus", "cells", "--out", "mine", "--device", "cuda")
    assert "bare: holds " in bad("pretrain-encoder", "--corpus", "bare", "--out", "bare"), "a corpus is no model"
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    assert "full: holds 'notes.txt'" in bad("pretrain-encoder", "--corpus", "cells", "--out", "full")
    assert not Path("mine").exists()
    assert len(open_corpus("./bare").architectures) == 2, "and is still there"


def test_bench_encoder_hands_its_options_on(home, good, monkeypatch):
    seen = {}

    def run_encoder(data, out, **options):
        seen.update(options, data=data, out=out)
        return [{"space": "s", "table": "t", "row": "gin/none", "runs": 2, "tau": 0.5}]

    monkeypatch.setattr("metalcx.bench.run_encoder", run_encoder)
    options = ("--space", "s", "--row", "gin/none", "--epochs", 3, "--tune", 4, "--hidden", 5, "--runs", 2)
    command = ("bench", "encoder", "--data", "d", "--out", "o")
    more = ("--by-row", "--across", "--further", "f", "--workers", 2, "--device", "cuda", "--table", "t@1")
    rows = json.loads(good(*command, *options, *more, "--json"))
    assert rows[0]["tau"] == 0.5
    effort = seen["effort"]
    assert (effort.pretrain.epochs, effort.finetune.epochs, effort.hidden, effort.device) == (3, 4, 5, "cuda")
    assert (seen["across"], seen["further"], seen["workers"], seen["tables"]) == (True, ["f"], 2, ["t@1"])
    assert (seen["spaces"], seen["methods"], seen["by_group"], seen["runs"]) == (["s"], ["gin/none"], False, 2)
    assert "gin/none" in good(*command)
    assert (seen["spaces"], seen["methods"], seen["by_group"], seen["runs"]) == (None, None, True, 9)
    assert (seen["across"], seen["further"], seen["workers"]) == (False, (), 1)


def test_bench_encoder_times_encoders(corpora, good):
    rows = json.loads(good("bench", "encoder", "--data", ".", "--out", "o", "--space", "cells", "--timing", "--json"))
    assert {row["encoder"] for row in rows} == {"gin", "gated-gcn", "flow", "counts", "surrogate"}
    assert [path.name for path in Path("o").iterdir()] == ["timing.csv"], "for the page of a later call"
