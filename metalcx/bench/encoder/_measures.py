"""How good an order of architectures is."""

from __future__ import annotations

import warnings

import numpy as np

from metalcx.bench.encoder._proxies import FloatArray

#: Shares of the best, in percent.
TOPS = (1, 5, 10)

#: Names of all measures.
MEASURES = ("tau", "rho", *(f"p@{percent}%" for percent in TOPS))


def measures(score: FloatArray, values: FloatArray) -> dict[str, float]:
    """Kendall's tau-b, Spearman's rho, and the share of the predicted top 1, 5, 10 % that is truly there.

    Who gives all the same score has tau and rho 0.
    """
    from scipy.stats import kendalltau, spearmanr

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {"tau": kendalltau(score, values).statistic, "rho": spearmanr(score, values).statistic}
    found |= {f"p@{percent}%": precision(score, values, percent / 100) for percent in TOPS}
    return {name: float(np.nan_to_num(value)) for name, value in found.items()}


def precision(score: FloatArray, values: FloatArray, share: float) -> float:
    """Of the `share` with the highest scores, how many are among as many with the highest values.

    Ties are broken at random, in each by itself, so that an order of the rows helps nobody.
    """
    n, random = max(1, round(share * len(values))), np.random.default_rng(0)
    top, true = (np.lexsort((random.random(len(v)), -v))[:n] for v in (score, values))
    return len(np.intersect1d(top, true)) / n
