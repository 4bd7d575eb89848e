"""Hyperparameters as points in a space whose scales the support sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metalcx.curves._batch import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: A positive hyperparameter that spans at least this ratio in the support is compared by its logarithm.
LOG_RATIO = 30.0

#: Largest distance from the support's centre, in its standard deviations.
REACH = 4.0


@dataclass(frozen=True)
class ConfigurationSpace:
    """Columns that vary in the support: numbers standardised, categories as indicators.

    Attributes:
        numbers: Column, whether its logarithm is taken, centre, spread.
        categories: Column and its levels in the support, as text.
    """

    numbers: tuple[tuple[str, bool, float, float], ...] = ()
    categories: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())

    @classmethod
    def of(cls, config: pd.DataFrame | None) -> ConfigurationSpace:
        """The space spanned by a support's configurations; empty where there are none."""
        numbers, categories = [], []
        for label in () if config is None else config.columns:
            name, column = str(label), config[label]  # type: ignore[index]
            values = numeric(column)
            if np.isfinite(values).sum() < column.notna().sum():
                levels = tuple(sorted({str(v) for v in column[column.notna()]}))
                categories += [(name, levels)] if len(levels) > 1 else []
                continue
            known = values[np.isfinite(values)]
            if len(known) and known.min() < known.max():
                log = bool(known.min() > 0 and known.max() >= LOG_RATIO * known.min())
                known = np.log(known) if log else known
                numbers.append((name, log, float(known.mean()), float(known.std())))
        return cls(tuple(numbers), tuple(categories))

    def __len__(self) -> int:
        """Number of columns that vary."""
        return len(self.numbers) + len(self.categories)

    def encode(self, config: pd.DataFrame | None, n: int) -> tuple[FloatArray, BoolArray]:
        """Points (n, columns) and whether each run has a configuration in this space, shape (n,).

        A missing number counts as the support's mean, an unseen category is unlike all others.
        """
        names = [name for name, *_ in self.numbers] + [name for name, _ in self.categories]
        columns = {} if config is None else {str(name): config[name] for name in config}
        if not names or any(name not in columns for name in names):
            return np.zeros((n, 0)), np.zeros(n, dtype=bool)
        parts = [relative(numeric(columns[c]), log, mid, wide)[:, None] for c, log, mid, wide in self.numbers]
        for name, levels in self.categories:
            text = columns[name].astype(object).map(str).to_numpy()
            parts.append((text[:, None] == np.array(levels, dtype=object)) * 1.0)
        return np.concatenate(parts, 1), np.any([columns[name].notna() for name in names], axis=0)


def relative(values: FloatArray, log: bool, centre: float, spread: float) -> FloatArray:
    """Numbers, or their logarithms, in standard deviations of the support, 0 where there is none."""
    if log:
        values = np.log(np.where(values > 0, values, np.nan))
    scaled = np.clip((values - centre) / spread, -REACH, REACH)
    return np.where(np.isfinite(scaled), scaled, 0.0)


def numeric(column: pd.Series) -> FloatArray:
    """A column as numbers, NaN where it holds none."""
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
