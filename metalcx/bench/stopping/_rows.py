"""The rows of the stopping benchmark: each plays one order of one task at all its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from metalcx.bench.stopping._foreseen import Foreseen
from metalcx.bench.stopping._rules import MedianRule, one_epoch, patience
from metalcx.curves._batch import IntArray
from metalcx.decide import (
    BestPlace,
    LastValue,
    NoStopping,
    Outcome,
    PolicyRule,
    PrefixForecasts,
    Recorded,
    Recording,
    Score,
    SearchRecord,
    StopPolicy,
    asha,
    doublings,
    hyperband,
    outcome,
    simulate,
    successive_halving,
    thaw,
)
from metalcx.forecasters import SRM, Baseline, OneEpoch, PowerLaw
from metalcx.protocol import Forecaster

#: P(a run beats the incumbent) below which it is stopped, by forecasts that are taken twice as wide as they are: a
#: forecast stores no quantile beyond 99.5 %, and .02 of the wider one lies 4.1 standard deviations out.
THRESHOLDS, WIDTH = (0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02), 2.0

#: Runs that finish before any is stopped, in every row that learns from finished runs.
STARTUP = 5

#: SRM's published burn-in, where a task has at least twice as many runs; a quarter of the runs elsewhere.
SRM_STARTUP = 100

#: Runs that finish first where runs are paused; half of them are the best after one point.
THAW_STARTUP = 10

#: Share of the runs that the one-epoch rule trains on.
SHARES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)

#: (eta, points of the first rung) of successive halving and ASHA; Hyperband has no more than eta.
RUNGS = ((2, 1), (2, 3), (3, 1), (3, 2), (3, 3), (4, 1), (4, 3))
ETAS = (2, 3, 4)

Found = Iterator[tuple[str, Outcome]]

#: Plays one order with so many workers: outcomes by setting.
Play = Callable[[IntArray, int], Found]


@dataclass(frozen=True)
class Row:
    """What is judged.

    Attributes:
        play: Given a task's runs and a forecaster (None where none is asked), how to play an order.
        forecaster: Makes the forecaster; a name of those that `bench transfer` trains; or None.
        parallel: Whether it differs with several workers.
        remember: Whether its forecaster computes much that does not depend on the support.
    """

    play: Callable[[Recording, Forecaster | None], Play]
    forecaster: Callable[[], Forecaster] | str | None = None
    parallel: bool = True
    remember: bool = False


def _nothing(recording: Recording, model: Forecaster | None) -> Play:
    def play(order: IntArray, workers: int) -> Found:
        yield "none", simulate(recording, NoStopping(), order, workers).outcome

    return play


def _median(recording: Recording, model: Forecaster | None) -> Play:
    def play(order: IntArray, workers: int) -> Found:
        for grace in (1, 3, 8):
            rule = MedianRule(recording, grace, STARTUP)
            yield f"grace {grace}", simulate(recording, rule, order, workers).outcome

    return play


def _patience(recording: Recording, model: Forecaster | None) -> Play:
    def play(order: IntArray, workers: int) -> Found:
        for points in (1, 2, 3, 5, 7, 10, 15, 20, 30):
            yield f"{points} points", patience(recording, points)

    return play


def _one_epoch(recording: Recording, model: Forecaster | None) -> Play:
    def play(order: IntArray, workers: int) -> Found:
        for share in SHARES:
            yield f"share {share:g}", one_epoch(recording, order, share)

    return play


Search = Callable[..., SearchRecord]


def _search(settings: Mapping[str, Search], parallel: bool, recording: Recording, model: Forecaster | None) -> Play:
    """A search over the recorded runs, whose unit of resource is a point of the longest run."""
    position = {run: i for i, run in enumerate(recording.curves.ids.tolist())}
    longest = float(recording.length.max())
    # What is known of runs beside their curves would only be carried along.
    curves = replace(recording.curves, config=None, arch=None, group=None)

    def play(order: IntArray, workers: int) -> Found:
        options = {"workers": workers} if parallel else {}
        for name, search in settings.items():
            record = search(Recorded(curves), longest, order=order, **options)
            yield name, outcome(recording, [position[run] for run in record.kept], record.spent)

    return play


HALVING = {f"eta {eta}, from {r}": partial(successive_halving, eta=eta, r=r) for eta, r in RUNGS}
HYPERBAND = {f"eta {eta}": partial(hyperband, eta=eta, passes=None) for eta in ETAS}
ASHA = {f"eta {eta}": partial(asha, eta=eta) for eta in ETAS[1:]}


def _promoted(recording: Recording, model: Forecaster | None) -> Play:
    """ASHA whose promotions are by forecasts alone, or by the better place by forecast or last value."""
    assert model is not None
    foreseen = Foreseen(model, recording.curves)

    def play(order: IntArray, workers: int) -> Found:
        scores: dict[str, Score] = {"forecast": foreseen, "either": BestPlace((LastValue(), foreseen))}
        settings = {
            f"{name}, by {by}": partial(search, score=score)
            for name, search in ASHA.items()
            for by, score in scores.items()
        }
        foreseen.forget()
        yield from _search(settings, True, recording, None)(order, workers)

    return play


def _policy(
    startup: Callable[[int], int],
    thresholds: Iterable[float],
    width: float,
    recording: Recording,
    model: Forecaster | None,
) -> Play:
    """The probability rule over a forecaster that is adapted once, to the runs that finish first."""
    assert model is not None
    forecasts, first = PrefixForecasts(model, recording), startup(len(recording))

    def play(order: IntArray, workers: int) -> Found:
        for threshold in thresholds:
            policy = StopPolicy(model, threshold=threshold, startup=first, width=width)
            rule = PolicyRule(policy, forecasts, (first,))
            yield f"below {threshold:g}", simulate(recording, rule, order, workers).outcome

    return play


def _thaw(recording: Recording, model: Forecaster | None) -> Play:
    """Runs that can be paused; the model is adapted to the first 10, 20 and 40 that have finished."""
    assert model is not None
    forecasts, stages = PrefixForecasts(model, recording), doublings(THAW_STARTUP, len(recording))

    def play(order: IntArray, workers: int) -> Found:
        found = thaw(forecasts, order, THRESHOLDS, stages=stages, width=WIDTH, workers=workers)
        yield from ((f"below {threshold:g}", result) for threshold, result in found.items())

    return play


def _burn_in(runs: int) -> int:
    return SRM_STARTUP if runs >= 2 * SRM_STARTUP else max(STARTUP, runs // 4)


_usual = partial(_policy, lambda runs: STARTUP, THRESHOLDS, WIDTH)

ROWS: dict[str, Row] = {
    "no-stopping": Row(_nothing, parallel=False),
    "median-rule": Row(_median),
    "patience": Row(_patience, parallel=False),
    "one-epoch": Row(_one_epoch, parallel=False),
    "successive-halving": Row(partial(_search, HALVING, False), parallel=False),
    "hyperband": Row(partial(_search, HYPERBAND, False), parallel=False),
    "asha": Row(partial(_search, ASHA, True)),
    "one-epoch-forecast": Row(_usual, OneEpoch),
    "srm": Row(partial(_policy, _burn_in, (0.1, 0.05, 0.01), 1.0), partial(SRM, "ols")),
    "power-law": Row(_usual, PowerLaw, remember=True),
    "med5": Row(_usual, partial(Baseline, "med5")),
    "med5-thaw": Row(_thaw, partial(Baseline, "med5")),
    "metalcx": Row(_usual, "metalcx-amortised"),
    "metalcx-thaw": Row(_thaw, "metalcx-amortised"),
    "med5-asha": Row(_promoted, partial(Baseline, "med5")),
    "metalcx-asha": Row(_promoted, "metalcx-amortised"),
    "metalcx-ensemble": Row(_usual, "metalcx-ensemble"),
    "metalcx-ensemble-asha": Row(_promoted, "metalcx-ensemble"),
    "graph-ode": Row(_usual, "graph-ode"),
    "graph-ode-thaw": Row(_thaw, "graph-ode"),
}

#: What takes long to train, or is a variant of another row.
ON_REQUEST = ("metalcx-ensemble", "metalcx-ensemble-asha", "graph-ode", "graph-ode-thaw")
