"""Tasks are of one grid, splits by architecture whatever its numbering, units of the training runs alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.bench.dynamics import _tasks
from metalcx.bench.dynamics._fold import n_seen, split
from metalcx.bench.dynamics._tasks import _on_one_grid, as_task, most_architectures, read_task
from metalcx.corpora import Corpus, open_corpus
from metalcx.errors import DataError

from .made_nets import made_task, runs, write_nets


def test_runs_of_a_graph_under_any_numbering_are_one_group():
    task = made_task()
    # Every fourth run has the graph of the one before it in other numbers.
    assert (task.group[3::4] == task.group[2::4]).all()
    assert (task.arch[3::4] != task.arch[2::4]).all()
    assert len(np.unique(task.group)) > 6
    assert task.y.shape == (40, 25)


def test_groups_hang_together_through_graphs_and_groups():
    curves = runs(n=16)
    joined = replace(curves, group=np.array(["one"] * 3 + [f"g{i}" for i in range(13)], dtype=object))
    task = as_task(joined, "a", "b", "c")
    assert len(np.unique(task.group[:4])) == 1, "the fourth run has the graph of the third, which has the first's group"


@given(st.integers(0, 20))
def test_no_architecture_is_on_two_sides(seed):
    task = made_task()
    fold = split(task, seed)
    sides = [set(task.group[rows]) for rows in (fold.train, fold.valid, fold.test)]
    assert not (sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2])
    assert sorted(np.concatenate([fold.train, fold.valid, fold.test])) == list(range(40))
    assert len(sides[0]) > len(sides[2]) >= len(sides[1]) >= 1


def test_units_come_from_the_training_runs_alone():
    task = made_task()
    fold = split(task, 3)
    y = task.y.copy()
    y[fold.test] = 0.5 * y[fold.test]
    y[fold.valid] = 0.25
    other = split(replace(task, y=y), 3)
    assert (other.centre, other.spread) == (fold.centre, fold.spread)
    np.testing.assert_array_equal(other.y[fold.train], fold.y[fold.train])


def test_units_are_taken_back():
    fold = split(made_task(), 0)
    batch = fold.batch(fold.test)
    np.testing.assert_allclose(fold.values(batch.future), fold.y[fold.test][:, fold.seen :], rtol=1e-5)
    assert fold.bounded(np.array([1e9, -1e9, 0.3])).tolist() == [fold.worst, 0.0, 0.3]
    assert fold.y.max() <= fold.worst


def test_no_value_is_worse_than_the_floor_of_the_training_runs():
    task = made_task()
    fold = split(task, 0)
    y = task.y.copy()
    y[fold.test[0], 5] = 1e6
    init, best = np.median(task.y[fold.train, 0]), task.y[fold.train].min()
    assert split(replace(task, y=y), 0).y.max() == pytest.approx(init + 3 * (init - best))


def test_a_fifth_is_seen():
    assert [n_seen(length) for length in (200, 100, 42, 5, 3)] == [40, 20, 8, 2, 2]


def test_diverged_runs_and_other_grids_are_left_out(tmp_path, monkeypatch):
    write_nets(tmp_path)
    assert len(read_task(tmp_path, "made/nets", "val_loss").y) == 40
    assert read_task(tmp_path, "made/nets", "val_accuracy").metric.name == "val_loss", "the task's own stands in"
    monkeypatch.setattr(_tasks, "MAX_RUNS", 20)
    few = read_task(tmp_path, "made/nets", "val_loss")
    assert len(few.y) == 20
    assert set(read_task(tmp_path, "made/nets@mlp", "val_loss").curves.ids) <= {f"r{i}" for i in range(24)}


def test_networks_that_do_not_read_their_input_are_left_out():
    curves = runs(n=20)
    arch = curves.arch.copy()
    arch[4] = '{"nodes":[{"op":"input"},{"op":"output"}],"edges":[]}'
    arch[5] = None
    assert list(_on_one_grid(replace(curves, arch=arch)).ids) == [f"r{i}" for i in range(20) if i not in (4, 5)]


def test_a_name_says_what_is_wrong_with_it(tmp_path, monkeypatch):
    write_nets(tmp_path)
    with pytest.raises(DataError, match="no kind of networks 'gnn'"):
        read_task(tmp_path, "made/nets@gnn", "val_loss")
    with pytest.raises(DataError, match="made has no task 'wine'; it has 'nets'"):
        read_task(tmp_path, "made/wine", "val_loss")
    monkeypatch.setattr(_tasks, "MIN_RUNS", 41)
    with pytest.raises(DataError, match="has 40 complete runs of"):
        read_task(tmp_path, "made/nets", "val_loss")


def test_the_rule_takes_the_most_architectures_of_a_kind(tmp_path):
    write_nets(tmp_path)
    made = Corpus.open(tmp_path / "made")
    assert most_architectures(made, "mlp") == most_architectures(made, "cnn") == ["nets"]
    ours = open_corpus("smallnets")
    for kind in ("mlp", "cnn"):
        families = ours.tasks.set_index("task").family[most_architectures(ours, kind)]
        assert families.nunique() == 2
