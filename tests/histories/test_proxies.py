from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from metalcx.errors import DataError
from metalcx.histories import History, fit_proxy
from metalcx.histories._proxies import standardised
from metalcx.histories._ridge import fit_ridge

from .made import made_history

KINDS = ("concat", "mean", "consensus")


def parts(history: History, i: int = 0) -> tuple[np.ndarray, np.ndarray]:
    z = standardised(history)[i]
    return z[: history.n_train], z[history.n_train :]


def test_ridge_is_scikit_learns_at_the_same_penalty() -> None:
    history = made_history()
    (train, val), y = parts(history), history.y_train
    fit = fit_ridge(train, y, 3)
    theirs = RidgeClassifier(alpha=fit.penalty).fit(train, y)
    np.testing.assert_allclose(fit.scores(val), theirs.decision_function(val), atol=1e-9)


def test_left_out_scores_are_those_of_fits_without_the_example() -> None:
    history = made_history(n=60, n_train=40)
    train, y = parts(history)[0], history.y_train
    fit = fit_ridge(train, y, 3)
    for i in (0, 17, 39):
        rest = np.arange(40) != i
        # The penalty stays that of all examples.
        theirs = RidgeClassifier(alpha=fit.penalty).fit(train[rest], y[rest])
        np.testing.assert_allclose(fit.left_out[i], theirs.decision_function(train[i : i + 1])[0], atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_one_checkpoint_is_a_linear_probe(kind: str) -> None:
    history = made_history(k=1)
    proxy = fit_proxy(history, kind)
    train, val = parts(history)
    probe = RidgeClassifier(alpha=proxy.penalty).fit(train, history.y_train)
    assert proxy.accuracy == probe.score(val, history.y_val)


def test_one_checkpoint_is_a_logistic_probe() -> None:
    history = made_history(k=1)
    proxy = fit_proxy(history, "concat", "logistic")
    train, val = parts(history)
    probe = LogisticRegression(C=1 / proxy.penalty, max_iter=500).fit(train, history.y_train)
    np.testing.assert_allclose(proxy.val, probe.predict_proba(val), atol=1e-3)


def test_more_checkpoints_say_more() -> None:
    history = made_history(k=6, n=1200, n_train=600)
    one = fit_proxy(history.take([5]), "concat").accuracy
    assert all(fit_proxy(history, kind).accuracy > one + 0.02 for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["training", "validation"])
def test_shuffled_labels_fall_to_chance(kind: str, part: str) -> None:
    history = made_history(k=3, n=2000, n_train=500)
    labels = history.labels.copy()
    rows = labels[:500] if part == "training" else labels[500:]
    np.random.default_rng(0).shuffle(rows)
    assert fit_proxy(history, kind).accuracy > 0.6
    assert abs(fit_proxy(replace(history, labels=labels), kind).accuracy - 1 / 3) < 0.06


@pytest.mark.parametrize("kind", KINDS)
def test_validation_labels_serve_for_scoring_only(kind: str) -> None:
    history = made_history()
    labels = history.labels.copy()
    labels[history.n_train :] = 0
    np.testing.assert_array_equal(fit_proxy(replace(history, labels=labels), kind).val, fit_proxy(history, kind).val)


@pytest.mark.parametrize("kind", [*KINDS, "own"])
def test_nothing_after_the_cut_is_used(kind: str) -> None:
    history = made_history(k=4)
    changed = history.features.copy(), history.outputs.copy()
    for array in changed:
        array[2:] = -array[2:] + 1
    other = replace(history, features=changed[0], outputs=changed[1])
    np.testing.assert_array_equal(fit_proxy(history.until(2.5), kind).val, fit_proxy(other.until(2.5), kind).val)
    assert len(history.until(2.5)) == 2


@pytest.mark.parametrize("kind", [*KINDS, "own"])
def test_the_order_in_which_checkpoints_come_changes_nothing(kind: str) -> None:
    history = made_history(k=4)
    order = [2, 0, 3, 1]
    mixed = replace(history, t=history.t[order], features=history.features[order], outputs=history.outputs[order])
    np.testing.assert_allclose(fit_proxy(mixed, kind).val, fit_proxy(history, kind).val, atol=1e-9)


@pytest.mark.parametrize("kind", ["concat", "consensus", "own"])
def test_permuting_checkpoints_over_time_changes_nothing(kind: str) -> None:
    history = made_history(k=4)
    order = [2, 0, 3, 1]
    mixed = replace(history, features=history.features[order], outputs=history.outputs[order])
    np.testing.assert_allclose(fit_proxy(mixed, kind).val, fit_proxy(history, kind).val, atol=1e-9)


@pytest.mark.parametrize("kind", [*KINDS, "own"])
def test_every_checkpoint_twice_changes_nothing(kind: str) -> None:
    history = made_history(k=3)
    twice = History(
        np.concatenate([history.t, history.t + 0.5]),
        np.concatenate([history.features] * 2),
        np.concatenate([history.outputs] * 2),
        history.labels,
        history.n_train,
    )
    np.testing.assert_allclose(fit_proxy(twice, kind).val, fit_proxy(history, kind).val, atol=1e-7)


def test_one_checkpoint_twice_leaves_the_ranking() -> None:
    """Of twenty histories that differ in how far their classes part."""
    before, after = [], []
    for seed in range(20):
        history = made_history(k=3, seed=seed)
        again = History(
            np.append(history.t, 9.0),
            np.concatenate([history.features, history.features[:1]]),
            np.concatenate([history.outputs, history.outputs[:1]]),
            history.labels,
            history.n_train,
        )
        before.append(fit_proxy(history).accuracy)
        after.append(fit_proxy(again).accuracy)
    assert np.corrcoef(before, after)[0, 1] > 0.98
    assert np.abs(np.subtract(before, after)).max() < 0.06


def test_own_head_of_one_checkpoint_is_the_networks_accuracy() -> None:
    history = made_history(k=3)
    assert fit_proxy(history.take([2]), "own").accuracy == history.own_accuracy()[2]
    expected = softmax(history.outputs.astype(np.float64), -1).mean(0)[history.n_train :]
    np.testing.assert_allclose(fit_proxy(history, "own").val, expected)


def test_dead_features_and_missing_classes_are_ordinary() -> None:
    history = made_history(k=2, classes=4)
    dead = replace(history, features=np.full_like(history.features, 3.0))
    labels = np.where(np.arange(len(history.labels)) < history.n_train, np.minimum(history.labels, 2), history.labels)
    for kind in KINDS:
        majority = np.bincount(history.y_train).argmax()
        assert fit_proxy(dead, kind).accuracy == pytest.approx((history.y_val == majority).mean())
        assert fit_proxy(replace(history, labels=labels), kind).val[:, 3].max() < 0.5


def test_the_interval_is_wilsons() -> None:
    proxy = fit_proxy(made_history())
    low, high = proxy.interval(0.95)
    n, p, z = 200, proxy.accuracy, 1.959963984540054
    expected = (p + z * z / (2 * n) - z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    assert low == pytest.approx(expected)
    assert low < proxy.accuracy < high


def test_refusals() -> None:
    history = made_history()
    with pytest.raises(DataError, match="at least one checkpoint"):
        fit_proxy(history.until(0.0))
    with pytest.raises(DataError, match="kind is one of"):
        fit_proxy(history, "best")
