"""Recipes: each mistake is named with its file, its key and the mend; the one that ships holds what it promises."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from metalcx.corpora.build import Recipe, RunsOf, read_recipe
from metalcx.errors import DataError

GOOD = """
name = "small"
licence = "CC0-1.0"
citation = "none"
epochs = [3, 5]

[runs]
vector = { stacks = 2, stack = 3 }

[[data]]
source = "sklearn"
dataset = "iris"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recipe.toml"


def refused(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_recipe(file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    return said.removeprefix(f"{file}: ")


def test_what_a_recipe_says_is_read_and_the_rest_has_defaults(file: Path) -> None:
    file.write_text(GOOD)
    recipe = read_recipe(str(file))
    assert (recipe.name, recipe.licence, recipe.epochs, recipe.seed) == ("small", "CC0-1.0", (3, 5), 0)
    assert recipe.runs == {"vector": RunsOf(stacks=2, stack=3)}
    assert [spec.task for spec in recipe.specs] == ["iris"]
    file.write_text(GOOD.replace("epochs = [3, 5]", "patience = 0\nloss = 1"))  # whole numbers are numbers
    assert read_recipe(file) == replace(recipe, epochs=(16, 64), patience=0, loss=1)
    assert recipe.redistributable


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "small"', "name = small", r"is no TOML \(.*line 2.*\); mend that line"),
        ('name = "small"', "", "'name' missing; a recipe has name, licence, citation, data, runs"),
        ('name = "small"', 'nmae = "small"', "unknown 'nmae'; a recipe has name, licence,"),
        ('name = "small"', 'name = ""', "'name' is ''; give a text"),
        ('name = "small"', "name = 3", "'name' is 3; give a text"),
        ('"CC0-1.0"', "true", "'licence' is True; give a text"),
        ("[3, 5]", "4", "'epochs' is 4; give two whole numbers, \\[16, 64\\]"),
        ("[3, 5]", "[3]", r"'epochs' is \[3\]; give two whole numbers"),
        ("[3, 5]", "[3, 5.5]", r"'epochs' is \[3, 5.5\]; give two whole numbers"),
        ("[3, 5]", "[true, 5]", r"'epochs' is \[True, 5\]; give two whole numbers"),
        ("[3, 5]", "[5, 3]", r"epochs are .* the smaller first.*; got epochs=\[5, 3\]"),
        ("[3, 5]", "[1, 3]", r"epochs are two numbers from 2.*; got epochs=\[1, 3\]"),
        ("epochs = [3, 5]", "epochs = [3, 900]", r"epochs are .* max_steps is no less than they.*max_steps=800"),
        ("epochs = [3, 5]", "max_steps = 1.5", "'max_steps' is 1.5; give a whole number"),
        ("epochs = [3, 5]", "repeat = 1", "epochs are .* repeat is 2 or more; got .*repeat=1"),
        ("epochs = [3, 5]", "repeat = true", "'repeat' is True; give a whole number"),
        ("epochs = [3, 5]", 'loss = "0.4"', "'loss' is '0.4'; give a number"),
        ("epochs = [3, 5]", "loss = 1.2", "patience, target, loss and searches are shares"),
        ("epochs = [3, 5]", "target = nan", "patience, target, loss and searches are shares"),
        ("epochs = [3, 5]", "patience = -0.1", "patience, target, loss and searches are shares"),
        ("epochs = [3, 5]", "patience = 0.6\ntarget = 0.6", "patience, target, loss .* add up to 1"),
        ("epochs = [3, 5]", "redistributable = 1", "'redistributable' is 1; give true or false"),
        ("epochs = [3, 5]", "seed = 1.0", "'seed' is 1.0; give a whole number"),
        ("epochs = [3, 5]", "seed = -1", "seed is -1; give a whole number from 0"),
        ("[runs]\nvector =", "[runs]\nimage =", r"runs.vector = \{ stacks = ..., stack = ... \} is missing; add it"),
        ("{ stacks = 2, stack = 3 }", "3", r"'runs.vector' is 3; give \{ stacks = 6, stack = 24 \}"),
        ("{ stacks = 2, stack = 3 }", "{ stacks = 2 }", r"'runs.vector' is \{'stacks': 2\}; give \{ stacks = 6"),
        ("stack = 3", "stack = 2.5", "'runs.vector' is .*; give"),
        ("stack = 3", "stack = 0", "stacks and stack are 1 or more; got 2 and 0"),
        ("[runs]\nvector = { stacks = 2, stack = 3 }", "runs = 3", "'runs' is 3; give a table of kinds of data"),
        ('[[data]]\nsource = "sklearn"\ndataset = "iris"', "", "'data' missing; a recipe has"),
        ("[[data]]", "[data]", r"'data' is \{.*\}; give tables \[\[data\]\]"),
        ('"sklearn"', '"openml"', "data table 1 (.*): unknown source; give 'sklearn' or one of adding, additive,"),
        ('"iris"', '"mnist"', r"data table 1 \(source 'sklearn'\): dataset is 'mnist'; give some of"),
        ('"iris"', '"iris"\nn_train = 4', r"data table 1 .*: n_train is 4; give a whole number from 8"),
        ('"iris"', '"iris"\ndepth = 4', "data table 1 .*: unknown 'depth'; known are"),
        ('"iris"', '"iris"\nvariants = ["whole", "whole"]', "data tables make 'iris' more than once; take"),
    ],
)
def test_each_mistake_is_named_with_its_mend(file: Path, old: str, new: str, complaint: str) -> None:
    assert GOOD.count(old) == 1
    assert re.search(f"^{complaint}", refused(file, GOOD.replace(old, new)))


