"""What each characteristic did on each source dataset, and what that says of datasets in general.

In the spirit of Wistuba & Pedapati (2019, arXiv:1903.03536), who choose the next architecture by which structural
characteristics were strong on earlier datasets; not a reproduction, since no detail of theirs is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from metalcx.curves._batch import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: Correlations are kept from being exactly 1, of which no spread is known.
LARGEST = 0.9999


@dataclass(frozen=True)
class Effects:
    """What held of p characteristics on k families of source datasets.

    Attributes:
        names: The characteristics.
        families: The families.
        each: Effect in each family, shape (k, p): by how many standard deviations the rank-normalised final rises when
            the characteristic rises by one of its own; NaN where it does not vary.
        error: Standard error of each, shape (k, p).
        mean: Effect on datasets in general, shape (p,).
        between: Variance of the effect between datasets, shape (p,).
        low: Lower end of the 95 % interval of `mean`, shape (p,); NaN with fewer than two families.
        high: Upper end, shape (p,).
        same_sign: Share of families on which the effect has the sign of `mean`, shape (p,).
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    each: FloatArray
    error: FloatArray
    mean: FloatArray
    between: FloatArray
    low: FloatArray
    high: FloatArray
    same_sign: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a characteristic, the strongest first: characteristic, effect, low, high, between, same_sign, n."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "characteristic": self.names,
                "effect": self.mean,
                "low": self.low,
                "high": self.high,
                "between": self.between,
                "same_sign": self.same_sign,
                "families": np.isfinite(self.each).sum(0),
            }
        )
        order = np.argsort(-np.abs(np.nan_to_num(self.mean)), kind="stable")
        return frame.iloc[order].reset_index(drop=True)

    def tensors(self) -> dict[str, FloatArray]:
        """What a file holds, which is no NaN: where nothing is known the effect is kept as 0 and its error as -1."""
        each = {f.name: getattr(self, f.name) for f in fields(self) if f.name in ("each", "error")}
        known = np.isfinite(self.each)
        return {name: np.where(known, value, 0.0 if name == "each" else -1.0) for name, value in each.items()}

    @classmethod
    def of_tensors(cls, names: Sequence[str], families: Sequence[str], each: FloatArray, error: FloatArray) -> Effects:
        """The effects of which `tensors` gave these."""
        known = error >= 0
        return combined(names, families, np.where(known, each, np.nan), np.where(known, error, np.nan))


def effect(x: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effects on one dataset, and their standard errors, each of shape (p,): NaN where a column does not vary.

    Args:
        x: Characteristics of n runs, shape (n, p).
        z: Rank-normalised finals, shape (n,).
    """
    n = len(z)
    x, z = x - x.mean(0), z - z.mean()
    spread = np.sqrt(np.square(x).sum(0) * np.square(z).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip(np.where(spread > 1e-9 * n, (z @ x) / spread, np.nan), -LARGEST, LARGEST)
        return r, (1 - r**2) / np.sqrt(max(n - 1, 1))


def combined(names: Sequence[str], families: Sequence[str], each: FloatArray, error: FloatArray) -> Effects:
    """Random-effects meta-analysis over families, for all characteristics at once.

    The variance between datasets is that of DerSimonian & Laird (1986), the interval that of Hartung & Knapp (2001),
    with Student's t of k - 1 degrees of freedom: with few datasets the normal one is too narrow.

    Args:
        names: p characteristics.
        families: k families.
        each: Effects, shape (k, p); NaN where there is none.
        error: Their standard errors, shape (k, p).
    """
    from scipy.stats import t as student

    known = np.isfinite(each) & np.isfinite(error)
    k = known.sum(0)
    y = np.where(known, each, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        fixed = np.where(known, 1 / np.square(error), 0.0)
        middle = (fixed * y).sum(0) / fixed.sum(0)
        q = (fixed * np.square(y - middle)).sum(0)
        scale = fixed.sum(0) - np.square(fixed).sum(0) / fixed.sum(0)
        between = np.where(k > 1, np.maximum((q - (k - 1)) / scale, 0.0), 0.0)
        weight = np.where(known, 1 / (np.square(error) + between), 0.0)
        mean = (weight * y).sum(0) / weight.sum(0)
        variance = (weight * np.square(y - mean)).sum(0) / ((k - 1) * weight.sum(0))
        reach = student.ppf(0.975, np.maximum(k - 1, 1)) * np.sqrt(variance)
        reach = np.where(k > 1, reach, np.nan)
        same = (known & (np.sign(y) == np.sign(mean))).sum(0) / k
    return Effects(
        tuple(names),
        tuple(families),
        each,
        error,
        mean,
        between,
        mean - reach,
        mean + reach,
        np.where(k > 0, same, np.nan),
    )


def by_family(
    each: FloatArray, error: FloatArray, family: Sequence[str]
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Families and the mean effect in each: tasks of one family share examples, so they count as one.

    Its error is the mean of theirs, as if they told the same.

    Args:
        each: Effects a task, shape (tasks, p).
        error: Their standard errors.
        family: Of each task.
    """
    names, code = np.unique(np.asarray(family, dtype=str), return_inverse=True)
    known = np.isfinite(each) & np.isfinite(error)
    member = (code == np.arange(len(names))[:, None]).astype(np.float64)
    count = member @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [(member @ np.where(known, values, 0.0)) / count for values in (each, error)]
    return tuple(names.tolist()), means[0], means[1]
