"""Priors: what held elsewhere is found, corrected where it fails, and nothing of a family left out leaks in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_pools import write_pools
from scipy.stats import spearmanr

from metalcx.corpora import Corpus
from metalcx.errors import DataError, ModelError
from metalcx.transfer import DESIGNS, Candidates, Prior, PriorFitter, Source, Sources, TransferModel, sources_of


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return sources_of(list(Corpus.open(write_pools(tmp_path_factory.mktemp("data") / "pools", 70, 5))))


@pytest.fixture(scope="module")
def fitter(sources):
    return PriorFitter(sources)


def test_what_held_on_sources_orders_a_target_before_any_result(fitter, sources):
    prior = fitter.fit("made", without=["d0"])
    target = sources.tasks[0]
    belief = prior.belief(sources.candidates.take(target.rows))
    assert spearmanr(belief.mean(), target.score).statistic > 0.8
    assert prior.families == ("d1", "d2", "d3", "d4")


def test_effects_name_what_helps(fitter):
    effects = fitter.fit("made").effects
    at = effects.names.index("number of nor_conv_3x3")
    assert effects.low[at] > 0.3
    assert effects.same_sign[at] == 1


def test_candidates_that_nobody_tried_are_told_by_their_characteristics(fitter, sources):
    prior = replace(fitter.fit("made", without=["d0"]), keys=np.zeros(0, np.uint64), results=np.zeros((0, 4)))
    target = sources.tasks[0]
    belief = prior.belief(sources.candidates.take(target.rows))
    assert spearmanr(belief.mean(), target.score).statistic > 0.6


def test_the_scores_of_a_family_left_out_change_nothing(sources):
    shuffled = replace(sources.tasks[0], score=np.random.default_rng(0).permutation(sources.tasks[0].score))
    other = Sources(sources.candidates, (shuffled, *sources.tasks[1:]))
    a, b = (PriorFitter(known).fit("made", without=["d0"]) for known in (sources, other))
    assert a.trust == b.trust
    for name, array in a.tensors().items():
        np.testing.assert_array_equal(array, b.tensors()[name])


@pytest.mark.parametrize("design", DESIGNS)
def test_the_fitter_and_its_prior_think_alike(fitter, sources, design):
    prior = fitter.fit("made", without=["d1"], design=design)
    rows = sources.tasks[1].rows[:25]
    a = prior.belief(sources.candidates.take(rows))
    b = fitter.belief(rows, ["d1"], prior.trust, design)
    for belief in (a, b):
        for row in range(4):
            belief.tell(row, float(row))
    np.testing.assert_allclose(a.mean(), b.mean(), atol=2e-3)
    np.testing.assert_allclose(a.spread(), b.spread(), atol=2e-3)


def test_where_nothing_holds_the_results_win(tmp_path):
    sources = sources_of(list(Corpus.open(write_pools(tmp_path / "bent", 80, 5, bent=0))))
    fitter = PriorFitter(sources)
    target = sources.tasks[0]
    belief = fitter.belief(target.rows, ["d0"], replace(fitter.trust(["d0"]), sway=0.5))
    assert spearmanr(belief.mean(), target.score).statistic < -0.5
    for row in range(30):
        belief.tell(row, target.score[row])
    assert spearmanr(belief.mean()[30:], target.score[30:]).statistic > 0


def test_a_prior_survives_a_file(fitter, sources):
    prior = fitter.fit("made", design="rank")
    model = TransferModel((prior,))
    again = TransferModel.build(model.config_dict(), model.tensors()).priors[0]
    some = sources.candidates.take(np.arange(20))
    np.testing.assert_allclose(again.belief(some).mean(), prior.belief(some).mean(), atol=0.02)
    np.testing.assert_array_equal(np.isnan(again.looked_up(some)), np.isnan(prior.looked_up(some)))
    assert again.effects.to_frame()["characteristic"].tolist() == prior.effects.to_frame()["characteristic"].tolist()
    with pytest.raises(ValueError, match="no design 'guess'"):
        Prior.build(prior.config_dict() | {"design": "guess"}, prior.tensors())
    with pytest.raises(ModelError, match="holds no prior"):
        TransferModel.build(model.config_dict() | {"priors": []}, {})


def test_candidates_of_another_kind_are_refused(fitter):
    model = TransferModel((fitter.fit("made"),))
    strange = Candidates.from_frame(pd.DataFrame({"spice": ["salt", "pepper"], "heat": [1.0, 2.0]}))
    with pytest.raises(DataError, match=r"sources \(.made.\) know 0 %"):
        model.prior_for(strange)
    assert model.prior_for(Candidates.from_frame(pd.DataFrame({"lr": [0.1, 0.2]}))).name == "made"


def test_a_loss_counts_the_other_way_round(tmp_path):
    up, down = (
        sources_of(list(Corpus.open(write_pools(tmp_path / goal, 40, 2, goal=goal)))) for goal in ("max", "min")
    )
    for a, b in zip(up.tasks, down.tasks, strict=True):
        np.testing.assert_allclose(a.score, b.score)


def test_one_source_makes_a_prior_too(sources):
    prior = PriorFitter(Sources(sources.candidates, sources.tasks[:1])).fit("one")
    assert np.isnan(prior.effects.low).all()
    assert np.isfinite(prior.belief(sources.candidates).mean()).all()


def test_too_few_runs_say_nothing(tmp_path):
    tasks = list(Corpus.open(write_pools(tmp_path / "few", 12, 2)))
    with pytest.raises(DataError, match="no task has 20 runs"):
        sources_of(tasks)


def test_runs_of_one_candidate_are_averaged():
    from metalcx.transfer._sources import _averaged

    rows, score = _averaged(np.array([3, 1, 3]), np.array([1.0, 5.0, 2.0]))
    np.testing.assert_array_equal(rows, [1, 3])
    np.testing.assert_array_equal(score, [5.0, 1.5])
    assert Source("t", "f", rows, score).family == "f"
