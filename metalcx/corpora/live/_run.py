"""A run that goes on, and what its reader is told."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from metalcx.curves import Metric

FloatArray = npt.NDArray[np.float64]

_SINGLE = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class LiveOptions:
    """What logs do not say of themselves.

    Args:
        metric: What is followed, under the name that it has in the log.
        time: Column or kind of t where a log has several, such as ``epoch`` or ``step``.
        task: Which task of a table, or study of a storage, with several.
    """

    metric: Metric
    time: str | None = None
    task: str | None = None


@dataclass
class LiveRun:
    """One run, as far as it is written.

    Attributes:
        config: Hyperparameters.
        status: As in `Curves.status`, where the source says it; None where points decide.
        touched: When a point came last, by the clock of `time.time`.
    """

    config: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    touched: float = field(default_factory=time.time)
    _t: array[float] = field(default_factory=lambda: array("d"), repr=False)
    _y: array[float] = field(default_factory=lambda: array("d"), repr=False)
    _settled: tuple[FloatArray, FloatArray, bool] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self._t)

    def add(self, t: float, y: float) -> None:
        """A point; NaN and infinity are measurements, and a time that is not finite is none."""
        if np.isfinite(t):
            self._t.append(t)
            self._y.append(y)
            self._settled = None

    @classmethod
    def of(cls, t: FloatArray, y: FloatArray, touched: float) -> LiveRun:
        """A run of these points, in the order of writing."""
        timed = np.isfinite(t)
        t, y = (np.ascontiguousarray(v[timed], dtype=np.float64) for v in (t, y))
        return cls({}, None, touched, array("d", t.tobytes()), array("d", y.tobytes()))

    def settled(self) -> tuple[FloatArray, FloatArray, bool]:
        """Ascending times, values, and whether the run diverged.

        As the importers have it: of a time that was logged twice the last value counts, and a run ends in one infinity
        at its first value that is not finite.
        """
        if self._settled is None:
            self._settled = _settle(np.array(self._t, dtype=np.float64), np.array(self._y, dtype=np.float64))
        return self._settled


def _settle(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    # Reversed, so that of equal times the last one written comes first and is kept.
    times, place = np.unique(t[::-1], return_index=True)
    values = y[::-1][place]
    broken = np.flatnonzero(~(np.abs(values) <= _SINGLE))
    if not len(broken):
        return times, values, False
    end = int(broken[0]) + 1
    values = values[:end].copy()
    values[-1] = -np.inf if values[-1] < 0 else np.inf
    return times[:end], values, True


class LiveSource(Protocol):
    """Logs that are read again and again."""

    @property
    def time_unit(self) -> str:
        """What t counts."""
        ...

    @property
    def runs(self) -> Mapping[str, LiveRun]:
        """All runs by name, in a steady order."""
        ...

    @property
    def notes(self) -> list[str]:
        """What could not be read, in words."""
        ...

    def poll(self) -> bool:
        """Read what was written since; whether anything is different now."""
        ...


def absent(name: str, there: Iterable[str]) -> Iterator[str]:
    """A note that nothing was logged under a metric's name."""
    known = sorted(set(there))
    if known:
        listed = ", ".join(map(repr, known[:10])) + (" and others" if len(known) > 10 else "")
        yield f"nothing is logged as {name!r} yet; there is {listed}"
