"""On a GPU, steps that are recorded and replayed train as on a processor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from metalcx.encoders import EncoderConfig, FinetuneConfig, GraphBatch, PretrainConfig, Ranker, new_encoder
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many, scores_of_all
from metalcx.encoders._pretrain import pretrain_many
from metalcx.encoders._replay import Replay, one_seed

from .made_graphs import random_cells

CELLS = random_cells(90)
WORTH = np.array([sum(node["op"].count("conv") for node in graph.nodes) for graph in CELLS], dtype=float)
PLAIN = EncoderConfig("gated-gcn", hidden=16, layers=2, dropout=0.0)

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_on_a_processor_a_step_is_run_as_it_is():
    step = Replay(lambda pair, c: pair[0] + pair[1] * c, "cpu")
    assert [float(step((torch.tensor(1.0), torch.tensor(2.0)), torch.tensor(c))) for c in (3.0, 4.0)] == [7.0, 9.0]


def test_a_seed_changes_with_each_of_its_parts():
    assert len({one_seed(1), one_seed(2), one_seed(1, 1), one_seed(1, 2), one_seed(2, 1)}) == 5


@on_gpu
def test_pre_training_on_a_gpu_is_that_on_a_processor():
    configs = [PretrainConfig(task=task, epochs=6, batch=32, seed=i) for i, task in enumerate(("both", "flow"))]
    here, there = ([new_encoder(PLAIN, seed) for seed in (0, 1)] for _ in range(2))
    expected = pretrain_many(here, CELLS, configs, proxy=WORTH)
    found = pretrain_many(there, CELLS, configs, proxy=WORTH, device="cuda")
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.encode(CELLS), a.encode(CELLS), rtol=1e-2, atol=1e-2)


@on_gpu
def test_fine_tuning_on_a_gpu_is_that_on_a_processor():
    batch, config = GraphBatch.from_graphs(CELLS), FinetuneConfig(epochs=8, rate=5e-3)
    jobs = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(90)
        train, valid = (Lesson(part, WORTH[part]) for part in (order[:40], order[40:60]))
        jobs.append(Job(Ranker.fresh(new_encoder(PLAIN, seed), config), (train,), valid, seed))
    for dropout in (0.0, 0.1):
        tried = [replace(job, start=_with_dropout(job.start, dropout)) for job in jobs]
        here, there = (finetune_many(batch, tried, config, device=device) for device in ("cpu", "cuda"))
        a, b = scores_of_all(here, batch), scores_of_all(there, batch, device="cuda")
        if not dropout:
            np.testing.assert_allclose(b, a, rtol=5e-2, atol=5e-2)
        assert all(np.corrcoef(x, WORTH)[0, 1] > 0.8 for x in b)


def _with_dropout(ranker: Ranker, share: float) -> Ranker:
    encoder = new_encoder(replace(PLAIN, dropout=share))
    encoder.load_state_dict(ranker.encoder.state_dict())
    return Ranker(encoder, ranker.head)
