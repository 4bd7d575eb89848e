from dataclasses import replace

import numpy as np
import pytest

from metalcx.errors import DataError
from metalcx.histories import History, TraitTable, fit_proxy, traits_of
from metalcx.histories._inputs import N_INPUTS, SOFT, inputs_of, squeezed, stretched
from metalcx.histories._traits import TRAITS, proxies_of

from .made import made_history


def named(history: History) -> dict[str, float]:
    return dict(zip(TRAITS, traits_of(history), strict=True))


def with_start(history: History) -> History:
    return replace(history, t=history.t - 1.0)


def test_skill_is_0_at_the_commonest_class_and_1_where_all_is_right() -> None:
    history = made_history(k=2)
    right = np.eye(3, dtype=np.float16)[history.labels] * 5
    wrong = np.eye(3, dtype=np.float16)[np.full(len(history.labels), np.bincount(history.y_train).argmax())]
    found = named(replace(history, outputs=np.stack([wrong, right])))
    assert (found["own"], found["own_train"], found["own_best"]) == (1.0, 1.0, 1.0)
    assert found["likelihood"] > 0.9
    assert 0 < found["fickle"] < 1
    poor = named(replace(history, outputs=np.stack([right, wrong])))
    assert abs(poor["own"]) < 0.1
    assert poor["own_train"] == pytest.approx(0.0, abs=1e-12)


def test_what_training_started_from_is_no_part_of_the_proxies() -> None:
    history = with_start(made_history(k=4))
    assert history.t[0] == 0
    late = history.take([1, 2, 3])
    assert proxies_of(history)["concat"].accuracy == fit_proxy(late).accuracy
    found, chance = named(history), np.bincount(history.y_train).max() / history.n_train
    start = fit_proxy(history.take([0])).accuracy
    assert found["probe_start"] == pytest.approx((start - chance) / (1 - chance))
    assert found["checkpoints"] == pytest.approx(np.log(3))


def test_turned_features_have_not_moved() -> None:
    history = made_history(k=1, d=6)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    first = history.features[0].astype(np.float64)
    first[: history.n_train] -= first[: history.n_train].mean(0)
    # Directions of equal deviation, so that standardising takes nothing from the turn.
    basis = np.linalg.svd(first[: history.n_train], full_matrices=False)[0] * np.sqrt(history.n_train)
    both = np.stack([basis, basis @ turn]).astype(np.float16)
    twice = History(np.array([1.0, 2.0]), both, history.outputs[[0, 0], : history.n_train], history.y_train, 100)
    assert named(twice)["moved"] < 0.1
    other = np.stack([basis, np.random.default_rng(1).normal(size=basis.shape)]).astype(np.float16)
    assert named(replace(twice, features=other))["moved"] > 0.8


def test_a_single_checkpoint_and_dead_features_are_ordinary() -> None:
    history = made_history(k=3)
    for each in (history.take([0]), with_start(history).take([0]), replace(history, features=history.features * 0)):
        assert np.isfinite(traits_of(each)).all()


def test_a_training_part_of_one_class_has_no_skill() -> None:
    history = made_history()
    with pytest.raises(DataError, match="200 examples, all of one class; draw more"):
        traits_of(replace(history, labels=np.where(np.arange(400) < 200, 1, history.labels)))


def test_a_table_gives_the_latest_that_was_known() -> None:
    histories = {"a": made_history(k=3), "b": made_history(k=2, seed=1)}
    table = TraitTable.of(histories)
    assert table.at("a", 0.5) is None
    assert table.at("c", 5.0) is None
    np.testing.assert_array_equal(table.at("a", 2.9), traits_of(histories["a"].until(2.0)))
    np.testing.assert_array_equal(table.at("b", 99.0), traits_of(histories["b"]))
    many = table.many(["b", "c", "a"], [99.0, 1.0, 2.9])
    np.testing.assert_array_equal(many[[0, 2]], [table.at("b", 99.0), table.at("a", 2.9)])
    assert np.isnan(many[1]).all()
    some = TraitTable.of(histories, np.array([2.0]))
    assert [len(times) for times, _ in some.rows.values()] == [1, 1]
    assert set((TraitTable() | some).rows) == {"a", "b"}
    with pytest.raises(DataError, match="do not fit traits"):
        TraitTable({"a": (np.array([1.0]), np.zeros((1, 3)))})


def test_nothing_after_the_time_is_in_its_traits() -> None:
    history = made_history(k=4)
    features = history.features.copy()
    features[2:] = 1
    other = replace(history, features=features)
    np.testing.assert_array_equal(TraitTable.of({0: history}).at(0, 2.5), TraitTable.of({0: other}).at(0, 2.5))


def test_stretching_inverts() -> None:
    skill = np.linspace(0, 1, 101)
    z = stretched(skill)
    np.testing.assert_allclose(squeezed(z), skill, atol=1e-12)
    assert (np.diff(z) > 0).all()
    np.testing.assert_allclose(z, -z[::-1], atol=1e-12)
    assert stretched(np.array([-0.2]))[0] == pytest.approx(np.log(SOFT / (1 + SOFT)))
    assert squeezed(np.array([-99.0, 99.0])).tolist() == [0.0, 1.0]


def test_inputs_have_their_width() -> None:
    traits = np.stack([traits_of(made_history(seed=s)) for s in range(3)])
    x = inputs_of(traits, np.full(3, 0.5), np.full(3, 0.6), np.full(3, 0.1))
    assert x.shape == (3, N_INPUTS)
    assert np.isfinite(x).all()
