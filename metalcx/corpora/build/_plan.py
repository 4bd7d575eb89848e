"""From a recipe to what is trained: for each task its architectures, and for each of these a stack of runs."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from metalcx.corpora.build._data import DataSpec
from metalcx.corpora.build._engine import Piece
from metalcx.corpora.build._recipe import Recipe, RunsOf
from metalcx.corpora.build._space import draw_batch_size, draw_common, draw_config, draw_near, draw_network
from metalcx.corpora.build._stack import Stack

#: Raised whenever a stack of the same description would come out differently, so that no old piece is taken for it.
VERSION = 1

Draw = Callable[[np.random.Generator], dict[str, Any]]


@dataclass(frozen=True)
class TaskPlan:
    """All stacks of a task.

    Attributes:
        spec: Its data.
        metric: Primary metric: ``val_accuracy``, ``val_r2`` or ``val_loss``.
        epochs: Budget of all runs.
        stopping: What may end runs before it: nothing, their own ``patience``, or a common ``target``.
        stacks: What is trained.
        groups: Number of each run's configuration within its stack, one tuple a stack.
    """

    spec: DataSpec
    metric: str
    epochs: int
    stopping: Literal["none", "patience", "target"]
    stacks: tuple[Stack, ...]
    groups: tuple[tuple[int, ...], ...]

    def pieces(self) -> list[Piece]:
        """One piece of work a stack."""
        return [Piece(f"{self.spec.task}-{i:02d}-{fingerprint(s)}", s) for i, s in enumerate(self.stacks)]


def fingerprint(stack: Stack) -> str:
    """Changes with everything that a stack's result depends on."""
    text = json.dumps([VERSION, asdict(stack)], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan(recipe: Recipe) -> tuple[TaskPlan, ...]:
    """What is trained for each task; a task's plan does not depend on the other tasks."""
    return tuple(plan_task(recipe, spec) for spec in recipe.specs)


def plan_task(recipe: Recipe, spec: DataSpec) -> TaskPlan:
    """Draw metric, budget, architectures and configurations of one task."""
    rng = np.random.default_rng([recipe.seed, zlib.crc32(spec.task.encode())])
    classification = spec.domain.endswith("classification")
    score = "val_accuracy" if classification else "val_r2"
    metric = "val_loss" if rng.random() < recipe.loss else score
    epochs = int(np.rint(np.exp(rng.uniform(*np.log(recipe.epochs)))))
    point = rng.random()
    stopping: Literal["none", "patience", "target"] = (
        "patience" if point < recipe.patience else "target" if point < recipe.patience + recipe.target else "none"
    )
    runs = recipe.runs[spec.kind]
    draw_one: Draw = partial(draw_config, classification)
    # A stream of its own, so that the other tasks' plans are the same whatever the share of searches.
    apart = np.random.default_rng([recipe.seed, zlib.crc32(spec.task.encode()), 1])
    if apart.random() < recipe.searches:
        runs = RunsOf(2 * runs.stacks, max(1, runs.stack // 2))
        draw_one = partial(draw_near, draw_common(classification, apart))
    stacks, groups = [], []
    for _ in range(runs.stacks):
        configs, numbers = _configs(rng, draw_one, runs.stack, recipe.repeat, stopping, epochs)
        network, settings = draw_network(spec.kind, rng)
        batch = draw_batch_size(spec.n_train, max(1, recipe.max_steps // epochs), rng)
        seed = int(rng.integers(2**31))
        stacks.append(Stack(spec, network, settings, batch, epochs, configs, seed, stopping != "none"))
        groups.append(numbers)
    return TaskPlan(spec, metric, epochs, stopping, tuple(stacks), tuple(groups))


def _configs(
    rng: np.random.Generator, draw_one: Draw, n: int, repeat: int, stopping: str, epochs: int
) -> tuple[tuple[Mapping[str, Any], ...], tuple[int, ...]]:
    """Configurations of a stack, and for each the number of the first that is equal to it."""
    configs: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    for i in range(n):
        if i % repeat == repeat - 1:
            numbers.append(numbers[int(rng.integers(i))])
            configs.append(configs[numbers[-1]])
            continue
        config = draw_one(rng)
        if stopping == "patience" and rng.random() < 0.5:
            config["patience"] = max(3, epochs // int(rng.choice([4, 8])))
        configs.append(config)
        numbers.append(i)
    return tuple(configs), tuple(numbers)
