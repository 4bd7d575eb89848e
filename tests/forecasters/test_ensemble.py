"""The gate and the ODE together: their mean, the rules, what is kept."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from metalcx import hub
from metalcx.curves import Metric
from metalcx.errors import ModelError
from metalcx.forecasters import Ensemble
from metalcx.protocol import LEVELS
from metalcx.testing import check_forecaster, synthetic_curves
from metalcx.testing._synthetic import with_y

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
    # Alone, each sums in another order what it knows of the queries: the last digit is not the same.
    alike = partial(np.testing.assert_allclose, rtol=1e-12)
    alike(told.values, (gate.values + ode.values) / 2)
    alike(told.quantile(LEVELS[5]), (gate.quantile(LEVELS[5]) + ode.quantile(LEVELS[5])) / 2)
    alike(told.mean, (gate.mean + ode.mean) / 2)


def test_each_part_keeps_within_the_bounds_by_itself() -> None:
    metric = Metric("loss", "min", 0.0)
    support, queries = (synthetic_curves(n, 12, metric=metric, seed=n) for n in (6, 5))
    low = [with_y(curves, curves.y - 0.99 * curves.y.min()) for curves in (support, queries)]
    adapted = shaken().adapt(low[0])
    told, gate, ode = (m.forecast(low[1].truncate(3.0), at=12.0) for m in (adapted, adapted.gate, adapted.ode))
    bound = (gate.values == 0) != (ode.values == 0)
    assert bound.any()
    np.testing.assert_allclose(told.values, (gate.values + ode.values) / 2, rtol=1e-12)


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
