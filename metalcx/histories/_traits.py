"""What a history says of its run, in a few numbers that mean the same on every dataset.

Accuracies are told as skill: 0 at the share of the commonest class, 1 where every answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from metalcx.errors import DataError
from metalcx.histories._history import FloatArray, History, refuse_one_class
from metalcx.histories._proxies import Proxy, fit_proxy, standardised

#: Accuracies on the validation part: of the network, of the vote of its checkpoints, of proxies.
SKILLS = ("own", "own_best", "vote", "probe", "concat", "mean", "consensus")
#: Accuracies on the training part, and of what there was before training.
FURTHER_SKILLS = ("own_train", "probe_left_out", "concat_left_out", "probe_start")
#: Of the network: how sure of the right classes it is, how far its features have moved since the first checkpoint and
#: since the one before, in how many directions they vary, and on how many examples it still changes its mind.
OTHERS = ("likelihood", "train_likelihood", "moved", "moving", "directions", "fickle")
#: Of the data and the history.
CIRCUMSTANCES = ("chance", "classes", "examples", "checkpoints")

TRAITS = (*SKILLS, *FURTHER_SKILLS, *OTHERS, *CIRCUMSTANCES)


def traits_of(history: History, proxies: Mapping[str, Proxy] | None = None) -> FloatArray:
    """Numbers of `TRAITS` for all that a history holds; cut it first.

    Args:
        history: At least one checkpoint; one at time 0 is what training started from, and no part of the proxies
            unless it is the only one.
        proxies: Those of `proxies_of`, where they are known already.

    Raises:
        DataError: If the training part holds one class only.
    """
    late = _trained(history)
    refuse_one_class(late.y_train)
    fits = proxies_of(history) if proxies is None else proxies
    last, y = late.take([-1]), late.labels
    own = late.outputs.argmax(-1) == y
    sure = _likelihoods(last)
    start = fits["probe"] if history.t[0] == late.t[-1] else fit_proxy(history.take([0]))
    chance = float(np.bincount(late.y_train).max() / late.n_train)
    accuracy = {
        "own": own[-1, late.n_train :].mean(),
        "own_best": own[:, late.n_train :].mean(1).max(),
        "vote": fits["own"].accuracy,
        "own_train": own[-1, : late.n_train].mean(),
        "probe_left_out": fits["probe"].train_accuracy,
        "concat_left_out": fits["concat"].train_accuracy,
        "probe_start": start.accuracy,
        **{name: fits[name].accuracy for name in ("probe", "concat", "mean", "consensus")},
    }
    z = standardised(history)[:, : history.n_train]
    before = history.outputs[max(len(history) - 2, 0)].argmax(-1)
    rest = {
        "likelihood": sure[late.n_train :].mean(),
        "train_likelihood": sure[: late.n_train].mean(),
        "moved": _distance(z[0], z[-1]),
        "moving": _distance(z[max(len(z) - 2, 0)], z[-1]),
        "directions": _directions(z[-1]),
        "fickle": (history.outputs[-1].argmax(-1) != before)[late.n_train :].mean(),
        "chance": chance,
        "classes": np.log(late.n_classes),
        "examples": np.log(late.n_train),
        "checkpoints": np.log(len(late)),
    }
    skills = {name: skill(value, chance) for name, value in accuracy.items()}
    return np.array([{**skills, **rest}[name] for name in TRAITS], dtype=np.float64)


def proxies_of(history: History) -> dict[str, Proxy]:
    """The proxies of `SKILLS` by name: ``probe`` is of the last checkpoint alone, ``own`` the network's own votes."""
    late = _trained(history)
    fits = {"probe": fit_proxy(late.take([-1])), "own": fit_proxy(late, "own")}
    if len(late) == 1:  # then all are one
        return fits | dict.fromkeys(("concat", "mean", "consensus"), fits["probe"])
    return fits | {kind: fit_proxy(late, kind) for kind in ("concat", "mean", "consensus")}


def skill(accuracy: Any, chance: Any) -> Any:
    """Accuracy above `chance`, as a share of what there is above it."""
    return (accuracy - chance) / (1.0 - chance)


def _trained(history: History) -> History:
    return history if len(history) < 2 or history.t[0] > 0 else history.take(np.arange(1, len(history)))


def _likelihoods(last: History) -> FloatArray:
    """Log-likelihood of the right class as a share of a uniform guess's: 1 if certain, 0 if uniform, at least -2."""
    log_p = log_softmax(last.outputs[0].astype(np.float64), axis=-1)[np.arange(len(last.labels)), last.labels]
    return np.maximum(1.0 + log_p / np.log(max(last.n_classes, 2)), -2.0)


def _distance(a: FloatArray, b: FloatArray) -> float:
    """1 - linear CKA (Kornblith et al., ICML 2019, eq. 4): 0 where `b` is a rotation of `a`; (n, d) each, centred."""
    scale = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(1.0 - np.linalg.norm(a.T @ b) ** 2 / scale) if scale > 0 else 0.0


def _directions(z: FloatArray) -> float:
    """Logarithm of the participation ratio of the covariance."""
    covariance = z.T @ z
    return float(np.log(max(np.trace(covariance) ** 2 / max((covariance**2).sum(), 1e-12), 1.0)))


@dataclass(frozen=True, eq=False)
class TraitTable:
    """Traits of runs by run id and time: what a forecaster looks up.

    Attributes:
        rows: Run id -> times (k,), ascending, and traits at them (k, len(TRAITS)).
    """

    rows: Mapping[Any, tuple[FloatArray, FloatArray]] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @classmethod
    def of(
        cls, histories: Mapping[Any, History], times: Callable[[History], FloatArray] | FloatArray | None = None
    ) -> TraitTable:
        """Compute the traits of histories.

        Args:
            histories: By run id.
            times: At which traits are wanted, each cutting the history there; by default at every checkpoint.
        """
        rows = {}
        for run, history in histories.items():
            wanted = history.t if times is None else np.asarray(times(history) if callable(times) else times)
            known = np.array([t for t in wanted if t >= history.t[0]])
            if len(known):
                rows[run] = known, np.stack([traits_of(history.until(t)) for t in known])
        return cls(rows)

    def at(self, run: Any, t: float) -> FloatArray | None:
        """The latest traits of a run known at `t`, None where there are none."""
        if run not in self.rows:
            return None
        times, values = self.rows[run]
        seen = int(np.searchsorted(times, t, side="right"))
        return values[seen - 1] if seen else None

    def many(self, runs: Iterable[Any], t: npt.ArrayLike) -> FloatArray:
        """The latest traits of n runs known at `t`, a number or one a run: shape (n, len(TRAITS)), NaN where none."""
        names = list(runs)
        found = np.full((len(names), len(TRAITS)), np.nan)
        for i, (run, when) in enumerate(zip(names, np.broadcast_to(np.asarray(t), len(names)), strict=True)):
            own = self.at(run, float(when))
            if own is not None:
                found[i] = own
        return found

    def __or__(self, other: TraitTable) -> TraitTable:
        """Runs of both; of a run that is in both, the other's."""
        return TraitTable({**self.rows, **other.rows})

    def __post_init__(self) -> None:
        for run, (times, values) in self.rows.items():
            if values.shape != (len(times), len(TRAITS)) or (np.diff(times) <= 0).any():
                raise DataError(f"run {run!r}: {len(times)} ascending times do not fit traits of shape {values.shape}")
