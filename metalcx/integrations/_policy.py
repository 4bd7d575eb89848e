"""The one policy that every host asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from metalcx.curves import Curves, Metric
from metalcx.decide import MOST_SUPPORT_LIVE, Decision, DecisionLog, StopPolicy
from metalcx.errors import DataError, MissingDependencyError
from metalcx.hub import load
from metalcx.protocol import At, Forecast, Forecaster

#: The model where none is named.
MODEL = "metalcx-base"

# Hosts call from threads of their own; one adapts, the others find what it adapted.
_LOCK = threading.RLock()


class PolicyOptions(TypedDict, total=False):
    """Further arguments of `metalcx.decide.StopPolicy`, which says what they mean."""

    threshold: float
    nth: int
    margin: float
    width: float
    startup: int
    grace: float
    patience: int
    most_stopped: float
    horizon: float | None
    readapt: bool
    most_support: int | None
    dry_run: bool
    log: Path | None


@dataclass(frozen=True)
class Named:
    """A shipped model, or a folder, loaded when it is first asked: hosts copy and store what they hold of it."""

    name: str | Path

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        """The model itself, adapted."""
        return _loaded(self.name).adapt(support, steps=steps, seed=seed)  # type: ignore[return-value]

    def forecast(self, queries: Curves, at: At) -> Forecast:
        """The forecast of the model as it is."""
        return _loaded(self.name).forecast(queries, at)


@lru_cache
def _loaded(name: str | Path) -> Forecaster:
    return load(name)


def policy_of(model: str | Path | Forecaster, **options: Unpack[PolicyOptions]) -> StopPolicy:
    """The policy, which adapts to the finished runs unless told not to.

    Raises:
        ValueError: If an option is out of range.
    """
    known: PolicyOptions = {"readapt": True, "most_support": MOST_SUPPORT_LIVE}
    return StopPolicy(Named(model) if isinstance(model, str | Path) else model, **(known | options))


def judge(policy: StopPolicy, curves: Curves) -> Decision:
    """The decision about the last of `curves`; the others are finished. A run that diverged is stopped."""
    if curves.status[-1] != "diverged":
        with _LOCK:
            (decision,) = policy.decide(curves)
        return decision
    nan, name, t = float("nan"), curves.metric.name, float(curves.t_last[-1])
    said = f"{'would be stopped' if policy.dry_run else 'stopped'}: {name} at {t:g} is not finite"
    decision = Decision(curves.ids[-1], t, not policy.dry_run, said, nan, policy.threshold, nan, nan, name)
    if policy.log is not None:
        DecisionLog(policy.log).append([decision])
    return decision


def declared(name: str, mode: str, lower: float | None, upper: float | None) -> Metric:
    """The metric that a host's arguments declare.

    Raises:
        ValueError: If `mode` is neither ``"min"`` nor ``"max"``, or bounds do not ascend.
    """
    try:
        return Metric(name, mode, lower, upper)  # type: ignore[arg-type]
    except DataError as error:
        raise ValueError(f"mode, lower or upper: {error}") from None


def needs(host: str, extra: str, error: ImportError) -> Any:
    """What a module raises where its host is not installed."""
    return MissingDependencyError(f'this integration needs {host} ({error}); run pip install "metalcx[{extra}]"')
