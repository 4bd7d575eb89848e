"""Ridge classification with the penalty that leave-one-out chooses, in closed form.

Targets are +1 for an example's class and -1 for the others, as in scikit-learn's `RidgeClassifier`, to which one fit
at the same penalty is equal; here all penalties, and the left-out scores, come from one decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import linalg

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Penalties that are tried, as shares of the mean squared length of an example.
SHARES = np.logspace(-4, 2, 13)


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A fitted ridge classifier.

    Attributes:
        weights: Shape (d, classes).
        intercept: Shape (classes,).
        penalty: The penalty chosen, in the unit of scikit-learn's ``alpha``.
        left_out: Score of each training example by the fit without it, shape (n, classes).
    """

    weights: FloatArray
    intercept: FloatArray
    penalty: float
    left_out: FloatArray = field(repr=False)

    def scores(self, x: FloatArray) -> FloatArray:
        """Shape (n, classes), about +1 for the class and -1 for others."""
        return x @ self.weights + self.intercept


def fit_ridge(x: FloatArray, y: IntArray, n_classes: int, shares: FloatArray = SHARES) -> RidgeFit:
    """Fit to training examples alone.

    Args:
        x: Shape (n, d).
        y: Classes, shape (n,).
        n_classes: How many there are; some may not occur.
        shares: Penalties to choose from, each a share of the mean squared length of a (centred) example: so the
            choice does not change when features are scaled, or all of them repeated.
    """
    target = np.where(np.arange(n_classes) == y[:, None], 1.0, -1.0)
    middle, mean = x.mean(0), target.mean(0)
    centred, aim = x - middle, target - mean
    length = float((centred**2).sum(1).mean())
    if length <= 0:
        return RidgeFit(np.zeros((x.shape[1], n_classes)), mean, 0.0, np.broadcast_to(mean, target.shape))
    u, s, vt = linalg.svd(centred, full_matrices=False, check_finite=False, overwrite_a=True, lapack_driver="gesdd")
    along = u.T @ aim
    penalties = length * shares
    shrunk = s**2 / (s**2 + penalties[:, None])
    # Leverage of each example, the intercept's 1/n included: a left-out residual is the residual over 1 - leverage.
    leverage = np.minimum(1.0 / len(x) + (u**2) @ shrunk.T, 1.0 - 1e-9)
    residual = aim - np.einsum("nr,pr,rc->pnc", u, shrunk, along, optimize=True)
    gone = residual / (1.0 - leverage.T[..., None])
    best = int((gone**2).mean((1, 2)).argmin())
    weights = vt.T @ ((s / (s**2 + penalties[best]))[:, None] * along)
    return RidgeFit(weights, mean - middle @ weights, float(penalties[best]), target - gone[best])
