"""What a recipe makes of each task: the same every time, and whatever other tasks are in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from metalcx.corpora.build import Recipe, RunsOf
from metalcx.corpora.build import _plan as module
from metalcx.corpora.build._data import DataSpec
from metalcx.corpora.build._pieces import check_keys
from metalcx.corpora.build._plan import TaskPlan, fingerprint, plan, plan_task
from metalcx.corpora.build._stack import Stack

TABLES: tuple[dict[str, Any], ...] = (
    {"source": "sklearn", "dataset": "iris", "variants": ["whole", "label-noise"]},
    {"source": "sklearn", "dataset": "diabetes"},
    {"source": "templates", "shift": [0, 2], "n_train": 100},
    {"source": "counting", "tasks": ["classification", "regression"]},
)
VARIED = ("learning_rate", "weight_decay", "patience")
RUNS = {"vector": RunsOf(3, 20), "image": RunsOf(4, 9), "sequence": RunsOf(4, 9)}


def recipe(**changes: Any) -> Recipe:
    known = {"name": "a", "licence": "b", "citation": "c", "data": TABLES, "runs": RUNS, "epochs": (8, 40)}
    return Recipe(**{**known, "max_steps": 200, **changes})


@pytest.fixture(scope="module")
def plans() -> tuple[TaskPlan, ...]:
    return plan(recipe())


@pytest.fixture(scope="module")
def many() -> list[TaskPlan]:
    """One task under many names."""
    given = recipe(patience=0.25, target=0.25, loss=0.5)
    return [plan_task(given, replace(given.specs[0], task=f"iris-{i}")) for i in range(120)]


def test_the_same_recipe_gives_the_same_plans_and_another_seed_others(plans: tuple[TaskPlan, ...]) -> None:
    assert plan(recipe()) == plans
    others = plan(recipe(seed=1))
    assert [p.spec.task for p in others] == [p.spec.task for p in plans]
    assert all(a.stacks != b.stacks for a, b in zip(plans, others, strict=True))


def test_a_task_is_planned_whatever_other_tasks_there_are(plans: tuple[TaskPlan, ...]) -> None:
    mixed = plan(recipe(data=(TABLES[3], TABLES[0])))
    known = {p.spec.task: p for p in plans}
    assert 0 < len(mixed) < len(plans)
    assert all(p == known[p.spec.task] for p in mixed)
    assert len({p.stacks[0].seed for p in plans}) == len(plans)


def test_tasks_are_counted_out_as_the_recipe_says(plans: tuple[TaskPlan, ...]) -> None:
    for each in plans:
        wanted = RUNS[each.spec.kind]
        assert [len(stack.configs) for stack in each.stacks] == [wanted.stack] * wanted.stacks
        assert [len(numbers) for numbers in each.groups] == [wanted.stack] * wanted.stacks
        for stack in each.stacks:
            assert (stack.data, stack.epochs, stack.test_always) == (each.spec, each.epochs, each.stopping != "none")
            assert 8 <= stack.epochs <= 40
            assert stack.epochs * max(1, each.spec.n_train // stack.batch_size) <= 200
        assert len({stack.seed for stack in each.stacks}) == wanted.stacks


def test_searches_train_many_architectures_nearly_the_same_way() -> None:
    usual, shared = plan(recipe()), plan(recipe(searches=1.0))
    for before, after in zip(usual, shared, strict=True):
        asked = RUNS[after.spec.kind]
        assert [len(stack.configs) for stack in after.stacks] == [asked.stack // 2] * (2 * asked.stacks)
        configs = [config for stack in after.stacks for config in stack.configs]
        rates = np.array([config["learning_rate"] for config in configs])
        assert rates.max() / rates.min() <= 4.01
        kept = [{k: v for k, v in c.items() if k not in VARIED} for c in configs]
        assert all(other == kept[0] for other in kept)
        assert (before.metric, before.epochs, before.stopping) == (after.metric, after.epochs, after.stopping)
    assert len({plan_.stacks[0].configs[0]["optimiser"] for plan_ in shared}) > 1


def test_the_tasks_that_are_no_searches_are_planned_as_without_them() -> None:
    def many(searches: float) -> list[TaskPlan]:
        given = recipe(searches=searches)
        return [plan_task(given, replace(given.specs[0], task=f"iris-{i}")) for i in range(60)]

    same = [a == b for a, b in zip(many(0.0), many(0.4), strict=True)]
    assert 0.4 < np.mean(same) < 0.8


def test_metrics_budgets_and_stopping_come_in_the_shares_asked_for(many: list[TaskPlan]) -> None:
    assert 0.35 < np.mean([p.metric == "val_loss" for p in many]) < 0.65
    assert {p.metric for p in many} == {"val_loss", "val_accuracy"}
    count = Counter(p.stopping for p in many)
    assert set(count) == {"none", "patience", "target"}
    assert min(count.values()) > 15
    epochs = np.array([p.epochs for p in many])
    assert 0.35 < np.mean(epochs < np.sqrt(8 * 40)) < 0.65  # even on the logarithm
    for share, word in ((1.0, "patience"), (0.0, "none")):
        given = recipe(patience=share, target=0.0, loss=0.0)
        planned = [plan_task(given, spec) for spec in given.specs]
        assert {p.stopping for p in planned} == {word}
        assert all(p.metric == ("val_accuracy" if "class" in p.spec.domain else "val_r2") for p in planned)


def test_patience_is_given_to_half_the_runs_of_its_tasks_alone(many: list[TaskPlan]) -> None:
    with_patience = [
        (p.stopping, p.epochs, c.get("patience")) for p in many for stack in p.stacks for c in stack.configs
    ]
    given = [(epochs, n) for stopping, epochs, n in with_patience if stopping == "patience" and n is not None]
    assert all(n is None for stopping, _, n in with_patience if stopping != "patience")
    assert 0.4 < len(given) / sum(stopping == "patience" for stopping, *_ in with_patience) < 0.6
    assert all(n in (max(3, epochs // 4), max(3, epochs // 8)) for epochs, n in given)


def test_label_smoothing_is_for_classes_alone(plans: tuple[TaskPlan, ...]) -> None:
    for each in plans:
        smoothed = {"label_smoothing" in config for stack in each.stacks for config in stack.configs}
        assert smoothed == {each.spec.domain.endswith("classification")}


def test_every_eighth_run_repeats_a_configuration_under_its_number(plans: tuple[TaskPlan, ...]) -> None:
    repeats = 0
    for each in plans:
        for stack, numbers in zip(each.stacks, each.groups, strict=True):
            for i, number in enumerate(numbers):
                repeated = i % 8 == 7
                repeats += repeated
                assert (number < i) == repeated
                assert numbers[number] == number  # of the first that is equal
                assert stack.configs[i] == stack.configs[number]
            firsts = sorted(set(numbers))
            assert len({repr(stack.configs[i]) for i in firsts}) == len(firsts)
    assert repeats > 20
    thirds = plan(recipe(repeat=3))[0].groups[0]
    assert [i for i, number in enumerate(thirds) if number < i] == [2, 5, 8, 11, 14, 17]


def test_a_repeated_run_may_be_repeated_again() -> None:
    (spec,) = recipe(data=(TABLES[1],)).specs
    groups = plan_task(recipe(repeat=2, runs={"vector": RunsOf(4, 60)}, data=(TABLES[1],)), spec).groups
    assert max(Counter(numbers).most_common(1)[0][1] for numbers in groups) > 2


# --- pieces ---------------------------------------------------------------------------------------------------------


def test_pieces_are_named_after_their_task_place_and_content(plans: tuple[TaskPlan, ...]) -> None:
    pieces = [piece for each in plans for piece in each.pieces()]
    check_keys(pieces)
    assert len(pieces) == sum(RUNS[each.spec.kind].stacks for each in plans)
    assert pieces[1].key == f"iris-01-{fingerprint(plans[0].stacks[1])}"
    assert pieces[1].work == plans[0].stacks[1]


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, dict):
        return {**value, next(iter(value)): "other"}
    return value[1:]


def test_fingerprints_change_with_everything_and_with_nothing_else(
    plans: tuple[TaskPlan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = plans[0].stacks[0]
    others = [replace(stack, **{f.name: changed(getattr(stack, f.name))}) for f in fields(Stack) if f.name != "data"]
    spec = plans[0].spec
    others += [replace(stack, data=replace(spec, **{f.name: changed(getattr(spec, f.name))})) for f in fields(DataSpec)]
    others += [replace(stack, configs=stack.configs[::-1]), replace(stack, configs=(*stack.configs, {}))]
    prints = [fingerprint(other) for other in others]
    assert len({fingerprint(stack), *prints}) == len(others) + 1
    again = replace(
        stack, settings=dict(reversed(list(stack.settings.items()))), configs=tuple(map(dict, stack.configs))
    )
    assert fingerprint(again) == fingerprint(stack)
    before = fingerprint(stack)
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert fingerprint(stack) != before
