"""What every shipped checkpoint and every baseline says of curves that come with metalcx; see `write.py`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from metalcx import hub
from metalcx.corpora import open_corpus
from metalcx.curves import Curves
from metalcx.forecasters import LSTM, SRM, Baseline, LatentKroneckerGP, OneEpoch, PowerLaw
from metalcx.forecasters._simple import NAMES
from metalcx.protocol import Forecaster
from metalcx.transfer import Candidates

FORECASTS, EMBEDDINGS, BELIEFS = (Path(__file__).with_name(f"{n}.csv") for n in ("forecasts", "embeddings", "beliefs"))

#: Task -> support runs; a loss of which runs diverged or stopped early, and an accuracy.
TASKS = {"digits-image-masked": 8, "digits-image-rotated": 5}
QUERIES, CUT = 3, 0.5


class Case(NamedTuple):
    """A forecaster, and how far its numbers may move between versions, in spreads of the support's last values."""

    make: Callable[[], Forecaster]
    tolerance: float


# Closed forms hold to rounding; what is optimised or trained holds to where its optimiser stops.
CASES: dict[str, Case] = {
    **{f"baseline {name}": Case(lambda name=name: Baseline(name), 1e-8) for name in NAMES},
    "one-epoch": Case(OneEpoch, 1e-8),
    "power-law": Case(PowerLaw, 1e-4),
    "srm ols": Case(lambda: SRM("ols"), 1e-6),
    "srm nusvr-rbf": Case(lambda: SRM("nusvr-rbf", tuned=False), 1e-4),
    "srm random-forest": Case(lambda: SRM("random-forest", tuned=False), 1e-2),
    "latent-kronecker": Case(LatentKroneckerGP, 1e-3),
    "lstm": Case(lambda: LSTM(), 1e-2),
    "metalcx-base": Case(lambda: hub.load("metalcx-base"), 1e-4),
    "metalcx-base without support": Case(lambda: hub.load("metalcx-base"), 1e-4),
    "metalcx-mini": Case(lambda: hub.load("metalcx-mini"), 1e-4),
}


@lru_cache
def drawn(task: str) -> tuple[Curves, Curves, np.ndarray]:
    """Support, prefixes of queries, and the times asked: three quarters of the way to each end, and the end."""
    curves = open_corpus("smallnets").task(task).curves()
    support = curves.take(np.arange(TASKS[task]) * (len(curves) // (TASKS[task] + 1)))
    rest = np.setdiff1d(np.flatnonzero(curves.status == "completed"), np.flatnonzero(np.isin(curves.ids, support.ids)))
    whole = curves.take(rest[:: max(1, len(rest) // QUERIES)][:QUERIES])
    seen = whole.truncate(CUT * whole.t_last)
    return support, seen, np.stack([np.round(0.75 * whole.t_last), whole.t_last], axis=1)


def forecasts(name: str) -> pd.DataFrame:
    """Rows `forecaster, task, run, t, mean, q0.05, q0.5, q0.95`."""
    parts = []
    for task in TASKS:
        support, seen, at = drawn(task)
        model = CASES[name].make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = model if "without support" in name else model.adapt(support, seed=1)
            forecast = model.forecast(seen, at)
        frame = pd.DataFrame({"run": np.repeat(seen.ids, 2), "t": at.ravel(), "mean": forecast.mean.ravel()})
        for level in (0.05, 0.5, 0.95):
            frame[f"q{level:g}"] = forecast.quantile(level).ravel()
        parts.append(frame.assign(forecaster=name, task=task))
    return pd.concat(parts, ignore_index=True)


def spread(task: str) -> float:
    """Spread of the last values of a task's support."""
    final = drawn(task)[0].final
    return float(np.ptp(final[np.isfinite(final)]))


@lru_cache
def candidates() -> Candidates:
    """Networks of NAS-Bench-Graph."""
    texts = ("0123|gat|gcn|gin|fc", "0012|sage|arma|skip|graph", "0000|gcn|gcn|gcn|gcn", "0111|cheb|fc|gat|gat")
    return Candidates.from_frame(pd.DataFrame({"arch": [*texts, "0013|skip|gin|sage|gcn", "0011|fc|fc|fc|fc"]}))


def embeddings() -> pd.DataFrame:
    """The first eight numbers of `metalcx-encoder` of each candidate."""
    found = hub.load_encoder("metalcx-encoder").encode(candidates().graphs)
    return pd.DataFrame(found[:, :8]).add_prefix("e").assign(candidate=range(len(found)))


def beliefs() -> pd.DataFrame:
    """Mean and spread of `metalcx-suggest` before and after two candidates were tried."""
    model, known = hub.load_priors("metalcx-suggest"), candidates()
    belief = model.prior_for(known).belief(known, hub.load_encoder(model.encoder))
    frame = pd.DataFrame({"candidate": range(len(known)), "mean": belief.mean(), "spread": belief.spread()})
    belief.tell(0, 0.7)
    belief.tell(3, 0.8)
    return frame.assign(mean_after=belief.mean(), spread_after=belief.spread())
