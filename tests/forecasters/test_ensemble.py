"""The gate and the ODE together: their mean, the rules, what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from metalcx import hub
from metalcx.errors import ModelError
from metalcx.forecasters import Ensemble
from metalcx.protocol import LEVELS
from metalcx.testing import check_forecaster, synthetic_curves

from .test_expert_gate import shaken as shaken_gate
from .test_graph_ode import shaken as shaken_ode

SUPPORT = synthetic_curves(20, 12, seed=1)
QUERIES = synthetic_curves(5, 12, seed=2).truncate(np.array([2.0, 3, 5, 7, 9]))


def shaken() -> Ensemble:
    return Ensemble(shaken_gate(), shaken_ode())


def test_it_keeps_the_rules_of_every_forecaster() -> None:
    check_forecaster(shaken())


def test_its_quantiles_are_the_means_of_those_of_its_parts() -> None:
    adapted = shaken().adapt(SUPPORT)
    told, gate, ode = (model.forecast(QUERIES, at=[11.0, 12.0]) for model in (adapted, adapted.gate, adapted.ode))
    assert np.abs(gate.values - ode.values).max() > 1e-3
    np.testing.assert_array_equal(told.values, (gate.values + ode.values) / 2)
    np.testing.assert_array_equal(told.quantile(LEVELS[5]), (gate.quantile(LEVELS[5]) + ode.quantile(LEVELS[5])) / 2)
    np.testing.assert_array_equal(told.mean, (gate.mean + ode.mean) / 2)


def test_what_was_saved_forecasts_alike(tmp_path) -> None:
    model = shaken()
    hub.save(model, tmp_path / "both", name="both")
    known = hub.load(tmp_path / "both")
    np.testing.assert_array_equal(known.forecast(QUERIES, at=12.0).values, model.forecast(QUERIES, at=12.0).values)
    adapted = known.adapt(SUPPORT)
    hub.save_adapted(adapted, tmp_path / "both", tmp_path / "mine")
    again = hub.load(tmp_path / "mine")
    np.testing.assert_allclose(
        again.forecast(QUERIES, at=12.0).values, adapted.forecast(QUERIES, at=12.0).values, rtol=1e-6
    )


def test_a_folder_without_a_part_or_with_another_is_refused() -> None:
    model = shaken()
    with pytest.raises(ModelError, match="no gate or no ode"):
        Ensemble.build({"gate": {}}, model.tensors())
    with pytest.raises(ModelError, match="belongs to no part"):
        Ensemble.build(model.config_dict(), model.tensors() | {"third/weight": np.zeros(1)})
