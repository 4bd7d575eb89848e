"""Q-learning over layers: which layer comes next, learned from how well whole networks did."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from metalcx.decide._random_search import EarlyStop, Trainer
from metalcx.decide._record import Ledger, SearchRecord
from metalcx.decide._trials import Trials
from metalcx.errors import DataError

#: Exploration of MetaQNN: (epsilon, networks trained with it). Source: Baker et al. 2017 (arXiv:1611.02167), table 2.
EPSILON_SCHEDULE = (
    (1.0, 1500),
    (0.9, 100),
    (0.8, 100),
    (0.7, 100),
    (0.6, 150),
    (0.5, 150),
    (0.4, 150),
    (0.3, 150),
    (0.2, 150),
    (0.1, 150),
)

#: The states of one network, first layer to last, each with what the choice of the next may depend on.
Path = Sequence[Hashable]


def q_search(
    trials: Trials,
    paths: Sequence[Path],
    *,
    schedule: Sequence[tuple[float, int]] = EPSILON_SCHEDULE,
    rate: float = 0.01,
    discount: float = 1.0,
    initial: float = 0.5,
    replay: int = 100,
    stop: EarlyStop | None = None,
    seed: int = 0,
) -> SearchRecord:
    """Search networks layer by layer with Q-learning and experience replay.

    Source: Baker et al. 2017, Designing Neural Network Architectures using Reinforcement Learning (arXiv:1611.02167),
    MetaQNN. An action is the next state; the reward is the network's last value, for one that is stopped early what was
    expected of it, for one that diverged the lowest reward so far. After each network `replay` of those trained so far
    are drawn, and Q(s, a) moves by `rate` towards reward + discount max Q(s'), from the last layer to the first.

    Only networks that there are can be walked to, and none is trained twice, so that the search ends with the last.

    Args:
        trials: What is trained.
        paths: States of each run.
        schedule: (epsilon, networks) one after another; the last epsilon holds from then on.
        rate: Learning rate of Q.
        discount: Of the value of the next state.
        initial: Q of what was never tried, in the unit of the reward: the last value, negated where lower is better.
        replay: Networks replayed after each.
        stop: The stop rule; None trains every network to its end.
        seed: Of all choices.

    Raises:
        ValueError: If an argument is out of range.
        DataError: If there is not one path a run, or a path is empty or the beginning of another.
    """
    if any(not 0 <= epsilon <= 1 for epsilon, _ in schedule) or not schedule:
        raise ValueError(f"a schedule has pairs (epsilon between 0 and 1, networks); got {schedule!r:.80}")
    if not 0 < rate <= 1 or not 0 <= discount <= 1 or replay < 0:
        raise ValueError(f"rate and discount are shares, replay at least 0; got {rate}, {discount}, {replay}")
    root, q = _grow(trials, paths), _Values.of(paths, rate, discount, initial)
    ledger, rng = Ledger(trials), np.random.default_rng(seed)
    trainer = Trainer(ledger, stop)
    memory: list[tuple[list[int], float]] = []
    epsilons = np.repeat([e for e, _ in schedule], [n for _, n in schedule])
    for i in range(len(trials)):
        epsilon = epsilons[i] if i < len(epsilons) else schedule[-1][0]
        row = _walk(root, q, float(epsilon), rng)
        reward = trainer.train(row).value
        lowest = min((r for _, r in memory), default=initial)
        memory.append((q.numbers(paths[row]), reward if np.isfinite(reward) else lowest))
        for j in rng.integers(len(memory), size=replay):
            q.update(*memory[j])
    return ledger.record()


def stretched(schedule: Sequence[tuple[float, int]], n: int) -> tuple[tuple[float, int], ...]:
    """A schedule over `n` networks in the proportions of `schedule`."""
    ends = np.cumsum([0, *(count for _, count in schedule)])
    scaled = np.diff(np.round(ends * n / ends[-1])).astype(int)
    return tuple((epsilon, int(count)) for (epsilon, _), count in zip(schedule, scaled, strict=True))


@dataclass
class _Node:
    """The beginning of some paths.

    Attributes:
        number: Of the state that it ends with.
        children: By the number of the next state.
        rows: Runs whose path ends here and that were not trained yet.
        left: How many there are here and below.
    """

    number: int
    children: dict[int, _Node] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    left: int = 0


#: The state before the first layer.
START = 0


def _numbered(paths: Sequence[Path]) -> dict[Hashable, int]:
    return {state: i for i, state in enumerate(dict.fromkeys(s for path in paths for s in path), START + 1)}


def _grow(trials: Trials, paths: Sequence[Path]) -> _Node:
    """All paths as a tree."""
    if len(paths) != len(trials):
        raise DataError(f"{len(paths)} paths for {len(trials)} runs; give one a run")
    numbers, root = _numbered(paths), _Node(START)
    for row, path in enumerate(paths):
        node = root
        node.left += 1
        for state in path:
            node = node.children.setdefault(numbers[state], _Node(numbers[state]))
            node.left += 1
        node.rows.append(row)
    _check_ends(root)
    return root


def _check_ends(root: _Node) -> None:
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node.rows and (node.children or node is root):
            raise DataError(
                f"the path of run {node.rows[0]} is empty or the beginning of another; end each with a layer"
            )
        nodes.extend(node.children.values())


def _walk(root: _Node, q: _Values, epsilon: float, rng: np.random.Generator) -> int:
    """An untrained run, reached epsilon-greedily; it is no longer there for the next walk."""
    node = root
    while True:
        node.left -= 1
        if node.rows:
            return node.rows.pop(0)
        there = [n for n, child in node.children.items() if child.left]
        if rng.random() >= epsilon:
            known = [q.values[node.number][n] for n in there]
            best = max(known)
            there = [n for n, value in zip(there, known, strict=True) if value == best]
        node = node.children[there[rng.integers(len(there))]]


@dataclass
class _Values:
    """Q by the number of a state and that of the next."""

    numbered: dict[Hashable, int]
    values: list[dict[int, float]]
    rate: float
    discount: float

    @classmethod
    def of(cls, paths: Sequence[Path], rate: float, discount: float, initial: float) -> _Values:
        numbered = _numbered(paths)
        values: list[dict[int, float]] = [{} for _ in range(len(numbered) + 1)]
        for path in paths:
            before = START
            for state in path:
                values[before][numbered[state]] = initial
                before = numbered[state]
        return cls(numbered, values, rate, discount)

    def numbers(self, path: Path) -> list[int]:
        """The states of a path, from the start on."""
        return [START, *(self.numbered[state] for state in path)]

    def update(self, path: list[int], reward: float) -> None:
        """Move Q along a path, from its end to its start."""
        target = reward
        for before, after in zip(path[-2::-1], path[:0:-1], strict=True):
            actions = self.values[before]
            actions[after] += self.rate * (target - actions[after])
            target = self.discount * max(actions.values())
