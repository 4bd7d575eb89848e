"""Order of runs by what is forecast, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError
from metalcx.protocol import SHARES, FloatArray, Forecast

if TYPE_CHECKING:
    import pandas as pd

#: Draws of all runs' values: a probability of one half is then known to within .8 % (one standard error).
DRAWS = 4096


@dataclass(frozen=True)
class Ranking:
    """Runs compared by their forecast at one time each; see `rank`.

    Attributes:
        forecast: One time a run, n runs.
        seed: Of the draws.
    """

    forecast: Forecast = field(repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.forecast.point.shape[1] != 1:
            raise DataError(
                f"runs are ranked at one time each; the forecast has {self.forecast.point.shape[1]}; forecast at one"
            )

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """Positions of the runs, best expected value first, shape (n,); the more certain of equals first."""
        sign = self.forecast.metric.sign
        expected, median = -sign * self.forecast.point[:, 0], -sign * self._median
        return np.lexsort((median, expected))

    @property
    def _median(self) -> FloatArray:
        return self.forecast.values[:, 0, self.forecast.values.shape[-1] // 2]

    @cached_property
    def _place(self) -> npt.NDArray[np.int64]:
        """Place of every run in every draw, 0 for the best, shape (DRAWS, n); those of equals are drawn."""
        n = len(self.forecast)
        shape = (DRAWS, n)
        drawn = self.forecast.metric.sign * self.forecast.sample(DRAWS, self.seed).reshape(shape)
        ties = np.random.default_rng([self.seed, 1]).random(shape)
        best_first = np.lexsort((ties, -drawn), axis=-1)
        place = np.empty(shape, dtype=np.int64)
        np.put_along_axis(place, best_first, np.broadcast_to(np.arange(n), shape), axis=-1)
        return place

    @property
    def prob_best(self) -> FloatArray:
        """Probability that each run is the best of all, shape (n,); they add up to 1."""
        return self.prob_top(1)

    def prob_top(self, k: int) -> FloatArray:
        """Probability that each run is among the best `k`, shape (n,).

        Raises:
            DataError: If `k` is below 1.
        """
        if k < 1:
            raise DataError(f"the top k needs a k of at least 1; got {k}")
        return np.asarray((self._place < k).mean(0), dtype=np.float64)

    def top_set(self, k: int = 1, confidence: float = 0.9) -> npt.NDArray[np.object_]:
        """Ids of the fewest runs, likeliest first, that hold the best `k` with at least this probability.

        Raises:
            DataError: If `k` is below 1, or `confidence` not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise DataError(f"a confidence lies strictly between 0 and 1; got {confidence}")
        likeliest = np.argsort(-self.prob_top(k), kind="stable")
        among = self._place[:, likeliest] < min(k, len(likeliest))
        # The last of the best k, in the order of likelihood, says how many runs it takes.
        needed = among.shape[1] - np.argmax(among[:, ::-1], axis=1) if among.size else np.zeros(1, dtype=np.int64)
        size = int(np.quantile(needed, confidence, method="inverted_cdf"))
        return self.forecast.ids[likeliest[:size]]

    def prob_beats(self, incumbent: float) -> FloatArray:
        """P(value is better than `incumbent`), shape (n,)."""
        return self.forecast.prob_better(incumbent).reshape(len(self.forecast))

    def expected_improvement(self, incumbent: float) -> FloatArray:
        """E[max(value - incumbent, 0)] in the metric's unit, towards better, shape (n,)."""
        with np.errstate(invalid="ignore"):
            ahead = self.forecast.metric.sign * (self.forecast.values[:, 0] - incumbent)
        return np.asarray(np.maximum(np.nan_to_num(ahead, nan=0.0), 0.0) @ SHARES, dtype=np.float64)

    def to_frame(self, k: int = 1, incumbent: float | None = None) -> pd.DataFrame:
        """One row a run, best first.

        Columns: ``rank, run, t, mean, q0.05, q0.5, q0.95, prob_best``; for `k` above 1 ``prob_top<k>``; with an
        `incumbent` also ``prob_beats`` and ``expected_improvement``.
        """
        import pandas as pd

        quantiles = self.forecast.quantile([0.05, 0.5, 0.95]).reshape(len(self.forecast), 3)
        columns: dict[str, Any] = {"run": self.forecast.ids, "t": self.forecast.t[:, 0]}
        columns |= {"mean": self.forecast.point[:, 0], "q0.05": quantiles[:, 0]}
        columns |= {"q0.5": quantiles[:, 1], "q0.95": quantiles[:, 2], "prob_best": self.prob_best}
        if k > 1:
            columns[f"prob_top{k}"] = self.prob_top(k)
        if incumbent is not None:
            columns["prob_beats"] = self.prob_beats(incumbent)
            columns["expected_improvement"] = self.expected_improvement(incumbent)
        frame = pd.DataFrame(columns).infer_objects().iloc[self.order].reset_index(drop=True)
        frame.insert(0, "rank", np.arange(1, len(frame) + 1))
        return frame


def rank(forecast: Forecast, seed: int = 0) -> Ranking:
    """Compare runs by their forecast at one time each, runs being independent of each other.

    Args:
        forecast: Of any runs, running or finished; a finished one is known.
        seed: Of the draws from which probabilities are counted.

    Raises:
        DataError: If the forecast has several times a run.
    """
    return Ranking(forecast, seed)
