from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.corpora import (
    all_tasks,
    check_no_leak,
    check_no_shared_group,
    families,
    family_folds,
    leave_one_family_out,
    split_by_family,
    split_groups,
    write_corpus,
)
from metalcx.corpora._task import Task
from metalcx.errors import DataError, LeakError

from .conftest import LOSS, make_curves, manifest, task_row


def task(corpus, name, dataset, family):
    """A task without a folder: splits look at names alone."""
    return Task(SimpleNamespace(name=corpus), name, dataset, family, "toy", LOSS)


CIFAR_1 = task("one", "resnet", "cifar10", "cifar10")
CIFAR_2 = task("two", "img/CIFAR-10/acc", "CIFAR-10", "Cifar-10")
CIFAR_100 = task("two", "img/cifar-100", "cifar100", "cifar100")
IMAGENET = task("one", "alexnet", "imagenet", "imagenet")
TINY = task("two", "deep", "tinyimagenet", "imagenet")
IMDB = task("three", "lstm", "imdb", "imdb")
TASKS = [CIFAR_1, CIFAR_2, CIFAR_100, IMAGENET, TINY, IMDB]


def test_families_go_by_family_and_dataset_whatever_the_spelling():
    assert families(TASKS) == ("cifar10", "cifar10", "cifar100", "imagenet", "imagenet", "imdb")
    # Two corpora that disagree on the family of one dataset: what it links is one family.
    a, b, c = task("p", "x", "wiki", "wiki-2"), task("q", "y", "wiki", "wikitext"), task("r", "z", "other", "wikitext")
    assert len(set(families([a, c, b]))) == 1
    assert len(set(families([a, c]))) == 2


@pytest.mark.parametrize("name", ["imagenet", "tinyimagenet", "Tiny-ImageNet", "alexnet", "two/deep"])
def test_a_hold_out_expands_to_its_family_in_every_corpus(name):
    split = split_by_family(TASKS, holdout=name)
    assert split.targets == (IMAGENET, TINY)
    assert split.sources == (CIFAR_1, CIFAR_2, CIFAR_100, IMDB)
    assert split.families == ("imagenet",)
    check_no_leak(split.sources, split.targets)


def test_several_hold_outs_and_unknown_ones():
    split = split_by_family(TASKS, holdout=["cifar-10", "imdb"])
    assert split.families == ("cifar10", "imdb")
    assert split.targets == (CIFAR_1, CIFAR_2, IMDB)
    assert split_by_family(TASKS, holdout=[]).sources == tuple(TASKS)
    with pytest.raises(
        DataError, match=r"hold-out 'mnist' is no dataset, family or task here; datasets are 'CIFAR-10'"
    ):
        split_by_family(TASKS, holdout="mnist")


def test_leave_one_family_out_holds_each_out_once():
    splits = list(leave_one_family_out(TASKS))
    assert [s.families for s in splits] == [("cifar10",), ("cifar100",), ("imagenet",), ("imdb",)]
    assert sum(len(s.targets) for s in splits) == len(TASKS)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=12), seed=st.integers(0, 99), data=st.data())
def test_folds_hold_each_family_out_once_and_never_leak(sizes, seed, data):
    tasks = [task("c", f"t{i}-{k}", f"d{i}-{k}", f"f{i}") for i, size in enumerate(sizes) for k in range(size)]
    n = data.draw(st.integers(2, len(sizes)))
    folds = family_folds(tasks, n, seed)
    assert len(folds) == n
    assert sorted(f for s in folds for f in s.families) == sorted({t.family for t in tasks})
    for fold in folds:
        assert fold.targets
        assert len(fold.sources) + len(fold.targets) == len(tasks)
        check_no_leak(fold.sources, fold.targets)
    counts = [len(f.targets) for f in folds]
    assert max(counts) - min(counts) <= max(sizes)
    assert [f.families for f in family_folds(tasks, n, seed)] == [f.families for f in folds]


