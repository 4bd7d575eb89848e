"""Parametric families of learning curves, fitted to many prefixes at once.

Every family is linear in an asymptote and a range and nonlinear in at most two shape parameters:
``f(t) = a + b phi(t; theta)``. Given theta, a and b have a closed form (variable projection, Golub and Pereyra 1973);
theta is searched on a grid and polished by Levenberg-Marquardt with Kaufman's projected Jacobian.

Forms from Domhan et al. (2015), table 1, and Viering and Loog (2022), table 1. Up to their parametrisation the
exp4, Weibull and Janoschek curves are one function of t, here ``weibull``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metalcx.curves._batch import FloatArray, IntArray

#: ``phi(log t, theta, origin) -> (phi (..., m), its derivatives by theta (..., p, m))``; theta is (..., 1, p).
Basis = Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

#: Exponents are kept within this, so that no basis overflows.
EXTREME = 60.0

POLISH_STEPS = 10


@dataclass(frozen=True)
class Family:
    """One parametric form.

    Attributes:
        basis: The nonlinear part. Times are logarithms in units of the last; `origin` is that of the first.
        grid: Where theta is searched, shape (g, p); its hull, half a step wider, bounds the polish.
        offset: Whether there is a free asymptote; without, the curve starts or ends at zero.
    """

    basis: Basis
    grid: FloatArray
    offset: bool = True

    @property
    def n_parameters(self) -> int:
        """Free numbers of the curve and the noise's variance."""
        return int(self.grid.shape[1] + 1 + self.offset + 1)


@dataclass(frozen=True)
class Fit:
    """A family fitted to n prefixes: theta (n, p), asymptote, range and squared error (n,)."""

    family: Family
    theta: FloatArray
    a: FloatArray
    b: FloatArray
    sse: FloatArray

    def at(self, log_t: FloatArray, origin: FloatArray, which: IntArray) -> FloatArray:
        """Values of fit `which[i]` at one log time each, shape (m,)."""
        phi, _ = self.family.basis(log_t[:, None], self.theta[which][:, None], origin[:, None])
        return np.asarray(self.a[which] + self.b[which] * phi[:, 0])


def _bounded_exp(x: FloatArray) -> FloatArray:
    return np.exp(np.clip(x, -EXTREME, EXTREME))


