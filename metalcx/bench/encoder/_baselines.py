"""Ranking architectures without a learned encoder: regressions on counts of operations and on the flow surrogate."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from metalcx.bench.encoder._proxies import FloatArray
from metalcx.bench.encoder._spaces import Space
from metalcx.encoders import CountTable, FlowSurrogate


def features(space: Space, what: str, surrogate: FlowSurrogate, beside: bool = False) -> FloatArray:
    """What a regression knows of every architecture, shape (m, columns).

    Args:
        space: The space.
        what: ``counts``, ``surrogate``, or ``surrogate+counts``, which has the zero-cost proxy too where there is one.
        surrogate: The numbers that are also told in pre-training.
        beside: Whether to add several proxies.
    """
    columns = []
    if "surrogate" in what:
        flow = surrogate(space.batch).astype(np.float64)
        middle = np.median(np.abs(flow), axis=0)
        # As pre-training has it: sizes differ by orders of magnitude.
        columns.append(np.arcsinh(flow / np.where(middle > 0, middle, 1.0)))
    if "counts" in what:
        columns.append(CountTable(tuple(sorted(set(space.batch.words)))).encode(space.batch).astype(np.float64))
    if beside:
        columns.append(space.beside.astype(np.float64))
    elif "+" in what and space.proxy[0] is not None:
        columns.append(np.log1p(np.nan_to_num(space.proxy[1]))[:, None])
    return np.hstack(columns)


def normal_scores(values: FloatArray) -> FloatArray:
    """Ranks as quantiles of a standard normal: only an order is asked for, and a failed run is no outlier."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values) - 0.5) / len(values)), dtype=np.float64)


def fitted(model: str, x: FloatArray, y: FloatArray, seed: int) -> Any:
    """A regression on what is known: `x` of shape (n, columns), and `y`, of which the order counts, of shape (n,)."""
    with warnings.catch_warnings():
        # A length scale at its bound is an answer too.
        warnings.simplefilter("ignore")
        return _regression(model, x.shape[1], seed).fit(x, normal_scores(y))


def _regression(model: str, width: int, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if model == "trees":
        return ExtraTreesRegressor(300, min_samples_leaf=2, random_state=seed)
    if model == "ridge":
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
    kernel = ConstantKernel() * RBF(np.sqrt(width)) + WhiteKernel(0.1)
    return make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, random_state=seed))
