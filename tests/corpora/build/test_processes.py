"""Every process makes data that are valid, learnable and the same again; what it promises of them holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.svm import SVC, SVR

from metalcx.corpora.build._data import Data, DataSpec, make
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._meta_features import meta_features
from metalcx.corpora.build._processes import PROCESSES, drawn
from metalcx.corpora.build._raw import Raw, Sizes

SHAPES = {"vector": 2, "sequence": 3, "image": 4}
ALL = [
    spec
    for source, process in PROCESSES.items()
    for spec in expand([{"source": source, "tasks": list(process.tasks)}], 0)
]


def one(source: str, **section: Any) -> DataSpec:
    return expand([{"source": source, **section}], 0)[0]


def raw(spec: DataSpec, n_train: int = 400) -> Raw:
    return drawn(spec.source, dict(spec.settings), Sizes(n_train, spec.n_val, spec.n_test), spec.seed)


def test_processes_are_many() -> None:
    assert len(PROCESSES) >= 14
    assert {process.kind for process in PROCESSES.values()} == set(SHAPES)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.source}-{spec.domain}")
def test_data_are_valid_and_can_be_learned(spec: DataSpec) -> None:
    data = make(spec)
    for part, n in (("train", 400), ("val", 300), ("test", 300)):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        assert x.shape[0] == y.shape[0] == n
        assert x.ndim == SHAPES[spec.kind]
        assert np.isfinite(x).all()
        assert np.isfinite(y).all()
        assert not data.n_classes or set(y) <= set(range(data.n_classes))
    assert (data.n_classes == 0) == spec.domain.endswith("regression")
    found = meta_features(data)
    best = max(kernel_score(data), *(found[f"landmark_{name}"] for name in ("neighbour", "tree", "linear")))
    # Neither hopeless nor a matter of course for learners that know nothing of the process.
    assert found["landmark_mean"] + 0.08 < best < 0.99


def kernel_score(data: Data) -> float:
    """Of a kernel machine, which learns products of features where the landmarks do not."""
    x_train, x_test = (x.reshape(len(x), -1) for x in (data.x_train, data.x_test))
    machine = (SVC if data.n_classes else SVR)(C=3.0)
    return float(machine.fit(x_train, data.y_train).score(x_test, data.y_test))


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.source}-{spec.domain}")
def test_a_draw_is_the_same_again_and_grows_at_its_end(spec: DataSpec) -> None:
    large, small = raw(spec), raw(spec, 100)
    assert_array_equal(small.x[0], large.x[0][:100])
    assert_array_equal(small.y[0], large.y[0][:100])
    for part in (1, 2):
        assert_array_equal(small.x[part], large.x[part])
    other = raw(dataclasses.replace(spec, seed=spec.seed + 1))
    assert not np.array_equal(other.x[0], large.x[0])


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: f"{spec.source}-{spec.domain}")
def test_no_row_is_in_two_parts(spec: DataSpec) -> None:
    train, val, test = ({row.tobytes() for row in np.ascontiguousarray(x)} for x in raw(spec).x)
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize("source", [s for s, p in PROCESSES.items() if len(p.tasks) == 2 and p.kind == "vector"])
def test_both_tasks_of_a_draw_are_about_the_same_function(source: str) -> None:
    """The largest score is the class, so where the first score is high, the first class is likelier."""
    section = {"source": source, "tasks": ["classification", "regression"]}
    classes, numbers = (raw(spec) for spec in expand([section], 0))
    assert_array_equal(classes.x[0], numbers.x[0])
    first = numbers.y[0][classes.y[0] == 0].mean()
    assert abs(first - numbers.y[0].mean()) > 0.3 * numbers.y[0].std()


@pytest.mark.parametrize("core", ["linear", "xor"])
def test_spurious_cues_tell_the_class_in_training_alone(core: str) -> None:
    spec = one("spurious", core=core, n_cues=4, agreement=0.95, n_train=1000, n_val=500, n_test=500)
    data = make(spec)
    weights = np.linalg.lstsq(data.x_train, 2.0 * data.y_train - 1, rcond=None)[0]
    train, val, test = (
        np.mean((x @ weights > 0) == y)
        for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val), (data.x_test, data.y_test))
    )
    assert train > 0.9
    # What a linear rule can know without the cues: one direction of margin 1, or nothing of a product of signs.
    assert max(val, test) < (0.8 if core == "linear" else 0.65)


@pytest.mark.parametrize("bits", [2, 3])
def test_no_single_feature_tells_a_parity(bits: int) -> None:
    data = make(one("parity", bits=bits, noise=0.0, n_train=1000))
    single = [abs(np.corrcoef(column, data.y_train)[0, 1]) for column in data.x_train.T]
    assert max(single) < 0.12
    products = [data.x_train[:, i] * data.x_train[:, j] for i in range(8) for j in range(i)]
    strongest = max(abs(np.corrcoef(product, data.y_train)[0, 1]) for product in products)
    assert (strongest > 0.4) == (bits == 2)


def test_rare_classes_are_as_rare_as_said() -> None:
    counts = np.bincount(make(one("imbalanced", ratio=4, n_classes=3, n_train=1000)).y_train)
    assert counts[0] / counts[1] == pytest.approx(4, rel=0.3)
    assert counts[1] / counts[2] == pytest.approx(4, rel=0.5)


def test_low_rank_data_have_few_strong_directions() -> None:
    x = make(one("low-rank", rank=3, feature_noise=0.3)).x_train
    variances = np.linalg.svd(x, compute_uv=False) ** 2
    assert variances[:3].sum() / variances.sum() > 0.6
    assert variances[3] / variances[2] < 0.2


def test_noise_is_a_setting_of_difficulty() -> None:
    quiet, loud = (make(one("sparse-linear", noise=noise, n_train=800)) for noise in (0.0, 1.5))
    assert meta_features(quiet)["landmark_linear"] > meta_features(loud)["landmark_linear"] + 0.15


def test_mirrored_pictures_are_mirrored() -> None:
    found = raw(one("mirrors", n_classes=4, noise=0.0))
    alike = np.stack([np.isclose(found.x[0], flipped).all((1, 2, 3)) for flipped in _flips(found.x[0])], 1)
    assert_array_equal(alike.sum(1) > 0, found.y[0] != _plain(found))
    assert alike.sum(1).max() == 1


def _flips(x: np.ndarray) -> list[np.ndarray]:
    return [x[..., ::-1], x[..., ::-1, :], x[..., ::-1, ::-1]]


def _plain(found: Raw) -> int:
    """The class whose pictures are like none of their mirror images."""
    like = np.any([np.isclose(found.x[0], flipped).all((1, 2, 3)) for flipped in _flips(found.x[0])], 0)
    return int(np.bincount(found.y[0][~like]).argmax())


def test_the_sum_of_marked_numbers_is_the_target() -> None:
    found = raw(one("adding", marks=2, noise=0.0, tasks="regression"))
    numbers, marked = found.x[0][..., 0], found.x[0][..., 1]
    assert_array_equal(marked.sum(1), 2)
    np.testing.assert_allclose((numbers * marked).sum(1), found.y[0])


def test_a_delayed_value_stands_where_the_lag_says() -> None:
    found = raw(one("delay", lag=3, noise=0.0, tasks="regression"))
    assert any(np.array_equal(found.x[0][:, -4, channel], found.y[0]) for channel in range(2))


def test_the_most_frequent_symbol_is_the_class() -> None:
    found = raw(one("counting", noise=0.0))
    assert_array_equal(found.x[0].sum(1).argmax(1), found.y[0])


def test_the_first_event_is_the_class() -> None:
    found = raw(one("events", event="step", noise=0.0))
    assert_array_equal(found.x[0].sum(1).argmax(1), found.y[0])