def _pow3(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``t^-c``."""
    c = np.exp(theta[..., 0])
    phi = _bounded_exp(-c * x)
    return phi, (-c * x * phi)[..., None, :]


def _pow4(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``(t + d)^-c``."""
    c, d = np.exp(theta[..., 0]), np.exp(theta[..., 1])
    shifted = np.exp(np.minimum(x, EXTREME)) + d
    phi = _bounded_exp(-c * np.log(shifted))
    return phi, np.stack([-c * np.log(shifted) * phi, -c * d / shifted * phi], -2)


def _exp3(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``exp(-k t)``."""
    kt = _bounded_exp(theta[..., 0] + x)
    phi = np.exp(-kt)
    return phi, (-kt * phi)[..., None, :]


def _weibull(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``exp(-k t^s)``; exp4 and Janoschek alike."""
    s = np.exp(theta[..., 1])
    kt = _bounded_exp(theta[..., 0] + s * x)
    phi = np.exp(-kt)
    return phi, np.stack([-kt * phi, -kt * s * x * phi], -2)


def _mmf(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``1 / (1 + k t^s)``, Morgan-Mercer-Flodin."""
    s = np.exp(theta[..., 1])
    kt = _bounded_exp(theta[..., 0] + s * x)
    phi = 1.0 / (1.0 + kt)
    return phi, np.stack([-kt * phi**2, -kt * s * x * phi**2], -2)


def _log_power(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``1 / (1 + k t^-s)``, without an asymptote of its own: rises from zero."""
    phi, slope = _mmf(-x, theta, origin)
    return phi, slope


def _ilog2(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``1 / log(1 + t / t_first)``."""
    phi = 1.0 / np.log1p(_bounded_exp(x - origin))
    return phi, np.empty((*phi.shape[:-1], 0, phi.shape[-1]))


def _constant(x: FloatArray, theta: FloatArray, origin: FloatArray) -> tuple[FloatArray, FloatArray]:
    phi: FloatArray = np.zeros_like(x)
    return phi, np.empty((*phi.shape[:-1], 0, phi.shape[-1]))


def _logs(*axes: tuple[float, float, int]) -> FloatArray:
    """All combinations of logarithmic axes (low, high, number), shape (g, p)."""
    lines = [np.linspace(np.log(low), np.log(high), number) for low, high, number in axes]
    return np.stack([m.ravel() for m in np.meshgrid(*lines, indexing="ij")], -1) if axes else np.empty((1, 0))


FAMILIES: dict[str, Family] = {
    "constant": Family(_constant, _logs()),
    "exp3": Family(_exp3, _logs((0.5, 60.0, 9))),
    "ilog2": Family(_ilog2, _logs()),
    "log_power": Family(_log_power, _logs((0.02, 10.0, 7), (0.3, 3.0, 4)), offset=False),
    "mmf4": Family(_mmf, _logs((0.1, 1000.0, 8), (0.4, 3.0, 4))),
    "pow3": Family(_pow3, _logs((0.05, 4.0, 9))),
    "pow4": Family(_pow4, _logs((0.1, 4.0, 6), (0.003, 1.0, 4))),
    "weibull": Family(_weibull, _logs((0.5, 60.0, 7), (0.3, 2.0, 4))),
}


def _project(
    phi: FloatArray, y: FloatArray, w: FloatArray, offset: bool
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Weighted least squares of y on 1 and phi over the last axis: a, b, residual, squared error."""
    total = w.sum(-1)
    centre = (w * phi).sum(-1) / total if offset else np.zeros(phi.shape[:-1])
    level = (w * y).sum(-1) / total if offset else np.zeros(phi.shape[:-1])
    moved = phi - centre[..., None]
    size = (w * moved**2).sum(-1)
    flat = size <= 1e-24 * (w * phi**2).sum(-1)
    b = np.where(flat, 0.0, (w * moved * (y - level[..., None])).sum(-1) / np.where(flat, 1.0, size))
    a = level - b * centre
    residual = y - a[..., None] - b[..., None] * phi
    return a, b, residual, (w * residual**2).sum(-1)


def fit(family: Family, log_t: FloatArray, y: FloatArray, w: FloatArray, origin: FloatArray) -> Fit:
    """Fit a family to n prefixes by weighted least squares.

    Args:
        family: The form.
        log_t: Logarithms of time over the prefix's last time, shape (n, bins).
        y: Values, shape (n, bins).
        w: Weights, 0 where there is no point, shape (n, bins).
        origin: Logarithm of the first time over the last, shape (n,).
    """
    grid = family.grid
    phi, _ = family.basis(log_t[:, None], grid[:, None], origin[:, None, None])
    *_, errors = _project(phi, y[:, None], w[:, None], family.offset)
    theta = grid[np.argmin(errors, 1)]
    if grid.shape[1]:
        theta = _polish(family, theta, log_t, y, w, origin[:, None])
    phi, _ = family.basis(log_t, theta[:, None], origin[:, None])
    a, b, _, sse = _project(phi, y, w, family.offset)
    return Fit(family, theta, a, b, sse)


def _polish(
    family: Family, theta: FloatArray, log_t: FloatArray, y: FloatArray, w: FloatArray, origin: FloatArray
) -> FloatArray:
    """Levenberg-Marquardt on theta (n, p), every prefix with a damping of its own."""
    grid = family.grid
    steps = [np.diff(np.unique(axis)).min() for axis in grid.T]
    low, high = grid.min(0) - 0.5 * np.array(steps), grid.max(0) + 0.5 * np.array(steps)
    damping = np.full(len(theta), 1e-2)
    phi, slope = family.basis(log_t, theta[:, None], origin)
    _, b, residual, error = _project(phi, y, w, family.offset)
    for _ in range(POLISH_STEPS):
        jacobian = b[:, None, None] * _orthogonal(slope, phi, w, family.offset)
        # Sums run over the last axis only, whose length is fixed: their rounding is the same in every batch.
        gradient = (w[:, None] * jacobian * residual[:, None]).sum(-1)
        curvature = (w[:, None, None] * jacobian[:, None] * jacobian[:, :, None]).sum(-1)
        trial = np.clip(theta + _damped_solve(curvature, gradient, damping), low, high)
        tried, tried_slope = family.basis(log_t, trial[:, None], origin)
        _, new_b, new_residual, new_error = _project(tried, y, w, family.offset)
        better = new_error < error
        theta, b = np.where(better[:, None], trial, theta), np.where(better, new_b, b)
        phi, residual = (np.where(better[:, None], *p) for p in ((tried, phi), (new_residual, residual)))
        slope, error = np.where(better[:, None, None], tried_slope, slope), np.where(better, new_error, error)
        damping = np.clip(np.where(better, 0.2, 8.0) * damping, 1e-9, 1e6)
    return theta


def _orthogonal(slope: FloatArray, phi: FloatArray, w: FloatArray, offset: bool) -> FloatArray:
    """`slope` (n, p, bins) without what a and b can take up."""
    return _project(phi[:, None], slope, w[:, None], offset)[2]


def _damped_solve(curvature: FloatArray, gradient: FloatArray, damping: FloatArray) -> FloatArray:
    """Solve the damped normal equations of one or two unknowns, shape (n, p)."""
    diagonal = np.einsum("npp->np", curvature)
    lifted = diagonal * (1.0 + damping[:, None]) + 1e-300
    if gradient.shape[1] == 1:
        return np.asarray(gradient / lifted)
    cross = curvature[:, 0, 1]
    determinant = np.maximum(lifted[:, 0] * lifted[:, 1] - cross**2, 1e-300)
    first = gradient[:, 0] * lifted[:, 1] - gradient[:, 1] * cross
    second = gradient[:, 1] * lifted[:, 0] - gradient[:, 0] * cross
    return np.asarray(np.stack([first, second], -1) / determinant[:, None])
