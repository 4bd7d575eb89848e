"""Trajectories: as exact as the method, the same whatever else is solved or asked, and lost runs are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalcx.forecasters import _ode_solve
from metalcx.forecasters._ode_solve import Drift, solve

RATES = torch.tensor([[-1.0], [-0.3], [0.5]], dtype=torch.float64)
START = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)


def growth(rows: torch.Tensor) -> Drift:
    return lambda s, z: RATES[rows] * z


def until(*s: float) -> torch.Tensor:
    return torch.tensor(s, dtype=torch.float64)


def at_two(method: str = "rk4") -> np.ndarray:
    """z(2) of dz/ds = rate z."""
    return solve(growth, START, until(2, 2, 2), method).at(torch.arange(3), until(2, 2, 2)).numpy()


EXACT = (START * torch.exp(2 * RATES)).numpy()


def test_an_error_falls_sixteenfold_when_the_step_halves(monkeypatch):
    wrong = []
    for step in (0.5, 0.25, 0.125):
        monkeypatch.setattr(_ode_solve, "STEP", step)
        wrong.append(np.abs(at_two() - EXACT).max())
    assert wrong[0] / wrong[1] == pytest.approx(16, rel=0.25)
    assert wrong[1] / wrong[2] == pytest.approx(16, rel=0.25)
    assert wrong[2] < 1e-5


def test_an_adaptive_method_keeps_its_tolerance():
    np.testing.assert_allclose(at_two("dopri5"), EXACT, rtol=1e-4)


@given(st.floats(0.0, 3.0), st.floats(0.1, 3.0))
def test_between_grid_points_it_is_as_exact(s, horizon):
    s = min(s, horizon)
    found = solve(growth, START, until(horizon, s, 3)).at(torch.arange(3), until(s, s, s))
    np.testing.assert_allclose(found, START * torch.exp(s * RATES), atol=3e-3)


def test_a_run_is_where_it_is_whatever_is_asked_beside_it():
    times, alone = until(0.0, 0.3, 1.1), solve(growth, START[:1], until(1.1))
    run = torch.zeros(3, dtype=torch.long)
    for ends in (until(6.0, 6.0, 6.0), until(1.1, 6.0, 3.0), until(1.1, 0.0, 0.2)):
        np.testing.assert_allclose(solve(growth, START, ends).at(run, times), alone.at(run, times), rtol=1e-12)


def test_a_run_takes_no_part_in_steps_that_it_does_not_need():
    asked = []

    def watched(rows: torch.Tensor) -> Drift:
        def drift(s: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            asked.append((sorted(rows.tolist()), float(s.max())))
            return RATES[rows] * z

        return drift

    path = solve(watched, START, until(0.9, 2.0, 0.4))
    for run, most in ((0, 1.0), (1, 2.0), (2, 0.5)):
        assert max(s for rows, s in asked if run in rows) == most
    np.testing.assert_allclose(path.at(torch.tensor([1]), until(2.0)), START[[1]] * np.exp(-0.6), rtol=1e-4)
    assert (path.z[3:, 0] == 0).all()


def test_time_is_told_to_the_drift():
    """dz/ds = s, so z(2) = 2 beyond where it began."""
    path = solve(lambda rows: lambda s, z: s[..., None].expand_as(z), START, until(2, 2, 2))
    np.testing.assert_allclose(path.at(torch.arange(3), until(2, 2, 2)), START + 2, rtol=1e-9)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_a_run_that_leaves_the_numbers_is_named_and_spoils_no_other(method):
    def explosive(rows: torch.Tensor) -> Drift:
        wild = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)[rows]
        return lambda s, z: wild * torch.exp(z.square() + 50 * s[..., None]) - 0.1 * z

    path = solve(explosive, START, until(3, 3, 3), method)
    assert path.lost.tolist() == [False, True, False]
    assert torch.isfinite(path.z).all()
    found = path.at(torch.tensor([0, 2]), torch.full((2,), 2.0, dtype=torch.float64))
    np.testing.assert_allclose(found, START[[0, 2]] * np.exp(-0.2), rtol=1e-3)


def test_a_horizon_of_nothing_is_the_start():
    path = solve(growth, START, until(0, 0, 0))
    np.testing.assert_array_equal(path.at(torch.arange(3), torch.zeros(3, dtype=torch.float64)), START)
    assert path.z.shape == (2, 3, 1)
