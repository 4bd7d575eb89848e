"""What a sequential regression model sees of a run: its curve with differences, and its description as numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray

if TYPE_CHECKING:
    import pandas as pd

#: Configuration columns that describe the network and not its training, in lower case without separators.
ARCHITECTURE_NAMES = re.compile(
    r"(n|num|number)?(param|parameter|weight|layer|block|filter|unit|head|input|hidden|neuron|cell)s?"
    r"|(filter|kernel|hidden|embedding|embed|model|ff)(size|dim|width|units)?|dmodel|dff|depth|width"
    r"|(cell|base|model)(type|model|name)?|architecture|arch|network|net|activation"
)

#: Ratio of largest to smallest value from which a positive column is taken as its logarithm.
DECADE = 10.0

Column = Callable[["pd.DataFrame"], FloatArray]


def time_series(values: FloatArray) -> FloatArray:
    """Values y_1..y_tau, their first and their second differences.

    Source: Baker et al. 2017, section 3 (features TS).

    Args:
        values: Shape (n, tau).

    Returns:
        Shape (n, max(1, 3 tau - 3)).
    """
    return np.concatenate([values, np.diff(values, axis=1), np.diff(values, n=2, axis=1)], 1)


def is_architecture(name: str) -> bool:
    """Whether a configuration column called `name` describes the network (AP) and not its training (HP)."""
    return ARCHITECTURE_NAMES.fullmatch("".join(c for c in name.lower() if c.isalnum())) is not None


def description(curves: Curves, architectures: Mapping[Any, Mapping[str, Any]] | None = None) -> pd.DataFrame:
    """One row a run: its configuration, joined by what `architectures` says of its `arch` (columns ``arch.*``)."""
    import pandas as pd

    frame = pd.DataFrame(index=range(len(curves))) if curves.config is None else curves.config.reset_index(drop=True)
    if not architectures or curves.arch is None:
        return frame
    known = pd.DataFrame([dict(architectures.get(arch, {})) for arch in curves.arch], index=frame.index)
    return pd.concat([frame, known.add_prefix("arch.")], axis=1)


@dataclass(frozen=True)
class Encoder:
    """Turns descriptions of runs into numbers, as learned from those of the support.

    Columns that do not vary in the support are left out, as are names that no two runs share.
    Numbers that are positive and span a decade become logarithms; categories become one column
    each, all zero for a category the support never had. What is missing becomes the support's mean.
    """

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, wanted: Callable[[str], bool]) -> Encoder:
        """Learn from the support's `frame` the columns whose name is `wanted`."""
        found: list[Column] = []
        for name in sorted((n for n in frame.columns if wanted(str(n))), key=str):
            found += _columns(frame, name)
        return cls(tuple(found))

    def __call__(self, frame: pd.DataFrame) -> FloatArray:
        """Shape (n, columns), finite."""
        columns = [column(frame) for column in self.columns]
        return np.stack(columns, 1) if columns else np.empty((len(frame), 0))


def _columns(frame: pd.DataFrame, name: Any) -> Iterable[Column]:
    column = frame[name]
    if column.map(lambda value: isinstance(value, (list, dict, set))).any():
        return []
    known = column.dropna()
    if known.nunique() < 2:
        return []
    numbers = _numbers(frame, name)
    if np.isfinite(numbers).sum() == len(known):
        return [_numeric(name, numbers)]
    categories = sorted(known.astype(str).unique())
    # A name that no two runs share identifies the run and says nothing about another.
    return [_category(name, c) for c in categories] if len(categories) < len(known) else []


def _numbers(frame: pd.DataFrame, name: Any) -> FloatArray:
    """A column as floats; NaN where it is missing or no finite number."""
    import pandas as pd

    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    column = frame[name]
    # Configurations of mixed kinds arrive as objects; True and False count as 1 and 0.
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _numeric(name: Any, seen: FloatArray) -> Column:
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    logarithmic = low > 0 and high >= DECADE * low

    def transform(values: FloatArray) -> FloatArray:
        return np.log(np.maximum(values, 1e-3 * low)) if logarithmic else values

    mean = float(np.nanmean(transform(seen)))

    def column(frame: pd.DataFrame) -> FloatArray:
        values = transform(_numbers(frame, name))
        return np.where(np.isfinite(values), values, mean)

    return column


def _category(name: Any, category: str) -> Column:
    def column(frame: pd.DataFrame) -> FloatArray:
        if name not in frame.columns:
            return np.zeros(len(frame))
        return np.asarray((frame[name].astype(str) == category).to_numpy(), dtype=np.float64)

    return column
