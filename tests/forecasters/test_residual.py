"""What configuration and architecture tell beyond the curve: believed where it helps, and told by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from metalcx import hub
from metalcx.forecasters import ExpertGate
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._residual import ResidualGP
from metalcx.forecasters._traits import Architectures, Traits, traits
from metalcx.testing import check_forecaster, synthetic_curves

CUTS = np.array([1.0, 2.0, 4.0])
RATES = np.linspace(-3.0, 0.0, 20)


def configured(n: int = 20, seed: int = 0, rates: np.ndarray = RATES) -> Traits:
    """Runs whose configurations are one number each."""
    curves = replace(synthetic_curves(n, 6, seed=seed), config=pd.DataFrame({"rate": rates[:n]}), arch=None)
    space = ConfigurationSpace.of(pd.DataFrame({"rate": RATES}))
    return traits(curves, space, Architectures(None))


def smooth(rates: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(2 * rates), np.sin(2 * rates) / 2, np.sin(2 * rates) / 4])


def test_it_is_the_gaussian_process_that_it_says_it_is():
    known, z = configured(), smooth(RATES)
    process = ResidualGP.fitted(known, z, CUTS)
    assert process is not None
    query = configured(5, rates=np.array([-2.9, -2.1, -1.0, -0.4, 0.2]))
    found = process.shift(query, np.full(5, 2.0))
    errors = {}
    for noise in (0.1, 0.3, 1.0, 3.0):
        reference = GaussianProcessRegressor(RBF(process.reach[0]), alpha=noise, optimizer=None)
        errors[noise] = np.abs(reference.fit(known.points, z[1]).predict(query.points) - found).max()
    assert min(errors.values()) < 1e-8


def test_held_out_values_are_those_of_a_process_without_the_run():
    known, z = configured(), smooth(RATES) + 0.1 * np.random.default_rng(0).normal(size=(3, 20))
    process = ResidualGP.fitted(known, z, CUTS)
    assert process is not None
    i, others = 7, np.delete(np.arange(20), 7)
    for noise in (0.1, 0.3, 1.0, 3.0):
        reference = GaussianProcessRegressor(RBF(process.reach[0]), alpha=noise, optimizer=None)
        told = reference.fit(known.points[others], z[0, others]).predict(known.points[[i]])[0]
        if abs(told - process.held_out[0, i]) < 1e-8:
            return
    raise AssertionError("no noise gives the held-out value")


def test_noise_and_small_supports_tell_nothing():
    rng = np.random.default_rng(1)
    believed = [ResidualGP.fitted(configured(), rng.normal(size=(3, 20)), CUTS) for _ in range(60)]
    shifts = [0.0 if p is None else np.abs(p.held_out).mean() for p in believed]
    assert np.mean(shifts) < 0.1
    assert ResidualGP.fitted(configured(4), smooth(RATES[:4]), CUTS) is None
    assert ResidualGP.fitted(configured(), np.zeros((3, 20)), CUTS) is None


def test_between_cuts_it_is_between_and_a_run_without_configuration_is_not_moved():
    process = ResidualGP.fitted(configured(), smooth(RATES), CUTS)
    assert process is not None
    query = configured(1, rates=np.array([-0.7]))
    early, middle, late = (process.shift(query, np.array([t]))[0] for t in (1.0, 1.5, 2.0))
    assert middle == pytest.approx((early + late) / 2)
    assert process.shift(query, np.array([0.1]))[0] == early
    unknown = replace(query, placed=np.array([False]))
    assert process.shift(unknown, np.array([1.5]))[0] == 0


def with_rates(curves, rates):
    return replace(curves, config=pd.DataFrame({"rate": rates[: len(curves)]}), arch=None)


def raised(curves, rates):
    """Each run ends higher by what its rate says, which nothing before its last point shows."""
    y = curves.y.copy()
    y[curves.offsets[1:] - 1] += 0.5 * np.sin(2 * rates[: len(curves)])
    return replace(with_rates(curves, rates), values={curves.metric.name: y})


def test_a_forecaster_learns_what_configurations_do(tmp_path):
    support = raised(synthetic_curves(20, 12, seed=1), RATES)
    rates = np.random.default_rng(2).uniform(-3, 0, 20)
    whole = raised(synthetic_curves(20, 12, seed=3), rates)
    queries = whole.truncate(5.0)
    base = ExpertGate()
    model, blind = base.adapt(support, steps=0), replace(base, beside=False).adapt(support, steps=0)
    errors = [np.abs(m.forecast(queries, 12.0).mean - whole.final).mean() for m in (model, blind)]
    assert errors[0] < 0.8 * errors[1]
    hub.save(base, tmp_path / "base", name="base")
    hub.save_adapted(hub.load(tmp_path / "base").adapt(support, steps=0), tmp_path / "base", tmp_path / "adapted")
    again = hub.load(tmp_path / "adapted").forecast(queries, 12.0)
    np.testing.assert_array_equal(again.values, model.forecast(queries, 12.0).values)


def test_rules_are_kept_with_it():
    check_forecaster(ExpertGate(), rules=["batch", "mirror", "no_config", "times"])
