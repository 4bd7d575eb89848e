"""The support as a query sees it: distances, what was missed, what configurations and architectures tell of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metalcx.forecasters._aligned import align
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._gate_inputs import gate_inputs
from metalcx.forecasters._peers import COURSE, RELATIONS, Distances, courses, distances, evidence, gone, peers
from metalcx.forecasters._traits import Traits
from metalcx.testing import synthetic_curves

SUPPORT = synthetic_curves(6, 12, seed=1).padded()
PREFIX = synthetic_curves(3, 12, seed=2).truncate(5.0).padded()
ROWS = np.array([0, 2, 1, 0])
TIMES = np.array([12.0, 12.0, 9.0, 30.0])


def made(arch, known=None, config=None) -> Traits:
    arch = np.asarray(arch, dtype=float)
    space = ConfigurationSpace.of(pd.DataFrame({"lr": [0.0, 1.0, 2.0]}))
    points, placed = space.encode(None if config is None else pd.DataFrame({"lr": config}), len(arch))
    there = np.ones(len(arch), bool) if known is None else np.asarray(known)
    return Traits(arch, there, np.zeros((len(arch), 2)), points, placed)


SIX, THREE = made(np.eye(6), config=np.arange(6.0)), made(np.eye(6)[:3], [True, False, True], [0.0, 1.0, 5.0])


def test_what_is_unlike_is_far():
    apart = distances(THREE, SIX)
    assert apart.shape == (3, 6, 2)
    config, arch = apart[..., 0], apart[..., 1]
    assert config[2].argmin() == 5
    assert config[0].tolist() == sorted(config[0])
    assert arch[0, 0] == 0
    np.testing.assert_allclose(arch[0, 1:], np.arcsinh(1.0))
    assert not arch[1].any(), "an architecture that is not known is at no distance"
    assert not distances(made(np.zeros((2, 0))), made(np.zeros((4, 0)))).any()


def test_every_request_has_the_support_beside_it():
    a = align(SUPPORT, PREFIX, ROWS, TIMES)
    found = peers(a, gate_inputs(a), Distances.of(THREE, SIX, ROWS))
    assert found.relation.shape == (4, 6, len(RELATIONS))
    assert (found.relation >= 0).all()
    assert found.known.tolist() == [[1, 1], [1, 1], [1, 0], [1, 1]]
    assert found.evidence[2, 1] == 0
    for b, row in enumerate(ROWS):
        alone = align(SUPPORT, PREFIX, ROWS[[b]], TIMES[[b]])
        own = peers(alone, gate_inputs(alone), Distances.of(THREE, SIX, ROWS[[b]]))
        np.testing.assert_allclose(own.relation[0], found.relation[b], atol=1e-9, err_msg=f"request {b} of run {row}")
        np.testing.assert_allclose(own.missed[0], found.missed[b], atol=1e-9)


@pytest.mark.parametrize("k", [0, 1])
def test_hardly_any_support_is_ordinary(k):
    few = SUPPORT.take(np.arange(k))
    a = align(few, PREFIX, ROWS, TIMES)
    known = made(np.eye(6)[:k], config=np.arange(float(k)))
    found = peers(a, gate_inputs(a), Distances.of(THREE, known, ROWS))
    assert found.relation.shape == (4, k, len(RELATIONS))
    assert not found.missed.any()
    assert not found.evidence.any()
    assert not found.known.any(), "one run says nothing of what difference makes"


def test_evidence_is_what_neighbours_tell_of_each_other():
    place = np.repeat([0.0, 10.0], 4)
    distance = np.abs(place[:, None] - place)[None]
    by_place = np.where(place > 5, 1.0, -1.0)[None]
    assert evidence(by_place, distance)[0] > 0.7
    against = np.tile([1.0, -1.0], 4)[None]
    assert evidence(against, distance)[0] < 0.2
    assert evidence(np.zeros((1, 8)), distance)[0] == 0
    assert evidence(by_place, np.zeros((1, 8, 8)))[0] == pytest.approx(0, abs=1e-9), "alike all are alike"
    assert evidence(by_place[:, :2], distance[:, :2, :2]).tolist() == [0]


def test_courses_are_in_units_of_how_far_runs_went():
    cut, unit = np.array([3.0, 5.0]), np.array([2.0, 4.0])
    one = courses(gone(SUPPORT, cut, unit))
    assert one.shape == (2, 6, len(COURSE))
    larger = courses(gone(SUPPORT.with_values(7.0 + 1000 * SUPPORT.y), cut, unit))
    np.testing.assert_allclose(larger, one, rtol=1e-6)
    expected = (
        SUPPORT.at(np.full((6, 1), 3.0 + 2.0 * np.expm1(COURSE[1])))[:, 0] - SUPPORT.at(np.full((6, 1), 3.0))[:, 0]
    )
    typical = np.abs(SUPPORT.last - SUPPORT.at(np.full((6, 1), 3.0))[:, 0]).mean()
    np.testing.assert_allclose(np.sinh(one[0, :, 1]), expected / typical)
    assert courses(gone(SUPPORT.take(np.arange(0)), cut, unit)).shape == (2, 0, len(COURSE))
