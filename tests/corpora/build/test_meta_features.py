"""Meta-features look at training rows alone, are finite whatever comes, and mean what they say."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.corpora.build._data import Data, make
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._meta_features import ROWS, meta_features


def data(x: np.ndarray, y: np.ndarray, n_classes: int) -> Data:
    x, y = x.astype(np.float32), y.astype(np.int64 if n_classes else np.float32)
    return Data(x, y, x[:7], y[:7], x[:5], y[:5], n_classes)


def blobs(n: int = 300, shift: float = 3.0, k: int = 3) -> Data:
    rng = np.random.default_rng(0)
    y = rng.integers(0, k, n)
    return data(rng.normal(size=(n, 6)) + shift * np.eye(6)[y], y, k)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(5,), (2, 3, 3), (4, 2)]), st.sampled_from([0, 2, 4]), st.integers(8, 500), st.integers(0, 99))
def test_they_are_finite_numbers_of_training_rows_alone(
    shape: tuple[int, ...], n_classes: int, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_t(2, size=(n, *shape))
    x[:, 0] = 0.0
    found = data(x, rng.integers(0, n_classes, n) if n_classes else rng.normal(size=n), n_classes)
    features = meta_features(found)
    assert all(np.isfinite(value) and isinstance(value, int | float) for value in features.values())
    other = dataclasses.replace(found, x_val=-found.x_val, y_val=found.y_val[::-1], x_test=found.x_test + 9)
    assert meta_features(other) == features


def test_constant_examples_and_targets_are_no_trouble() -> None:
    assert all(np.isfinite(value) for value in meta_features(data(np.zeros((20, 3)), np.zeros(20), 0)).values())


def test_sizes_and_shapes_are_counted() -> None:
    features = meta_features(data(np.random.default_rng(0).normal(size=(50, 3, 4, 4)), np.arange(50) % 2, 2))
    wanted = {"n_train": 50, "n_val": 7, "n_test": 5, "n_features": 48, "n_classes": 2, "n_dims": 3, "imbalance": 1.0}
    assert {key: features[key] for key in wanted} == wanted


def test_imbalance_is_the_share_of_the_largest_entropy() -> None:
    y = np.repeat([0, 1], [75, 25])
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert meta_features(data(np.random.default_rng(0).normal(size=(100, 2)), y, 2))["imbalance"] == pytest.approx(
        expected
    )


def test_landmarks_rise_with_what_there_is_to_learn() -> None:
    easy, hopeless = meta_features(blobs(shift=5.0)), meta_features(blobs(shift=0.0))
    for name in ("neighbour", "tree", "linear"):
        assert easy[f"landmark_{name}"] > 0.9
        assert hopeless[f"landmark_{name}"] < 0.45
    assert easy["landmark_stump"] > hopeless["landmark_stump"] + 0.15
    assert easy["landmark_mean"] < 0.45


def test_landmarks_of_numbers_are_shares_of_variance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    features = meta_features(data(x, x @ [1.0, 2.0, 0.0, 0.0] + 0.5 * rng.normal(size=300), 0))
    assert features["landmark_linear"] == pytest.approx(5 / 5.25, abs=0.03)
    assert features["landmark_mean"] == pytest.approx(0, abs=0.03)
    assert 0.3 < features["landmark_stump"] < features["landmark_tree"] < features["landmark_linear"]


def test_the_spectrum_tells_low_rank_from_full() -> None:
    rng = np.random.default_rng(0)
    line = rng.normal(size=(200, 1)) * np.ones((1, 10))
    narrow, full = (meta_features(data(x, np.arange(200) % 2, 2)) for x in (line, rng.normal(size=(200, 10))))
    assert narrow["component_share"] == pytest.approx(1.0, abs=1e-3)
    assert narrow["rank_share"] == pytest.approx(0.1, abs=1e-2)
    assert full["rank_share"] > 0.9


def test_tails_show_in_the_moments() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 5))
    normal, skewed = (meta_features(data(x, x[:, 0], 0)) for x in (z, np.exp(z)))
    assert normal["kurtosis"] == pytest.approx(np.log(3), abs=0.15)
    assert skewed["kurtosis"] > normal["kurtosis"] + 1
    assert skewed["skewness"] > normal["skewness"] + 1
    assert skewed["target_skewness"] > 1 > abs(normal["target_skewness"])


def test_rows_beyond_the_first_count_by_number_and_class_alone() -> None:
    found = blobs(n=ROWS + 50)
    x = found.x_train.copy()
    x[ROWS:] = 7.0
    assert meta_features(dataclasses.replace(found, x_train=x)) == meta_features(found)


def test_a_task_takes_a_moment() -> None:
    largest = make(expand([{"source": "textures", "side": 12, "channels": 3, "n_classes": 5, "n_train": 800}], 0)[0])
    meta_features(largest)
    started = time.process_time()
    meta_features(largest)
    assert time.process_time() - started < 0.6
