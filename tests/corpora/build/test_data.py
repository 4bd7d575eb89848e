"""What networks of the corpus see: split once a dataset, scaled by the training rows alone, disturbed as asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from metalcx.corpora.build._data import SCALE_AXES, DataSpec, make, prepare
from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._raw import Raw, Sizes
from metalcx.corpora.build._sklearn import BLOCK, BUNDLED, _cut, _hilbert, _photographs, bundled
from metalcx.errors import DataError

PARTS = ("train", "val", "test")


def one(**section: Any) -> DataSpec:
    return expand([section], 0)[0]


def sklearn(dataset: str, **section: Any) -> DataSpec:
    return one(source="sklearn", dataset=dataset, **section)


def raw(spec: DataSpec) -> Raw:
    return bundled(dict(spec.settings), spec.kind, Sizes(spec.n_train, spec.n_val, spec.n_test), spec.seed)


def rows(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in np.ascontiguousarray(x)}


EVERY = [
    sklearn("digits"),
    sklearn("digits", kind="vector", variants="classes-3"),
    sklearn("digits", kind="sequence", order="hilbert", channels=2),
    sklearn("digits", pairs="same"),
    sklearn("digits", kind="sequence", pairs="sum"),
    sklearn("iris"),
    sklearn("wine", column=0),
    sklearn("breast-cancer"),
    sklearn("diabetes"),
    sklearn("sample-images"),
    sklearn("sample-images", ask="height", side=12),
]


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.task)
def test_bundled_data_are_standardised_by_training_rows(spec: DataSpec) -> None:
    data = make(spec)
    for part in PARTS:
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        assert len(x) == len(y) == getattr(spec, f"n_{part}")
        assert x.dtype == np.float32
        assert y.dtype == (np.int64 if data.n_classes else np.float32)
        assert np.isfinite(x).all()
        assert np.isfinite(y).all()
    deviation = data.x_train.std(SCALE_AXES[spec.kind])
    assert_allclose(data.x_train.mean(SCALE_AXES[spec.kind]), 0, atol=1e-4)
    assert_allclose(deviation[deviation > 0], 1, atol=1e-3)
    if data.n_classes:
        assert_array_equal(np.unique(data.y_train), np.arange(data.n_classes))
        assert set(data.y_val) | set(data.y_test) <= set(range(data.n_classes))
    else:
        assert_allclose([data.y_train.mean(), data.y_train.std()], [0, 1], atol=1e-3)


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.task)
def test_no_row_is_in_two_parts(spec: DataSpec) -> None:
    train, val, test = (rows(x) for x in raw(spec).x)
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.task)
def test_one_specification_is_one_set_of_arrays(spec: DataSpec) -> None:
    first, again = make(spec), make(spec)
    for name in vars(first):
        assert_array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.task)
def test_a_smaller_training_part_is_the_beginning_of_a_larger_one(spec: DataSpec) -> None:
    small = raw(dataclasses.replace(spec, n_train=spec.n_train // 2))
    large = raw(spec)
    assert_array_equal(small.x[0], large.x[0][: spec.n_train // 2])
    assert_array_equal(small.y[0], large.y[0][: spec.n_train // 2])
    for part in (1, 2):
        assert_array_equal(small.x[part], large.x[part])


def test_tasks_of_a_dataset_share_validation_and_test_rows_whatever_the_seed() -> None:
    section = {"source": "sklearn", "dataset": "digits", "variants": ["whole", "few", "label-noise"]}
    specs = expand([section], 0) + expand([section], 1) + expand([section | {"kind": "vector"}], 2)
    kept = [raw(spec) for spec in specs]
    for part in (1, 2):
        assert len({found.x[part].tobytes() for found in kept}) == 1
        assert len({found.y[part].tobytes() for found in kept}) == 1


def test_classes_keep_their_own_rows_under_new_numbers() -> None:
    spec = sklearn("digits", kind="vector", variants="classes-3")
    some, every = raw(spec), raw(sklearn("digits", kind="vector"))
    chosen = dict(spec.settings)["classes"]
    for part in range(3):
        old = {row.tobytes(): label for row, label in zip(every.x[part], every.y[part], strict=True)}
        assert_array_equal([old[row.tobytes()] for row in some.x[part]], [chosen[label] for label in some.y[part]])


def test_pairs_are_of_one_part_and_half_of_them_the_same() -> None:
    pairs, single = raw(sklearn("digits", pairs="same")), raw(sklearn("digits"))
    for part in range(3):
        label = {row.tobytes(): y for row, y in zip(single.x[part][:, 0], single.y[part], strict=True)}
        first, second = ([label[row.tobytes()] for row in pairs.x[part][:, i]] for i in (0, 1))
        assert_array_equal(pairs.y[part], np.equal(first, second))
        assert 0.45 < pairs.y[part].mean() < 0.65
        assert not any((pair[0] == pair[1]).all() for pair in pairs.x[part][pairs.y[part] == 1])


def test_the_sum_of_pairs_is_the_target_before_scaling() -> None:
    pairs, single = raw(sklearn("digits", pairs="sum")), raw(sklearn("digits"))
    label = {row.tobytes(): y for row, y in zip(single.x[1][:, 0], single.y[1], strict=True)}
    assert_array_equal(pairs.y[1], [sum(label[digit.tobytes()] for digit in pair) for pair in pairs.x[1]])


def test_rows_of_a_digit_are_steps() -> None:
    image, steps = raw(sklearn("digits")), raw(sklearn("digits", kind="sequence"))
    assert_array_equal(image.x[0][:, 0], steps.x[0])


def test_the_curve_of_hilbert_visits_neighbours() -> None:
    path = np.stack(np.divmod(_hilbert(8), 8))
    assert len(set(_hilbert(8))) == 64
    assert_array_equal(np.abs(np.diff(path)).sum(0), 1)


def test_a_predicted_column_is_not_among_the_features() -> None:
    column, whole = raw(sklearn("wine", column=3)), raw(sklearn("wine"))
    assert column.x[0].shape[1] == whole.x[0].shape[1] - 1
    assert_array_equal(column.y[0], whole.x[0][:, 3])


def test_patches_stay_in_their_block() -> None:
    """Each block holds its own number, so a patch that left its block would be a mixture."""
    pictures = _photographs()
    blocks = np.indices((2, pictures.shape[1] // BLOCK, pictures.shape[2] // BLOCK)).reshape(3, -1).T
    numbered = np.zeros_like(pictures)
    for number, (photo, down, right) in enumerate(blocks):
        numbered[photo, down * BLOCK : (down + 1) * BLOCK, right * BLOCK : (right + 1) * BLOCK] = number
    x, _ = _cut(np.random.default_rng(0), numbered, blocks, 300, 12, "height")
    assert_array_equal(x, x[:, :1, :1, :1] * np.ones_like(x))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["vector", "image", "sequence"]), st.floats(-1e3, 1e3), st.integers(0, 5))
def test_other_parts_never_touch_the_training_part(kind: str, value: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = {"vector": (6,), "image": (2, 4, 4), "sequence": (5, 2)}[kind]
    x = tuple(rng.normal(size=(n, *shape)) for n in (30, 10, 10))
    y = tuple(rng.normal(size=n) for n in (30, 10, 10))
    strengths = (("input_noise", 0.5), ("masked", 0.3), ("rotated", 1.0))
    spec = dataclasses.replace(sklearn("diabetes"), kind=kind, settings=strengths, seed=seed)
    clean = prepare(Raw(x, y, 0), spec)
    other = prepare(Raw((x[0], x[1] + value, x[2]), (y[0], y[1] * value, y[2]), 0), spec)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        assert_array_equal(getattr(clean, name), getattr(other, name))


@pytest.mark.parametrize("rate", [0.1, 0.4, 1.0])
def test_label_noise_touches_a_share_of_training_labels_alone(rate: float) -> None:
    noisy = make(sklearn("digits", variants="label-noise", label_noise=rate))
    clean = make(sklearn("digits"))
    # One in ten of the labels drawn anew is right by chance.
    assert np.mean(noisy.y_train != clean.y_train) == pytest.approx(0.9 * rate, abs=0.05)
    for name in ("x_train", "x_val", "y_val", "x_test", "y_test"):
        assert_array_equal(getattr(noisy, name), getattr(clean, name))


def test_noise_on_numbers_is_in_deviations_of_the_target() -> None:
    clean, noisy = (raw_y(sklearn("diabetes", variants=v, label_noise=0.5)) for v in ("whole", "label-noise"))
    assert np.corrcoef(clean, noisy)[0, 1] == pytest.approx(1 / 1.25**0.5, abs=0.05)


def raw_y(spec: DataSpec) -> np.ndarray:
    return make(spec).y_train


def test_a_share_of_numbers_is_masked_in_every_part() -> None:
    data = make(sklearn("digits", variants="masked", masked=0.4))
    for part in PARTS:
        values, counts = np.unique(getattr(data, f"x_{part}"), return_counts=True)
        assert counts.max() / counts.sum() == pytest.approx(0.4, abs=0.02)
        assert values[counts.argmax()] == pytest.approx(0, abs=0.02)


def test_a_turn_of_the_axes_keeps_the_spectrum_of_an_image() -> None:
    turned, plain = make(sklearn("digits", variants="rotated")), make(sklearn("digits"))
    flat = [data.x_train.reshape(997, -1) for data in (turned, plain)]
    spectra = [np.linalg.svd(x - x.mean(0), compute_uv=False) for x in flat]
    assert_allclose(spectra[0] / spectra[0].sum(), spectra[1] / spectra[1].sum(), atol=1e-5)
    assert not np.allclose(turned.x_train, plain.x_train, atol=0.5)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(DataError, match=r"'digits-image'.*no training example of class \d; raise n_train \(now 8\)"):
        make(sklearn("digits", n_train=8))
    with pytest.raises(DataError, match="5000 validation rows are asked for, 400 are there"):
        make(dataclasses.replace(sklearn("digits"), n_val=5000))
    with pytest.raises(DataError, match="no source 'nonsense'"):
        make(dataclasses.replace(sklearn("digits"), source="nonsense"))


def test_families_are_those_of_other_corpora() -> None:
    known = {"digits", "iris", "wine-cultivars", "breast-cancer", "diabetes-efron", "sample-images"}
    assert {found.family for found in BUNDLED.values()} == known
