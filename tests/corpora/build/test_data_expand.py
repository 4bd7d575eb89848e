"""Tables of a recipe become tasks, and what is wrong with a table is said where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metalcx.corpora.build._expand import expand
from metalcx.corpora.build._processes import PROCESSES
from metalcx.errors import DataError

TREES = {"source": "trees"}
DIGITS = {"source": "sklearn", "dataset": "digits"}


def test_structure_is_crossed_and_sizes_are_dealt() -> None:
    section = TREES | {"depth": [2, 4], "n_trees": [1, 3], "draws": 2, "n_features": [8, 30], "n_train": [100, 200]}
    specs = expand([section], 0)
    assert len(specs) == len({spec.dataset for spec in specs}) == 8
    assert sorted({spec.family for spec in specs}) == [f"gen-trees-depth{d}-n-trees{n}" for d in (2, 4) for n in (1, 3)]
    assert [(dict(spec.settings)["n_features"], spec.n_train) for spec in specs] == [(8, 100), (30, 200)] * 4


def test_tasks_and_variants_share_a_dataset_and_its_seed() -> None:
    tasks = ["classification", "regression"]
    specs = expand([TREES | {"tasks": tasks, "variants": ["whole", "few+label-noise"], "label_noise": 0.2}], 0)
    assert [spec.task.removeprefix("gen-trees-depth3-n-trees1-1-") for spec in specs] == [
        "classification",
        "classification-few-label-noise",
        "regression",
        "regression-few-label-noise",
    ]
    assert len({(spec.dataset, spec.family, spec.seed) for spec in specs}) == 1
    assert [spec.domain for spec in specs] == [f"tabular-{task}" for task in tasks for _ in range(2)]
    assert [spec.n_train for spec in specs] == [400, 100] * 2
    assert [dict(spec.settings).get("label_noise") for spec in specs] == [None, 0.2] * 2


@pytest.mark.parametrize("source", sorted(PROCESSES))
def test_draws_of_one_structure_are_one_family_and_of_another_are_not(source: str) -> None:
    process = PROCESSES[source]
    sizes = {key: allowed for key, allowed in process.sizes.items() if key == "noise"}
    same = [{"source": source, "draws": 2}, {"source": source, **{key: allowed.low for key, allowed in sizes.items()}}]
    family = {spec.family for spec in expand(same, 0)}
    assert len(family) == 1
    assert len({spec.dataset for spec in expand(same, 0)}) == 3
    for key, allowed in process.structure.items():
        other = allowed.options[-1] if hasattr(allowed, "options") else allowed.high
        assert {spec.family for spec in expand([{"source": source, key: other}], 0)}.isdisjoint(family)


def test_a_later_table_draws_on_and_changes_nothing_before_it() -> None:
    first = expand([TREES], 0)
    both = expand([TREES, TREES], 0)
    assert both[:1] == first
    assert both[1].dataset == "gen-trees-depth3-n-trees1-2"
    assert both[1].seed != both[0].seed


def test_the_seed_of_the_recipe_makes_other_draws_of_the_same_tasks() -> None:
    first, other = expand([TREES], 0)[0], expand([TREES], 1)[0]
    assert first.task == other.task
    assert first.seed != other.seed


def test_sklearn_tables_name_what_they_make() -> None:
    specs = expand(
        [
            DIGITS | {"variants": ["whole", "few", "classes-3"], "n_train": 500},
            DIGITS | {"kind": "sequence", "order": "hilbert", "channels": 2},
            {"source": "sklearn", "dataset": ["iris", "wine"]},
            {"source": "sklearn", "dataset": "wine", "column": 0},
        ],
        0,
    )
    assert [(spec.task, spec.n_train) for spec in specs] == [
        ("digits-image", 500),
        ("digits-image-few", 125),
        ("digits-image-classes-3", 120),
        ("digits-sequence-order-hilbert-channels-2", 997),
        ("iris", 59),
        ("wine", 78),
        ("wine-column-0", 78),
    ]
    assert {spec.family for spec in specs} == {"digits", "iris", "wine-cultivars"}
    assert {spec.dataset for spec in specs} == {"sklearn-digits", "sklearn-iris", "sklearn-wine"}
    assert specs[-1].domain == "tabular-regression"


def test_settings_are_sorted_and_fit_for_json() -> None:
    for spec in expand([TREES, DIGITS | {"variants": "classes-3"}], 0):
        assert list(spec.settings) == sorted(spec.settings)
        assert json.loads(json.dumps(dict(spec.settings))).keys() == dict(spec.settings).keys()


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({}, "table 2 .*unknown source; give 'sklearn' or one of adding"),
        ({"source": ["trees"]}, "unknown source"),
        (TREES | {"dept": 3}, r"table 2 \(source 'trees'\): unknown 'dept'; known are depth, draws"),
        (TREES | {"depth": 99}, "depth is 99; give a whole number from 1 to 8"),
        (TREES | {"depth": 2.5}, "depth is 2.5; give a whole number"),
        (TREES | {"depth": True}, "depth is True; give a whole number"),
        (TREES | {"noise": "much"}, "noise is 'much'; give a number"),
        (TREES | {"noise": float("nan")}, "noise is nan"),
        (TREES | {"depth": []}, "depth is an empty list"),
        (TREES | {"n_features": [8, 9]}, "n_features lists 2 values for 1 draws"),
        (TREES | {"draws": 0}, "draws is 0"),
        (TREES | {"n_train": 5000}, "n_train is 5000; give a whole number from 8 to 1024"),
        (TREES | {"tasks": ["ranking"]}, r"tasks is \['ranking'\]; give some of classification, regression"),
        ({"source": "mixture", "tasks": "regression"}, "tasks is 'regression'; give some of classification"),
        (TREES | {"variants": "nonsense"}, "unknown variant 'nonsense'; give whole, few, label-noise"),
        (TREES | {"variants": "classes-2"}, "unknown variant 'classes-2'"),
        (TREES | {"variants": []}, r"variants is \[\]; give words"),
        (TREES | {"variants": "masked", "masked": 2}, "masked is 2; give a number from 0.0 to 0.95"),
        ({"source": "random-net", "activation": "step"}, "activation is 'step'; give one of tanh, relu, sin"),
        (DIGITS | {"kind": "sound"}, "kind of digits is 'sound'; give one of image, vector, sequence"),
        (DIGITS | {"order": "hilbert"}, "unknown 'order'"),
        (DIGITS | {"kind": "sequence", "channels": 3}, "channels is 3; give one of 8, 4, 2, 16"),
        (DIGITS | {"n_train": 998}, "n_train is 998; give a whole number from 8 to 997"),
        (DIGITS | {"n_train": [100, 200]}, "n_train lists 2 values"),
        (DIGITS | {"variants": "classes-10"}, "classes-10 is 10; give a whole number from 2 to 9"),
        (DIGITS | {"pairs": "same", "variants": "classes-3"}, "classes-3 needs three classes of the dataset itself"),
        ({"source": "sklearn", "dataset": "diabetes", "variants": "classes-2"}, "needs three classes"),
        ({"source": "sklearn", "dataset": "mnist"}, "dataset is 'mnist'; give some of digits, iris"),
        ({"source": "sklearn"}, "dataset is"),
        ({"source": "sklearn", "dataset": "iris", "column": 4}, "column is 4; give a whole number from 0 to 3"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(section: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        expand([TREES, section], 0)


def test_a_task_that_comes_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"make 'digits-image' more than once"):
        expand([DIGITS, DIGITS], 0)