def test_a_table_of_data_that_is_empty_is_asked_for(file: Path) -> None:
    text = GOOD.replace('[[data]]\nsource = "sklearn"\ndataset = "iris"', "")
    assert refused(file, f"data = []\n{text}") == "a [[data]] table is missing; add it"
    assert refused(file, f"data = [3]\n{text}") == "'data' is [3]; give tables [[data]]"


def test_files_that_cannot_be_read_are_named(tmp_path: Path, file: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, Path("no-such-recipe")):
        with pytest.raises(DataError, match=r"cannot be read \(.+\); give the path of a recipe") as caught:
            read_recipe(path)
        assert str(caught.value).startswith(f"{path}: ")
    file.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(DataError, match=r"recipe\.toml: is no TOML"):
        read_recipe(file)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who may read everything is not refused")
def test_a_file_without_permission_is_named(file: Path) -> None:
    file.write_text(GOOD)
    file.chmod(0)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        read_recipe(file)


def test_a_recipe_made_in_python_is_held_to_the_same_rules() -> None:
    known = {"name": "a", "licence": "b", "citation": "c", "data": ({"source": "sklearn", "dataset": "iris"},)}
    runs = {"vector": RunsOf(1, 2)}
    assert len(Recipe(**known, runs=runs).specs) == 1
    with pytest.raises(DataError, match=r"runs\.vector"):
        Recipe(**known, runs={})
    with pytest.raises(DataError, match="got -1 and 2"):
        RunsOf(-1, 2)
    with pytest.raises(DataError, match="seed is -1"):
        Recipe(**known, runs=runs, seed=-1)


def test_the_recipe_that_ships_is_found_by_its_name(shelf: Path) -> None:
    (shelf / "datasets" / "mine").mkdir()
    (shelf / "datasets" / "mine" / "recipe.toml").write_text(GOOD)
    assert read_recipe("mine").name == "small"


# --- what ships -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Recipe:
    return read_recipe("smallnets")


def test_the_shipped_recipe_is_as_wide_as_it_promises(shipped: Recipe) -> None:
    assert shipped.name == "smallnets"
    assert shipped.redistributable
    assert shipped.licence == "Apache-2.0"
    assert len(shipped.specs) >= 150
    assert len({spec.dataset for spec in shipped.specs}) >= 60
    assert len({spec.family for spec in shipped.specs if spec.source != "sklearn"}) >= 12
    assert sum(shipped.runs[spec.kind].stacks * shipped.runs[spec.kind].stack for spec in shipped.specs) >= 20_000
    kinds = Counter(spec.domain for spec in shipped.specs)
    assert set(kinds) == {f"{a}-{b}" for a in ("tabular", "img", "seq") for b in ("classification", "regression")}
    assert min(kinds.values()) >= 5


def test_families_of_scikit_learns_data_are_those_of_their_twins_elsewhere(shipped: Recipe) -> None:
    families = {spec.dataset: spec.family for spec in shipped.specs if spec.source == "sklearn"}
    assert families == {
        "sklearn-digits": "digits",  # the test part of optdigits, OpenML 28
        "sklearn-iris": "iris",
        "sklearn-breast-cancer": "breast-cancer",  # wdbc, OpenML 1510
        "sklearn-wine": "wine-cultivars",  # OpenML 187, not the wine-quality tables
        "sklearn-diabetes": "diabetes-efron",  # neither OpenML 37 nor Diabetes130US
        "sklearn-sample-images": "sample-images",
    }


def test_a_dataset_is_of_one_family_and_no_generated_one_of_scikit_learns(shipped: Recipe) -> None:
    pairs = {(spec.dataset, spec.family) for spec in shipped.specs}
    assert len(pairs) == len({dataset for dataset, _ in pairs})
    bundled = {spec.family for spec in shipped.specs if spec.source == "sklearn"}
    assert not bundled & {spec.family for spec in shipped.specs if spec.source != "sklearn"}
