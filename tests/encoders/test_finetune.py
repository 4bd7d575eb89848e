"""Fine-tuning: from few labels to an order of graphs never seen, by the epoch that validates best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from metalcx.encoders import (
    EncoderConfig,
    FinetuneConfig,
    GraphBatch,
    Labelled,
    PretrainConfig,
    Ranker,
    finetune,
    new_encoder,
    pretrain,
    standard_ranks,
)
from metalcx.encoders._finetune_many import Job, Lesson, finetune_many, scores_of_all
from metalcx.errors import DataError, ModelError

from .made_graphs import CELL_OPS, CUT_OFF, random_cells

CELLS = random_cells(120)
QUICK = FinetuneConfig(epochs=20, rate=5e-3)
ENCODER = new_encoder(EncoderConfig("gated-gcn", hidden=16, layers=2, dropout=0.0))


def worth(graphs) -> np.ndarray:
    """What a network of such a cell might reach: by its convolutions, and a little less for each pooling."""
    weight = dict(zip(CELL_OPS, (0.0, 0.1, 0.5, 1.0, -0.3), strict=True))
    return np.array([sum(weight.get(node["op"], 0.0) for node in graph.nodes) for graph in graphs])


TRAIN, VALID, TEST = CELLS[:40], CELLS[40:60], CELLS[60:]
LABELS = Labelled(TRAIN, worth(TRAIN))


def quality(ranker) -> float:
    return kendalltau(ranker.score(TEST), worth(TEST)).statistic


def test_it_ranks_graphs_that_it_never_saw():
    before = {name: value.copy() for name, value in ENCODER.tensors().items()}
    ranker = finetune(ENCODER, LABELS, Labelled(VALID, worth(VALID)), QUICK)
    assert quality(ranker) > 0.7
    assert all(np.array_equal(before[name], value) for name, value in ENCODER.tensors().items())
    np.testing.assert_allclose(ranker.score(TEST[3:5]), ranker.score(TEST)[3:5], rtol=1e-4, atol=1e-5)


def test_the_epoch_that_validates_best_is_kept():
    """Labels that are noise validate at random, so the best epoch is hardly ever the last."""
    noise = np.random.default_rng(0).normal(size=len(VALID))
    seen = []
    config = replace(QUICK, epochs=12, seed=5, annealed=False)
    kept = finetune(
        ENCODER, LABELS, Labelled(VALID, noise), config, lambda done, total, note: seen.append(float(note.split()[-1]))
    )
    assert kendalltau(kept.score(VALID), noise).statistic == pytest.approx(max(seen), abs=1e-3)
    first = int(np.argmax(seen)) + 1
    assert first < 12
    stopped = finetune(ENCODER, LABELS, None, replace(config, epochs=first))
    np.testing.assert_array_equal(kept.score(TEST), stopped.score(TEST))


def test_many_labels_take_no_longer_than_few():
    """40 labels are 2 steps of 20 an epoch: 7 steps end with the fourth."""
    seen = []
    config = replace(QUICK, batch=20, epochs=12)
    short = finetune(ENCODER, LABELS, None, replace(config, most_steps=7), lambda done, total, _: seen.append(total))
    assert seen == [4] * 4
    np.testing.assert_array_equal(
        short.score(TEST), finetune(ENCODER, LABELS, None, replace(config, epochs=4)).score(TEST)
    )
    few = finetune(ENCODER, LABELS, None, replace(config, epochs=2, most_steps=7))
    np.testing.assert_array_equal(
        few.score(TEST), finetune(ENCODER, LABELS, None, replace(config, epochs=2)).score(TEST)
    )


def test_same_seed_same_ranker_and_the_global_generator_is_left_alone():
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    short = replace(QUICK, epochs=2)
    one, same, other = (finetune(ENCODER, LABELS, None, replace(short, seed=s)).score(TEST) for s in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_pre_training_on_what_matters_helps_with_few_labels():
    few, quick = Labelled(TRAIN[:6], worth(TRAIN[:6])), replace(QUICK, epochs=15, rate=1e-3, annealed=False)
    encoder = new_encoder(ENCODER.config)
    # A proxy that says what the labels would say, of graphs other than those judged.
    pretrain(encoder, VALID, PretrainConfig(task="proxy", epochs=60, rate=1e-2), proxy=worth(VALID))
    assert quality(finetune(encoder, few, None, quick)) > quality(finetune(ENCODER, few, None, quick)) + 0.1


def test_what_will_not_do_is_refused():
    with pytest.raises(DataError, match=r"training: values of shape \(3,\) for 40 graphs"):
        finetune(ENCODER, Labelled(TRAIN, [1, 2, 3]))
    with pytest.raises(DataError, match="validation: 1 values are not finite; leave those graphs out"):
        finetune(ENCODER, LABELS, Labelled([CUT_OFF], [np.nan]))
    with pytest.raises(DataError, match="1 labelled graphs can be put in no order"):
        finetune(ENCODER, Labelled([CUT_OFF], [1.0]))
    with pytest.raises(DataError, match="a batch has 2 graphs or more"):
        FinetuneConfig(batch=1)
    broken = new_encoder(ENCODER.config)
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="loss of fine-tuning is nan"):
        finetune(broken, LABELS)


def test_further_columns_are_read_beside_the_embedding():
    """An encoder that tells no graph from another leaves the columns alone to rank by."""
    blind = new_encoder(ENCODER.config)
    with torch.no_grad():
        for weight in blind.parameters():
            weight.zero_()
    hint = standard_ranks(worth(CELLS))
    told = Labelled(TRAIN, worth(TRAIN), hint[:40]), Labelled(VALID, worth(VALID), hint[40:60])
    ranker = finetune(blind, *told, replace(QUICK, epochs=40))
    assert kendalltau(ranker.score(TEST, hint[60:]), worth(TEST)).statistic > 0.95
    turned = kendalltau(ranker.score(TEST, -hint[60:]), worth(TEST)).statistic
    assert turned < -0.5, "it is the columns that are read"
    np.testing.assert_allclose(ranker.score(TEST[3:5], hint[63:65]), ranker.score(TEST, hint[60:])[3:5], rtol=1e-4)


def test_further_columns_fit_or_are_refused():
    two = Labelled(TRAIN, worth(TRAIN), np.zeros((40, 2)))
    ranker = finetune(ENCODER, two, None, replace(QUICK, epochs=1))
    with pytest.raises(DataError, match="scoring: 0 further columns; the ranker was trained with 2"):
        ranker.score(TEST)
    with pytest.raises(DataError, match=r"training: further columns of shape \(40,\) for 40 graphs; give a row"):
        finetune(ENCODER, two._replace(extra=np.zeros(40)))
    with pytest.raises(DataError, match="training: further columns hold numbers that are not finite"):
        finetune(ENCODER, two._replace(extra=np.full((40, 1), np.inf)))
    with pytest.raises(DataError, match="validation: 0 further columns; training has 2"):
        finetune(ENCODER, two, Labelled(VALID, worth(VALID)), QUICK)


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 1e9, np.nan]), min_size=1, max_size=9))
def test_standard_ranks_keep_the_order_and_nothing_else(values):
    array = np.array(values)
    ranks = standard_ranks(array)
    assert ranks.shape == (len(array), 1)
    assert (ranks[np.isnan(array)] == 0).all()
    known, own = array[~np.isnan(array)], ranks[~np.isnan(array), 0]
    assert ((own[:, None] > own) == (known[:, None] > known)).all()
    if len(set(known.tolist())) > 1:
        np.testing.assert_allclose([own.mean(), own.std()], [0, 1], atol=1e-6)
    np.testing.assert_array_equal(standard_ranks(np.column_stack([array, array]))[:, 1:], ranks)


@pytest.mark.parametrize("kind", ["gin", "gated-gcn", "flow"])
def test_several_at_once_learn_what_each_learns_alone(kind):
    """Without dropout, whose draws differ: other labels, other seeds, other encoders to begin with."""
    batch = GraphBatch.from_graphs(CELLS)
    config, values = replace(QUICK, epochs=4), worth(CELLS)
    encoders = [new_encoder(EncoderConfig(kind, hidden=8, layers=2, dropout=0.0), seed) for seed in (1, 2)]
    parts = (np.arange(40), np.arange(40, 60)), (np.arange(50, 90), np.arange(10, 30))
    jobs, alone = [], []
    for seed, (encoder, (train, valid)) in enumerate(zip(encoders, parts, strict=True)):
        own = replace(config, seed=seed)
        lessons = [Lesson(part, values[part]) for part in (train, valid)]
        jobs.append(Job(Ranker.fresh(encoder, own), (lessons[0],), lessons[1], seed))
        told = [Labelled(batch.take(part), values[part]) for part in (train, valid)]
        alone.append(finetune(encoder, *told, own).score(batch))
    rankers = finetune_many(batch, jobs, config)
    for ranker, expected in zip(rankers, alone, strict=True):
        np.testing.assert_allclose(ranker.score(batch), expected, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(scores_of_all(rankers, batch), [r.score(batch) for r in rankers], rtol=1e-4, atol=1e-5)
    assert not np.allclose(*alone, atol=0.01)


def test_several_lessons_are_learned_each_within_itself():
    """Two datasets whose values are worlds apart, but whose orders agree."""
    batch, values = GraphBatch.from_graphs(CELLS), worth(CELLS)
    a, b = np.arange(30), np.arange(30, 60)
    lessons = Lesson(a, values[a]), Lesson(b, values[b] - 1e6)
    [ranker] = finetune_many(batch, [Job(Ranker.fresh(ENCODER, QUICK), lessons)], QUICK)
    assert quality(ranker) > 0.7


def test_a_ranker_may_stay_as_it_was():
    batch, values = GraphBatch.from_graphs(CELLS), worth(CELLS)
    good, there = finetune(ENCODER, LABELS, None, QUICK), np.arange(60, 120)
    wrong = Lesson(np.arange(40), -values[:40])
    job = Job(good, (wrong,), Lesson(there, values[there]))
    [same], [moved] = (finetune_many(batch, [job], replace(QUICK, epochs=2), unmoved=flag) for flag in (True, False))
    np.testing.assert_array_equal(same.score(TEST), good.score(TEST))
    assert quality(moved) < quality(good)


def test_trainings_that_cannot_go_in_step_are_refused():
    batch, values = GraphBatch.from_graphs(CELLS), worth(CELLS)
    start = Ranker.fresh(ENCODER, QUICK)
    few, many = (Lesson(np.arange(n), values[:n]) for n in (20, 60))
    with pytest.raises(DataError, match="epochs of different length"):
        finetune_many(batch, [Job(start, (few,)), Job(start, (many,))], QUICK)
    with pytest.raises(DataError, match="validations of different size"):
        finetune_many(batch, [Job(start, (few,), few), Job(start, (few,), many)], QUICK)
