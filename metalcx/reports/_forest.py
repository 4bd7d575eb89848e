"""Forest plots: what each characteristic did on every source dataset, and what that says of datasets in general."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EACH, POOLED = "#7fb2d8", "#D55E00"


class EffectsLike(Protocol):
    """What is drawn; `metalcx.transfer.Effects` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """P characteristics."""
        ...

    @property
    def each(self) -> FloatArray:
        """Effects a family, shape (k, p)."""
        ...

    @property
    def mean(self) -> FloatArray:
        """Of datasets in general, shape (p,)."""
        ...

    @property
    def low(self) -> FloatArray:
        """Lower end of its interval, shape (p,)."""
        ...

    @property
    def high(self) -> FloatArray:
        """Upper end, shape (p,)."""
        ...

    @property
    def same_sign(self) -> FloatArray:
        """Share of families with the sign of the mean, shape (p,)."""
        ...


def plot_forest(
    effects: EffectsLike, names: Sequence[str] | None = None, *, most: int = 12, ax: Axes | None = None
) -> Axes:
    """Draw effects of characteristics: a dot a source family, a diamond with its 95 % interval for datasets in general.

    Args:
        effects: What is drawn.
        names: Characteristics, the uppermost first; by default those with the strongest effects.
        most: How many by default.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on.

    Raises:
        DataError: If a characteristic is not known, or there is none to draw.
    """
    unknown = [name for name in names or () if name not in effects.names]
    if unknown:
        raise DataError(f"no characteristic {name_some(unknown)}; there is {name_some(effects.names, 20)}")
    strongest = np.argsort(-np.abs(np.nan_to_num(effects.mean)), kind="stable")[:most]
    rows = strongest if names is None else np.array([effects.names.index(name) for name in names], dtype=np.int64)
    if not len(rows):
        raise DataError("there is no characteristic to draw; give sources whose candidates differ")
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(7.0, 1.2 + 0.32 * len(rows)), layout="constrained").subplots()
    for place, i in enumerate(rows):
        each = effects.each[np.isfinite(effects.each[:, i]), i]
        ax.plot(each, np.full(len(each), place), "o", color=EACH, markersize=4, alpha=0.7)
        if np.isfinite(effects.low[i]):
            ax.plot([effects.low[i], effects.high[i]], [place, place], color=POOLED, linewidth=1.8)
        ax.plot(effects.mean[i], place, "D", color=POOLED, markersize=6)
    ax.axvline(0.0, color="#000000", linewidth=0.8)
    ax.set_yticks(range(len(rows)), [f"{effects.names[i]} ({effects.same_sign[i]:.0%})" for i in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel("effect on the rank-normalised final, in standard deviations\n(in brackets: families with this sign)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
