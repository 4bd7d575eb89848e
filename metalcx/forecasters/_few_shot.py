"""Few-shot adaptation by gradient steps on the support, as many as the support itself says help."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError
from metalcx.forecasters._gate_network import gate_loss
from metalcx.protocol import LEVELS

#: Smallest support whose runs, held out one at a time, leave enough to forecast from.
MIN_SUPPORT = 3

#: Most gradient steps that a model on disk may ask for.
MOST_STEPS = 10_000


@dataclass(frozen=True)
class InnerLoop:
    """How adaptation takes its steps; meta-training by gradients learns its rate.

    Args:
        rate: Learning rate.
        optimiser: ``adam``, or ``sgd`` as in MAML's inner loop.
        layers: ``all``, or ``head`` as in ANIL.
        candidates: Numbers of steps among which the support decides.
        min_support: Below this K no steps are tried.

    Raises:
        DataError: If a choice is unknown or a number out of range.
    """

    rate: float = 1e-3
    optimiser: Literal["adam", "sgd"] = "adam"
    layers: Literal["all", "head"] = "all"
    candidates: tuple[int, ...] = (0, 5, 10, 20)
    min_support: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(sorted({0, *self.candidates})))
        if self.optimiser not in ("adam", "sgd") or self.layers not in ("all", "head"):
            raise DataError(f"optimiser is adam or sgd, layers is all or head; got {self}")
        steps_fit = self.candidates[0] >= 0 and self.candidates[-1] <= MOST_STEPS
        if not self.rate > 0 or not steps_fit or self.min_support < MIN_SUPPORT:
            raise DataError(
                f"rate is positive, steps are 0 to {MOST_STEPS}, min_support is at least {MIN_SUPPORT}; got {self}"
            )


Network = TypeVar("Network", bound=nn.Module)
Rows = npt.NDArray[np.bool_]
Rates = Mapping[str, Tensor]


@dataclass(frozen=True)
class Adaptation(Generic[Network]):
    """Outcome of `adapted`.

    Attributes:
        network: The adapted network.
        steps: How many steps it took.
        held_out: What is predicted of each item by a network that did not learn from its run, shape (items, columns).
    """

    network: Network
    steps: int
    held_out: FloatArray


@dataclass(frozen=True)
class Lesson(Generic[Network]):
    """What a network adapts to: support runs, each cut and forecast from the others.

    Attributes:
        quantiles: Of a network, and of items chosen by a mask: their quantiles, in the graph of gradients, shape
            (members, b, len(LEVELS)).
        y: What came of each item, in anchors, shape (items,).
        weight: Of each, shape (items,).
        n: Number of runs; item i is of run i mod n.
        layers: Beginnings of the names of the weights that learn.
        columns: Numbers that are predicted of each item.
    """

    quantiles: Callable[[Network, Rows], Tensor]
    y: FloatArray
    weight: FloatArray
    n: int
    layers: tuple[str, ...] = ("",)
    columns: int = len(LEVELS)

    @property
    def run(self) -> npt.NDArray[np.int64]:
        """Run of each item, shape (items,)."""
        return np.arange(len(self.y)) % self.n

    def predicted(self, network: Network, rows: Rows) -> FloatArray:
        """Quantiles averaged over the members, shape (b, len(LEVELS)), without gradients."""
        with torch.no_grad():
            found: FloatArray = self.quantiles(network, rows).mean(0).double().numpy()
        return found

    def loss(self, network: Network, rows: Rows) -> Tensor:
        """What the network learns from some items; a sum over members, each of which is a network of its own."""
        quantiles = self.quantiles(network, rows)
        y, weight = (torch.from_numpy(column[rows]).to(quantiles) for column in (self.y, self.weight))
        return gate_loss(quantiles, y, weight) * len(quantiles)

    def errors(self, held_out: FloatArray) -> FloatArray:
        """By which numbers of steps are compared: weighted pinball loss of each item, shape (items,).

        Args:
            held_out: What `predicted` gave of each, shape (items, columns).
        """
        miss = self.y[:, None] - held_out
        return np.maximum(LEVELS * miss, (LEVELS - 1) * miss).mean(1) * self.weight


def adapted(
    network: Network, inner: InnerLoop, lesson: Lesson[Network], k: int, steps: int | None, rates: Rates | None = None
) -> Adaptation[Network]:
    """Adapt `network` to K support runs; the given one is left as it was.

    Without `steps`, the number is chosen by held-out runs: the support is split into folds, the
    network learns on the leave-one-out items of the other folds' runs and is judged on those of its
    own. `rates` are Meta-SGD's learned rates
    of plain gradient steps, by name of parameter, in place of the one of `inner`.

    Raises:
        DataError: If `steps` is negative.
    """
    check_steps(steps)
    candidates = (steps,) if steps is not None else inner.candidates if k >= inner.min_support else (0,)
    everything = np.ones(len(lesson.y), dtype=bool)
    if candidates == (0,):
        return Adaptation(network, 0, lesson.predicted(network, everything))
    held_out = _held_out(network, inner, lesson, candidates, rates)
    chosen = _choose(np.stack([lesson.errors(q) for q in held_out]), lesson.run)
    *_, final = trajectory(network, inner, lesson, everything, (candidates[chosen],), rates)
    return Adaptation(final, candidates[chosen], held_out[chosen])


def check_steps(steps: int | None) -> None:
    """Refuse a negative number of steps.

    Raises:
        DataError: If it is.
    """
    if steps is not None and steps < 0:
        raise DataError(f"steps is a number of gradient steps, not below 0; got {steps}")


def _held_out(
    network: Network, inner: InnerLoop, lesson: Lesson[Network], candidates: tuple[int, ...], rates: Rates | None
) -> list[FloatArray]:
    """Quantiles of each item by a network that did not learn from its run, for each number of steps."""
    run = lesson.run
    folds = run % min(5, int(run.max()) + 1)
    quantiles = [np.empty((len(run), lesson.columns)) for _ in candidates]
    for fold in np.unique(folds):
        mine = folds == fold
        for i, network_i in enumerate(trajectory(network, inner, lesson, ~mine, candidates, rates)):
            quantiles[i][mine] = lesson.predicted(network_i, mine)
    return quantiles


def trajectory(
    network: Network,
    inner: InnerLoop,
    lesson: Lesson[Network],
    rows: Rows,
    stops: tuple[int, ...],
    rates: Rates | None = None,
) -> Iterator[Network]:
    """The network after each number of steps in `stops` (ascending); each yielded before the next is computed."""
    current = copy.deepcopy(network)
    named = {n: p for n, p in current.named_parameters() if n.startswith(lesson.layers)}
    parameters = list(named.values())
    step = _adam(parameters, inner.rate) if inner.optimiser == "adam" else _descent(named, inner.rate, rates)
    done = 0
    for stop in stops:
        for _ in range(stop - done):
            step(torch.autograd.grad(lesson.loss(current, rows), parameters))
        done = stop
        yield current


Step = Callable[[Sequence[Tensor]], None]


def _adam(parameters: list[nn.Parameter], rate: float) -> Step:
    """Steps of torch's function; the first step of its class imports a compiler, which takes longer than adapting."""
    means, squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    done = [torch.zeros(()) for _ in parameters]

    def step(gradients: Sequence[Tensor]) -> None:
        with torch.no_grad():
            adam(
                list(parameters),
                list(gradients),
                means,
                squares,
                [],
                done,
                foreach=False,
                lr=rate,
                beta1=0.9,
                beta2=0.999,
                eps=1e-8,
                weight_decay=0.0,
                amsgrad=False,
                maximize=False,
            )

    return step


def _descent(named: Mapping[str, nn.Parameter], rate: float, rates: Rates | None) -> Step:
    def step(gradients: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for (name, parameter), gradient in zip(named.items(), gradients, strict=True):
                parameter.sub_((rate if rates is None else rates[name]) * gradient)

    return step


def _choose(errors: FloatArray, run: npt.NDArray[np.int64]) -> int:
    """Index of the fewest steps within a standard error of the best: few runs must not spoil a good network.

    Args:
        errors: Held-out losses, shape (candidates, b), the first that of the fewest steps.
        run: Run of each item, shape (b,); the standard error is over runs.
    """
    count = np.bincount(run)
    by_run = np.stack([np.bincount(run, e) / count for e in errors])
    best = int(by_run.mean(1).argmin())
    behind = by_run - by_run[best]
    near = behind.mean(1) <= behind.std(1, ddof=1) / np.sqrt(len(count))
    return int(np.argmax(near))
