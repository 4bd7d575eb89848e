"""Ensembles: no label is set aside for good, and the mean of members ranks better than they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from metalcx.encoders import EncoderConfig, FinetuneConfig, Labelled, finetune_ensemble, new_encoder, standard_ranks
from metalcx.encoders._ensemble import ensemble_jobs
from metalcx.encoders._finetune_many import Lesson
from metalcx.errors import DataError

from .made_graphs import random_cells
from .test_finetune import worth

CELLS = random_cells(120)
KNOWN, TEST = CELLS[:44], CELLS[44:]
LABELS = Labelled(KNOWN, worth(KNOWN))
ENCODER = new_encoder(EncoderConfig("gated-gcn", hidden=16, layers=2, dropout=0.0))
QUICK = FinetuneConfig(epochs=20, rate=5e-3)


def tau(scores) -> float:
    return kendalltau(scores, worth(TEST)).statistic


def test_the_mean_ranks_better_than_its_members_do():
    ensemble = finetune_ensemble(ENCODER, LABELS, QUICK)
    members = ensemble.scores(TEST)
    assert members.shape == (5, len(TEST))
    np.testing.assert_allclose(ensemble.score(TEST), members.mean(0))
    assert tau(ensemble.score(TEST)) > max(0.7, np.mean([tau(own) for own in members]))
    np.testing.assert_allclose(ensemble.score(TEST[3:5]), ensemble.score(TEST)[3:5], rtol=1e-4, atol=1e-5)


def test_it_says_which_of_two_encoders_serves_better():
    blind = new_encoder(ENCODER.config)
    with torch.no_grad():
        for weight in blind.parameters():
            weight.zero_()
    noise = Labelled(KNOWN, np.random.default_rng(0).normal(size=len(KNOWN)))
    good, bad = finetune_ensemble(ENCODER, LABELS, QUICK), finetune_ensemble(ENCODER, noise, QUICK)
    assert good.validated > bad.validated + 0.2
    assert -1 <= bad.validated < 0.7
    assert finetune_ensemble(blind, LABELS, replace(QUICK, epochs=1), members=2).validated < good.validated


def test_members_speak_in_the_same_units():
    """Each in those of its scores of the labelled graphs, so that none outvotes the rest by being loud."""
    ensemble = finetune_ensemble(ENCODER, LABELS, QUICK, members=2)
    said = ensemble.scores(KNOWN)
    np.testing.assert_allclose(said.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(said.std(1), 1, rtol=1e-4)


def test_every_label_is_learned_from_and_validates_once():
    known = Lesson(np.arange(100, 111), np.linspace(0, 1, 11))
    jobs = ensemble_jobs(ENCODER, known, QUICK, members=5)
    for job in jobs:
        (lesson,) = job.lessons
        assert len(job.valid.graphs) == 2
        assert sorted([*lesson.graphs, *job.valid.graphs]) == list(known.graphs)
        for part in (lesson, job.valid):
            np.testing.assert_array_equal(part.values, known.values[part.graphs - 100])
    validated = np.concatenate([job.valid.graphs for job in jobs])
    assert len(np.unique(validated)) == len(validated) == 10
    assert len({job.seed for job in jobs}) == 5
    other = ensemble_jobs(ENCODER, known, replace(QUICK, seed=1), members=5)
    assert [list(job.valid.graphs) for job in other] != [list(job.valid.graphs) for job in jobs]


def test_further_columns_are_read_by_every_member():
    hint = standard_ranks(worth(CELLS))
    ensemble = finetune_ensemble(ENCODER, Labelled(KNOWN, worth(KNOWN), hint[:44]), QUICK, members=2)
    straight, turned = ensemble.scores(TEST, hint[44:]), ensemble.scores(TEST, -hint[44:])
    assert all(tau(a) > tau(b) for a, b in zip(straight, turned, strict=True))
    with pytest.raises(DataError, match="0 further columns; the ranker was trained with 1"):
        ensemble.score(TEST)


@pytest.mark.parametrize(("n", "members"), [(9, 5), (44, 1), (44, 0)])
def test_too_few_graphs_or_members_are_refused(n, members):
    with pytest.raises(DataError, match=f"{n} labelled graphs for {members} members; an ensemble has 2 members"):
        finetune_ensemble(ENCODER, Labelled(KNOWN[:n], worth(KNOWN[:n])), QUICK, members=members)
