"""Stop runs that will hardly beat what is there already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.curves._objects import objects
from metalcx.decide._chance import BoolArray, Chance, prob_better
from metalcx.decide._decision import Decision, DecisionLog
from metalcx.decide._support import fingerprint, support_of, usual_end
from metalcx.errors import DataError
from metalcx.protocol import FloatArray, Forecaster


@dataclass(frozen=True)
class StopPolicy:
    """Stops a run where P(its final value beats the incumbent) is below a threshold.

    The rule of Baker et al. (2018, arXiv:1705.10823, section 5): a run is stopped once the probability that it ends
    above the best value so far (or the n-th best, less a margin) has become small, by any forecaster's distribution.
    A policy has no memory: what it decides follows from the curves alone, so that a killed study goes on alike.

    Args:
        model: The forecaster, adapted to the task.
        threshold: Runs with a lower probability are stopped.
        nth: A run has to beat the n-th best finished run.
        margin: By how much the value to beat is eased, in the metric's unit.
        width: Factor on the spread of forecasts around their medians: above 1, fewer runs are stopped. A forecast
            stores no quantile beyond .005 and .995, so that only with a width a threshold reaches further out.
        startup: No run is stopped before so many have finished without diverging.
        grace: No run is stopped before it has reached this time.
        patience: A run is stopped only if the probability was below the threshold at each of its last points, so many.
        most_stopped: The largest share of all runs that may be stopped; those that were have the status `censored`.
        horizon: Time at which runs are compared; by default the median of the completed runs' last times, or of
            the censored ones' where none completed.
        metrics: Names of declared metrics in which a run may win; one that may win in any of them goes on. By default
            the primary metric.
        readapt: Adapt the model to the finished runs among the curves that are decided on; else it is used as given.
        most_support: With `readapt`, the largest number of finished runs to adapt to, which bounds what a decision
            costs: completed ones first, spread evenly over the order of their last values, the best among them.
        dry_run: Decide and give reasons, but stop nothing.
        log: File of JSON lines to which decisions are appended.

    Raises:
        ValueError: If an argument is out of range.
    """

    model: Forecaster
    threshold: float = 0.05
    nth: int = 1
    margin: float = 0.0
    width: float = 1.0
    startup: int = 5
    grace: float = 0.0
    patience: int = 1
    most_stopped: float = 1.0
    horizon: float | None = None
    metrics: tuple[str, ...] = ()
    readapt: bool = False
    most_support: int | None = None
    dry_run: bool = False
    log: Path | None = None
    # By metric: what was adapted, to which support, and what it was made of. Shared by policies that are made of this
    # one, such as one a training with its own horizon, so that they adapt once.
    _adapted: dict[str, tuple[str, Forecaster, Forecaster]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        within = {"threshold": self.threshold, "most_stopped": self.most_stopped}
        for name, share in within.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share between 0 and 1; got {share}")
        counts = {
            "nth": self.nth,
            "startup": self.startup,
            "patience": self.patience,
            "most_support": self.most_support,
        }
        for name, number in counts.items():
            if number is not None and number < 1:
                raise ValueError(f"{name} is at least 1; got {number}")
        if not self.margin >= 0:
            raise ValueError(f"margin is at least 0; got {self.margin}")
        if not 0 < self.width < np.inf:
            raise ValueError(f"width is a positive factor; got {self.width}")
        if np.isnan(self.grace):
            raise ValueError("grace is a time; got nan")
        if self.horizon is not None and not np.isfinite(self.horizon):
            raise ValueError(f"horizon is a finite time; got {self.horizon}")

    def __getstate__(self) -> dict[str, Any]:
        # What is stored by a host, or sent to another process, adapts anew.
        return {**self.__dict__, "_adapted": {}}

    def decide(self, curves: Curves) -> list[Decision]:
        """One decision for every running run of `curves`, in their order.

        Args:
            curves: All runs of the task: finished ones, which tell what is to be beaten, and running ones.

        Raises:
            DataError: If a metric was not declared.
        """
        chances = [self._chance(of) for of in self._primaries(curves)]
        best = np.argmax([np.nan_to_num(c.probability, nan=2.0) for c in chances], axis=0)
        rows = np.arange(len(best))
        probability = np.array([c.probability for c in chances])[best, rows]
        advised = np.all([c.low for c in chances], axis=0)
        held = self._held_back(curves, probability, advised)
        found = [self._decision(chances[best[i]], i, bool(advised[i]), held.get(i)) for i in range(len(best))]
        if self.log is not None:
            DecisionLog(self.log).append(found)
        return found

    def _primaries(self, curves: Curves) -> list[Curves]:
        """The curves once for each metric in which a run may win."""
        if not self.metrics:
            return [curves]
        declared = {metric.name: metric for metric in curves.metrics}
        missing = [name for name in self.metrics if name not in declared]
        if missing:
            raise DataError(f"no metric {missing[0]!r} is declared; there is {', '.join(declared)}")
        if not self.readapt and set(self.metrics) != {curves.metric.name}:
            raise DataError("a model adapted to one metric cannot judge by others; give readapt=True")
        return [replace(curves, metric=declared[name]) for name in self.metrics]

    def _chance(self, curves: Curves) -> Chance:
        """What one metric says of the running runs."""
        running = curves.running()
        finals = curves.metric.sign * curves.final[(curves.status == "completed") | (curves.status == "censored")]
        finals = np.sort(finals[~np.isnan(finals)])[::-1]
        ready = len(finals) >= max(self.startup, self.nth)
        incumbent = curves.metric.sign * (finals[self.nth - 1] - self.margin) if ready else np.nan
        horizon = usual_end(curves) if self.horizon is None else self.horizon
        measured = running.padded()
        t = np.where(measured.length > 0, measured.t_last, np.nan) if len(running) else np.empty(0)
        about = Chance(running, t, float(incumbent), horizon, np.full(len(t), np.nan), np.zeros(len(t), bool), {})
        asked = self._asked(about, measured.length, ready)
        rows = np.flatnonzero(asked)
        if len(rows):
            probability = self._probabilities(curves, running.take(rows), about)
            about.probability[rows] = probability[:, 0]
            about.low[rows] = (probability < self.threshold).all(1)
        return about

    def _asked(self, about: Chance, points: npt.NDArray[np.int64], ready: bool) -> BoolArray:
        """Of which runs a forecast is wanted; the others go on, and `about` is told why."""
        reasons = (
            (np.full(len(points), not ready), f"fewer than {max(self.startup, self.nth)} runs have finished"),
            (np.full(len(points), not np.isfinite(about.horizon)), "no run that ended tells the horizon"),
            (points == 0, "nothing is measured yet"),
            (about.t < self.grace, f"before the grace time {self.grace:g}"),
            (points < self.patience, f"fewer than {self.patience} points"),
            (about.t >= about.horizon, f"at its horizon {about.horizon:g}"),
        )
        asked = np.ones(len(points), dtype=bool)
        for where, reason in reasons:
            about.kept.update({int(i): reason for i in np.flatnonzero(where & asked)})
            asked &= ~where
        return asked

    def _probabilities(self, curves: Curves, running: Curves, about: Chance) -> FloatArray:
        """P(beats the incumbent) as seen from the last `patience` points, latest first, shape (runs, patience)."""
        model = self._model(curves)
        points = running.padded()
        rows = np.arange(len(running))
        seen = [points.t[rows, points.length - 1 - back] for back in range(self.patience)]
        # One forecast of all, each with its own past; ids only tell them apart.
        parts = [running] + [running.truncate(t) for t in seen[1:]]
        asked = Curves.concat([replace(part, ids=_numbered(rows, i)) for i, part in enumerate(parts)])
        better = prob_better(model.forecast(asked, at=about.horizon), about.incumbent, self.width)
        return better.reshape(self.patience, len(running)).T

    def _model(self, curves: Curves) -> Forecaster:
        """The model, adapted to the finished runs if that is wanted; kept until another run finishes."""
        if not self.readapt or (curves.status == "running").all():
            return self.model
        support = support_of(curves, self.most_support)
        name, about = curves.metric.name, fingerprint(support)
        known = self._adapted.get(name)
        if known is None or known[0] != about or known[1] is not self.model:
            known = about, self.model, self.model.adapt(support)
            self._adapted[name] = known
        return known[2]

    def _held_back(self, curves: Curves, probability: FloatArray, advised: BoolArray) -> dict[int, str]:
        """Runs that go on against advice, with the reason: the share is used up, or nobody else is left."""
        likeliest_last = np.flatnonzero(advised)[np.argsort(probability[advised], kind="stable")]
        stopped = int((curves.status == "censored").sum())
        room = max(int(self.most_stopped * len(curves) + 1e-9) - stopped, 0)
        held = {
            int(i): f"{self.most_stopped:g} of the runs may be stopped, and as many are" for i in likeliest_last[room:]
        }
        left = int((curves.status == "completed").sum()) + int((~advised).sum()) + len(held)
        if len(likeliest_last) and not left:
            held[int(likeliest_last[-1])] = "the only survivor"
        return held

    def _decision(self, chance: Chance, i: int, advised: bool, held: str | None) -> Decision:
        metric = chance.running.metric
        sign, probability = (">" if metric.goal == "max" else "<"), float(chance.probability[i])
        said = f"P({metric.name} at {chance.horizon:g} {sign} {chance.incumbent:.6g}) = {probability:.3g}"
        stop = advised and held is None
        if i in chance.kept:
            reason = f"goes on: {chance.kept[i]}"
        elif held is not None:
            reason = f"goes on: {held}; {said}, below {self.threshold:g}"
        elif advised:
            reason = f"{'would be stopped' if self.dry_run else 'stopped'}: {said}, below {self.threshold:g}"
        elif probability < self.threshold:
            reason = f"goes on: {said}, below {self.threshold:g}, but not at each of its last {self.patience} points"
        else:
            reason = f"goes on: {said}"
        return Decision(
            run=chance.running.ids[i],
            t=float(chance.t[i]),
            stop=stop and not self.dry_run,
            reason=reason,
            probability=probability,
            threshold=self.threshold,
            incumbent=chance.incumbent,
            horizon=chance.horizon,
            metric=metric.name,
        )


def _numbered(rows: npt.NDArray[np.int64], back: int) -> npt.NDArray[np.object_]:
    return objects((int(row), back) for row in rows)
