"""The corpus that ships: what its recipe makes, what its card says, and enough in it to learn from."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_allclose

from metalcx.corpora import Corpus, validate
from metalcx.corpora.build import Recipe, read_recipe
from metalcx.corpora.build._assemble import assemble
from metalcx.corpora.build._plan import TaskPlan, plan_task
from metalcx.corpora.build._stack import MEASURED, train_stack

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "datasets" / "smallnets"


@pytest.fixture(scope="module")
def shipped() -> Corpus:
    return Corpus.open(SHIPPED)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("smallnets")


@pytest.fixture(scope="module")
def card() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_card", ROOT / "benchmarks" / "corpus_card.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planned(recipe: Recipe, task: str) -> TaskPlan:
    return plan_task(recipe, next(spec for spec in recipe.specs if spec.task == task))


def test_it_is_valid_within_its_size_and_may_be_passed_on(shipped: Corpus) -> None:
    report = validate(SHIPPED)
    assert report.ok, report.problems
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 25e6
    assert shipped.redistributable
    assert shipped.licence == "Apache-2.0"
    assert shipped.n_runs >= 20_000


def test_its_tasks_are_those_of_the_recipe(shipped: Corpus, recipe: Recipe) -> None:
    columns = ["task", "dataset", "family", "domain", "source", "n_train", "n_val", "n_test"]
    wanted = [tuple(getattr(spec, name) for name in columns) for spec in recipe.specs]
    assert list(shipped.tasks[columns].itertuples(index=False, name=None)) == wanted
    data = [json.loads(text) for text in shipped.tasks["data"]]
    assert data == [json.loads(json.dumps(dict(spec.settings))) for spec in recipe.specs]
    assert shipped.manifest.extra == {"seed": recipe.seed}
    assert (shipped.name, shipped.licence, shipped.citation) == (recipe.name, recipe.licence, recipe.citation)


@pytest.mark.parametrize("task", ["digits-image", "iris", "gen-counting-none-1-classification"])
def test_its_runs_are_those_that_the_recipe_draws(shipped: Corpus, recipe: Recipe, task: str) -> None:
    plan = planned(recipe, task)
    runs = shipped.runs[shipped.runs["task"] == task]
    configs = [config for stack in plan.stacks for config in stack.configs]
    assert len(runs) == len(configs)
    for text, config in zip(runs["config"], configs, strict=True):
        assert json.loads(text).items() >= json.loads(json.dumps(config)).items()
    assert [seed.split(".")[0] for seed in runs["seed"]] == [str(s.seed) for s in plan.stacks for _ in s.configs]
    row = shipped.tasks.set_index("task").loc[task]
    assert (row["metric"], row["epochs"], row["stopping"]) == (plan.metric, plan.epochs, plan.stopping)


def test_a_shipped_stack_comes_out_again(shipped: Corpus, recipe: Recipe) -> None:
    plan = planned(recipe, "iris")
    found = train_stack(plan.stacks[0])
    runs = shipped.runs[shipped.runs["task"] == "iris"].iloc[: len(plan.stacks[0].configs)]
    points = shipped.points(runs["run"].to_numpy(), ["val_loss", "train_loss"])
    for name in ("val_loss", "train_loss"):
        kept = np.stack([points.values[name][first : first + 2] for first in points.offsets[:-1]])
        again = found["values"][:, :2, MEASURED.index(name)]
        # Another processor rounds otherwise, and training lets that grow: the first steps are enough to tell.
        calm = np.abs(kept).max(1) < 10
        assert calm.sum() > 10
        assert_allclose(again[calm], kept[calm], rtol=2e-2)
    graph = shipped.architectures.set_index("arch")["graph"][runs["arch"].iloc[0]]
    one = TaskPlan(plan.spec, plan.metric, plan.epochs, plan.stopping, plan.stacks[:1], plan.groups[:1])
    assert assemble(one, [found]).architectures[0]["graph"] == json.loads(graph)


def test_the_card_has_the_figures_of_the_corpus(shipped: Corpus, card: ModuleType) -> None:
    text = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert card.between_marks(text, card.tables(shipped)) == text
    assert f"{shipped.n_runs:,} trainings" in text
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.M)) == set(shipped.tasks["family"])


def test_there_is_something_to_forecast(shipped: Corpus, card: ModuleType) -> None:
    """Runs end apart, most learn, not all have arrived early, and some fail in each way."""
    runs = card.described(shipped)
    assert {"completed", "diverged", "censored"} == set(runs["status"])
    assert 0.02 < np.mean(runs["status"] == "diverged") < 0.15
    kept = runs[runs["status"] != "diverged"]
    assert 0.6 < kept["learned"].mean() < 0.95
    assert 0.05 < kept["overfit"].mean() < 0.4
    spread = kept.groupby("task")["score"].quantile([0.25, 0.75]).unstack()
    # Where runs are trained alike and the data are easy, all may end alike, as in real searches.
    assert (spread[0.75] - spread[0.25] > 0.03).mean() > 0.95
    images = kept[kept["domain"] == "img-classification"]
    assert images["to_come"].median() > 0.2


def test_no_two_tasks_of_a_dataset_are_of_two_families(shipped: Corpus) -> None:
    assert (shipped.tasks.groupby("dataset")["family"].nunique() == 1).all()
    features = shipped.tasks.set_index("task").select_dtypes("number").drop(columns="target")
    assert np.isfinite(features).all(axis=None)
