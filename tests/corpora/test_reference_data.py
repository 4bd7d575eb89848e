"""The measured corpora beside the repository: skipped where they are not there."""

import numpy as np
import pytest

from metalcx.corpora import (
    Corpus,
    all_tasks,
    check_no_leak,
    duplicated,
    families,
    first_of_identical,
    split_by_family,
    validate,
)
from metalcx.errors import LeakError

from .conftest import DATA

NAMES = (
    "algoperf", "baker2018", "lcdb11", "lemur", "nas-bench-graph", "nas-bench-macro", "nas-bench-nlp-wt2",
    "nb201-finals", "nmtlc", "spikenas-bench", "taskset-rnn",
)  # fmt: skip
pytestmark = pytest.mark.skipif(not (DATA / "lemur").is_dir(), reason="no measured corpora here")


@pytest.mark.parametrize("name", NAMES)
def test_opens_validates_and_reads(name):
    corpus = Corpus.open(DATA / name)
    report = validate(DATA / name)
    report.raise_if_invalid()
    assert (report.n_tasks, report.n_runs, report.n_points) == (corpus.n_tasks, corpus.n_runs, corpus.n_points)
    task = corpus.task(corpus.task_names[0])
    curves = task.curves(metrics=[m.name for m in corpus.metrics])
    assert len(curves) == task.n_runs == (corpus.runs["task"] == task.name).sum()
    diverged = curves.status == "diverged"
    assert np.isinf(curves.y[curves.offsets[1:] - 1][diverged]).all()
    assert np.isinf(curves.y).sum() == diverged.sum()


@pytest.mark.parametrize(("name", "task", "count"), [("nmtlc", "ted-zh-en", 43), ("baker2018", "alexnet_imagenet", 38)])
def test_duplicates_are_as_many_as_their_source_states(name, task, count):
    assert duplicated(Corpus.open(DATA / name).task(task).curves()).sum() == count


def test_duplicates_of_the_resnets():
    """SOURCE.md: 28 duplicated pairs and 14 runs of zeros."""
    curves = Corpus.open(DATA / "baker2018").task("deep_resnets_tinyimagenet").curves()
    first, sizes = np.unique(first_of_identical(curves), return_counts=True)
    zeros = np.array([(curves.take([i]).y == 0).all() for i in first])
    assert (sizes[~zeros] == 2).sum() == 28
    assert sizes[zeros].sum() == 14


def test_families_across_all_corpora():
    tasks = all_tasks(Corpus.open(DATA / name) for name in NAMES)
    assert len(tasks) == 260
    assert len(set(families(tasks))) == 187
    split = split_by_family(tasks, holdout="tinyimagenet")
    assert {t.dataset for t in split.targets} == {"imagenet", "imagenette", "imagenet16-120", "tinyimagenet"}
    check_no_leak(split.sources, split.targets)
    with pytest.raises(LeakError, match="openml-40927"):
        check_no_leak([Corpus.open(DATA / "lcdb11")], Corpus.open(DATA / "spikenas-bench").task("cifar10"))