def test_folds_depend_on_the_seed_and_need_enough_families():
    tasks = [task("c", f"t{i}", f"d{i}", f"f{i}") for i in range(12)]
    assert len({tuple(f.families for f in family_folds(tasks, 3, seed)) for seed in range(5)}) > 1
    with pytest.raises(DataError, match="5 folds of 4 families; give from 2 to 4 folds"):
        family_folds(TASKS, 5, 0)


def test_a_leak_is_refused_and_named():
    with pytest.raises(LeakError) as caught:
        check_no_leak([CIFAR_2, CIFAR_100, TINY, IMDB], [IMAGENET, CIFAR_1])
    said = str(caught.value)
    assert (
        "family 'imagenet' (target one/alexnet (dataset 'imagenet')): source two/deep (dataset 'tinyimagenet')" in said
    )
    assert "source two/img/CIFAR-10/acc (dataset 'CIFAR-10')" in said
    assert "cifar100" not in said
    assert "imdb" not in said
    check_no_leak([CIFAR_100, IMDB], CIFAR_1)
    with pytest.raises(LeakError):
        check_no_leak([CIFAR_1], CIFAR_1)


def test_a_leak_through_a_third_corpus_is_seen():
    """Neither name agrees between source and target; the corpus that links them is among the sources."""
    source, link = task("p", "x", "wt", "wiki-2"), task("q", "y", "wt", "wikitext")
    with pytest.raises(LeakError, match=r"source p/x .*source q/y"):
        check_no_leak([source, link], task("r", "z", "other", "wikitext"))


def test_corpora_and_tasks_may_be_mixed(tmp_path):
    table = pd.DataFrame([task_row("a", "imdb"), task_row("b", "mnist")])
    pieces = [(name, make_curves(name=name)) for name in "ab"]
    archs = pd.DataFrame([{"arch": "net", "format": "name"}])
    corpus = write_corpus(tmp_path / "c", table, pieces, archs, **manifest())
    assert [t.name for t in all_tasks([corpus, CIFAR_1])] == ["a", "b", "resnet"]
    with pytest.raises(LeakError, match="source tiny/a"):
        check_no_leak([corpus], IMDB)
    check_no_leak([CIFAR_1], corpus)


@settings(max_examples=25, deadline=None)
@given(
    groups=st.lists(st.sampled_from(["g1", "g2", "g3", "g4", None]), min_size=1, max_size=20),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_support_and_queries_share_no_group(groups, seed, data):
    from dataclasses import replace

    curves = replace(make_curves(n=len(groups), diverged=()), group=np.array(groups, dtype=object))
    k = data.draw(st.integers(0, len(groups)))
    split = split_groups(curves, k, np.random.default_rng(seed), min_queries=0)
    assert len(set(split.support)) == k
    held = {groups[i] for i in split.support} - {None}
    assert set(split.queries) == {i for i, g in enumerate(groups) if g not in held and i not in split.support}
    check_no_shared_group(curves.take(split.support), curves.take(split.queries))
    again = split_groups(curves, k, np.random.default_rng(seed), min_queries=0)
    assert (again.support == split.support).all()


def test_too_little_to_split_is_refused_with_the_numbers():
    curves = make_curves(n=6)
    with pytest.raises(DataError, match="7 support runs of 6"):
        split_groups(curves, 7, np.random.default_rng(0))
    with pytest.raises(
        DataError, match=r"0 queries share no group with the 6 support runs, 1 are needed; there are 3 groups"
    ):
        split_groups(curves, 6, np.random.default_rng(0))
    with pytest.raises(LeakError, match="share the groups 'run-g0'"):
        check_no_shared_group(curves.take([0]), curves.take([1]))


def test_every_run_is_drawn_alike():
    curves = make_curves(n=6, diverged=())
    rng = np.random.default_rng(0)
    drawn = np.bincount(np.concatenate([split_groups(curves, 2, rng).support for _ in range(3000)]), minlength=6)
    assert (abs(drawn - 1000) < 100).all()
