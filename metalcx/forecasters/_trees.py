"""Boosted trees on the sources: what a good tabular learner makes of the same inputs as the expert gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError
from metalcx.forecasters._base import BaseForecaster
from metalcx.forecasters._gate_items import Items
from metalcx.forecasters._requests import requests
from metalcx.protocol import LEVELS

#: Answers further than this many anchors from the centre are brought back to it in fitting.
REACH = 20.0

#: Share of the items held out of the trees, from which the widths come.
WIDTH_SHARE = 0.2


@dataclass(frozen=True)
class BoostedTrees(BaseForecaster):
    """Gradient-boosted trees (scikit-learn's histogram version) fitted to source items, support statistics included.

    The point minimises the absolute error in anchors around med5; the distribution is that of the errors on
    held-out source items, in anchors. The support acts through the inputs only.

    Args:
        trees: A fitted regressor; use `fit`.
        errors: Quantiles at `LEVELS` of answer less point, in anchors.
    """

    trees: Any = field(repr=False, compare=False)
    errors: FloatArray = field(repr=False, compare=False)

    @classmethod
    def fit(cls, data: Items, seed: int = 0, iterations: int = 250) -> Self:
        """Fit to items of source tasks.

        Args:
            data: Source items, at least a hundred.
            seed: Of the split between trees and widths.
            iterations: Number of trees.

        Raises:
            DataError: If there are fewer than a hundred items.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor

        if len(data) < 100:
            raise DataError(f"boosted trees need at least 100 source items; got {len(data)}")
        y = np.clip(data.y, -REACH, REACH)
        held = np.random.default_rng([seed, 5]).random(len(data)) < WIDTH_SHARE
        trees = HistGradientBoostingRegressor(
            loss="absolute_error", learning_rate=0.08, max_iter=iterations, min_samples_leaf=50, random_state=seed
        )
        trees.fit(data.x[~held], y[~held], sample_weight=data.weight[~held])
        miss = y[held] - trees.predict(data.x[held])
        return cls(trees, np.quantile(miss, LEVELS))

    def _predict(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        asked = requests(self.support.curves, prefix, rows, times)
        scaled = self.trees.predict(asked.x.astype(np.float32))[:, None]
        return asked.values(scaled)[:, 0], asked.values(scaled + self.errors)
