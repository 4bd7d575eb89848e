"""The latent Kronecker GP against dense algebra, a peer library, and curves drawn from a GP."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from strategies import SCORE, make

from metalcx.forecasters import Baseline, LatentKroneckerGP
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._kronecker import JITTER, MODE, Hyperparameters, Observed, evidence, fit, inverse_of

T = np.arange(1.0, 41)


def cells(k: int = 4, g: int = 5, holes: bool = True, seed: int = 0) -> Observed:
    rng = np.random.default_rng(seed)
    run, cell = np.divmod(np.arange(k * g), g)
    keep = rng.random(k * g) < 0.8 if holes else np.ones(k * g, bool)
    keep[cell == 0] = True
    place = rng.normal(size=(k, 2))
    square = ((place[:, None] - place) ** 2).mean(-1)
    y, weight = rng.normal(size=k * g), rng.integers(1, 4, k * g).astype(float)
    return Observed(run[keep], np.log(1.0 + cell[keep]), y[keep], weight[keep], square)


def drawn(n: int, seed: int, noise: float = 0.05) -> np.ndarray:
    """Curves of one mean, deviations that persist and deviations that fade over log time, and noise."""
    rng = np.random.default_rng(seed)
    gap = np.abs(np.log(T)[:, None] - np.log(T))
    kernel = 0.3 + 0.7 * (1 + np.sqrt(3) * gap / 2) * np.exp(-np.sqrt(3) * gap / 2)
    root = np.linalg.cholesky(kernel + 1e-10 * np.eye(len(T)))
    shared = 2.0 * root @ rng.normal(size=len(T))
    return shared + rng.normal(size=(n, len(T))) @ root.T + noise * rng.normal(size=(n, len(T)))


def test_gradient_of_the_evidence() -> None:
    observed = cells()
    raw = MODE + np.linspace(-0.4, 0.5, len(MODE))
    _, gradient = evidence(raw, observed)
    for i in range(len(raw)):
        step = 1e-5 * np.eye(len(raw))[i]
        slope = (evidence(raw + step, observed)[0] - evidence(raw - step, observed)[0]) / 2e-5
        np.testing.assert_allclose(gradient[i], slope, rtol=1e-4, atol=1e-6)


def test_evidence_is_gpytorchs() -> None:
    torch, gpytorch = pytest.importorskip("torch"), pytest.importorskip("gpytorch")
    observed = cells(holes=False)
    h = Hyperparameters.of(MODE)
    matern = gpytorch.kernels.MaternKernel(nu=1.5).double()
    matern.lengthscale = h.timescale
    x = torch.as_tensor(observed.log_t[:5])[:, None]
    with torch.no_grad():
        time = h.persistence + (1 - h.persistence) * matern(x).to_dense()
        product = torch.kron(torch.as_tensor(observed.runs(h)), time)
        full = product + torch.diag(torch.as_tensor(h.noise / observed.weight + JITTER))
        normal = gpytorch.distributions.MultivariateNormal(torch.zeros(20, dtype=torch.float64), full)
        expected = normal.log_prob(torch.as_tensor(observed.y)).item()
    np.testing.assert_allclose(evidence(MODE, observed)[0], expected, rtol=1e-8)


def test_fit_ascends_and_finds_the_noise() -> None:
    y = drawn(16, 0)[:, [0, 1, 2, 3, 5, 7, 11, 15, 22, 31, 39]]
    run, cell = np.divmod(np.arange(y.size), y.shape[1])
    t = np.log(T)[[0, 1, 2, 3, 5, 7, 11, 15, 22, 31, 39]]
    observed = Observed(run, t[cell], y.ravel(), np.ones(y.size), np.full((16, 16), np.inf))
    h = fit(observed)
    assert 0.02 < np.sqrt(h.noise) < 0.1
    assert 0.3 < h.run < 3.0


def test_posterior_is_dense_conditioning() -> None:
    y = drawn(7, 1)[:, :12]
    curves = make(SCORE, [(T[:12], row) for row in y])
    model = LatentKroneckerGP().adapt(curves.take(np.arange(6)))
    fc = model.forecast(curves.take([6]).truncate(5), 11.5)
    p = model.posterior
    assert p is not None
    h = p.h
    run = np.concatenate([np.repeat(np.arange(6), 12), np.repeat(6, 6)])
    log_t = np.log(np.concatenate([np.tile(T[:12], 6), T[:5], [11.5]]))
    k = (h.shared + h.run * np.equal.outer(run, run)) * h.time(np.abs(np.subtract.outer(log_t, log_t)))
    # Without configurations each run still carries that part of the variance, alone.
    k += h.configuration * np.equal.outer(run, run) * h.time(np.abs(np.subtract.outer(log_t, log_t)))
    k += (h.noise + JITTER) * np.eye(len(k))
    seen = (np.maximum(np.concatenate([y[:6].ravel(), y[6, :5]]), model.support.floor) - p.centre) / p.unit
    weights = np.linalg.solve(k[:-1, :-1], k[:-1, -1])
    sigma = p.unit * np.sqrt(k[-1, -1] - weights @ k[:-1, -1]) * p.widen(np.array([5.0]))[0]
    np.testing.assert_allclose(fc.mean, p.centre + p.unit * (weights @ seen), rtol=1e-7)
    np.testing.assert_allclose(fc.quantile(0.95) - fc.mean, 1.6448536 * sigma, rtol=1e-5)


def test_width_comes_from_leaving_each_run_out() -> None:
    y = drawn(6, 2)[:, :10]
    model = LatentKroneckerGP().adapt(make(SCORE, [(T[:10], row) for row in y]))
    p = model.posterior
    assert p is not None
    k, target = p.cells.covariance(p.h), p.cells.y
    squares = []
    for i in range(6):
        end = 10 * i + 9
        given = np.concatenate([np.flatnonzero(p.cells.run != i), 10 * i + np.arange(4)])
        weights = np.linalg.solve(k[np.ix_(given, given)], k[given, end])
        error = target[end] - weights @ target[given]
        squares.append(min(error**2 / (k[end, end] - weights @ k[given, end]), 25.0))
    np.testing.assert_allclose(p.widen(np.array([4.0])), np.sqrt((sum(squares) + 4) / (6 + 4)), rtol=1e-6)


def test_inverse_from_its_factor() -> None:
    a = np.random.default_rng(0).normal(size=(6, 6))
    a = a @ a.T + np.eye(6)
    np.testing.assert_allclose(inverse_of(np.linalg.cholesky(a)), np.linalg.inv(a), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [5, 20])
def test_on_gp_drawn_curves_it_beats_the_last_value_and_covers(k: int) -> None:
    errors, last, covered = [], [], []
    for seed in range(3):
        y = drawn(k + 60, seed + 10)
        curves = make(SCORE, [(T, row) for row in y])
        queries, end = curves.take(np.arange(k, k + 60)).truncate(10), y[k:, -1]
        support = curves.take(np.arange(k))
        fc = LatentKroneckerGP().adapt(support).forecast(queries, 40.0)
        errors.append(np.abs(fc.mean - end).mean())
        last.append(np.abs(Baseline("last").forecast(queries, 40.0).mean - end).mean())
        covered.append(((fc.quantile(0.1) <= end) & (end <= fc.quantile(0.9))).mean())
    assert np.mean(errors) < 0.8 * np.mean(last)
    assert 0.65 <= np.mean(covered) <= 0.95


def test_configurations_help_where_they_decide() -> None:
    rng = np.random.default_rng(0)
    lr = 10 ** rng.uniform(-4, 0, 60)
    end = np.sin(2 * np.log10(lr))
    y = end[:, None] * (1 - np.exp(-(T - 1) / 10)) + 0.01 * rng.normal(size=(60, 40))
    config = pd.DataFrame({"lr": lr, "batch": 32, "optimizer": rng.choice(["sgd", "adam"], 60)})
    parts = [(T, row) for row in y]
    errors = []
    for known in (config, None):
        curves = make(SCORE, parts, config=known)
        fc = (
            LatentKroneckerGP()
            .adapt(curves.take(np.arange(20)))
            .forecast(curves.take(np.arange(20, 60)).truncate(1), 40.0)
        )
        errors.append(np.abs(fc.mean - y[20:, -1]).mean())
    assert errors[0] < 0.6 * errors[1]


def test_queries_without_configuration_are_forecast_all_the_same() -> None:
    y = drawn(12, 3)
    config = pd.DataFrame({"lr": np.linspace(0.1, 1.0, 12)})
    model = LatentKroneckerGP().adapt(make(SCORE, [(T, row) for row in y[:8]], config=config.iloc[:8]))
    fc = model.forecast(make(SCORE, [(T[:9], row[:9]) for row in y[8:]], ["running"] * 4), [20.0, 40.0])
    assert fc.mean.shape == (4, 2)
    assert np.isfinite(fc.values).all()


def test_space_of_configurations() -> None:
    table = pd.DataFrame({"lr": [1e-4, 1e-2, 1e0], "depth": [1, 2, 3], "same": 1, "kind": ["a", "b", "a"]})
    space = ConfigurationSpace.of(table)
    assert [name for name, *_ in space.numbers] == ["lr", "depth"]
    assert [log for _, log, *_ in space.numbers] == [True, False]
    points, known = space.encode(pd.DataFrame({"depth": [2, None], "lr": [1e-2, -1.0], "kind": ["b", "new"]}), 2)
    np.testing.assert_allclose(points, [[0, 0, 0, 1], [0, 0, 0, 0]], atol=1e-12)
    assert known.all()
    assert not space.encode(table.drop(columns="lr"), 3)[1].any()


def test_a_large_support_stays_small() -> None:
    y = drawn(120, 4)
    model = LatentKroneckerGP().adapt(make(SCORE, [(T, row) for row in y]))
    assert model.posterior is not None
    assert len(model.posterior.cells.y) == 120 * 6
