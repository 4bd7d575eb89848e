"""Spaces of the encoder benchmark: tables, splits without a leak, and cells as they were published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metalcx.bench.encoder._spaces import Table, read_space, split
from metalcx.errors import DataError


def test_a_space_has_a_table_for_each_budget_and_one_for_curves(data):
    space = read_space(data / "cells")
    assert [(table.name, table.family) for table in space.tables] == [
        ("cifar@1", "c"),
        ("cifar@9", "c"),
        ("digits", "d"),
    ]
    first, ninth, digits = (table.values for table in space.tables)
    np.testing.assert_allclose(ninth, 9 * first, rtol=1e-6)
    # Lower is better, so its negative; the last of five points is -w.
    np.testing.assert_allclose(digits, first, rtol=1e-6, atol=1e-6)
    assert all(len(table.rows) == 300 for table in space.tables)


def test_a_group_is_on_one_side_and_has_one_label_at_most(data):
    space, loose = read_space(data / "cells"), read_space(data / "cells", by_group=False)
    assert space.alike[3] == space.alike[4]
    assert len({space.group[i] for i in (3, 4)}) == len({space.group[i] for i in (5, 6)}) == 1
    assert len(set(loose.group)) == 300
    for permutation in range(3):
        parts = split(space, space.tables[0], permutation, labels=30)
        for kept in (space.group, space.alike):
            train, valid, test = (set(kept[space.tables[0].rows[part]].tolist()) for part in parts)
            assert len(train | valid | test) == len(train) + len(valid) + len(test)
        assert (len(parts.train), len(parts.valid)) == (30, 40)
        assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
        groups = [space.group[space.tables[0].rows[part]] for part in parts]
        assert [len(np.unique(of)) == len(of) for of in groups] == [True, True, False]
        # All members of all groups without a label are ranked.
        assert len(parts.test) == np.isin(space.group, np.concatenate(groups[:2]), invert=True).sum()
    one, other = (split(space, space.tables[0], p, labels=30).train for p in (0, 1))
    assert set(one) != set(other)
    with pytest.raises(DataError, match=r"cifar@1 has \d+ groups, too few for 200 labels and a test"):
        split(space, space.tables[0], 0, labels=200)


@pytest.mark.parametrize(
    ("name", "n", "labels"),
    [("nb201-finals", 15_625, 78), ("nb201-finals-unpruned", 15_625, 78), ("nas-bench-macro", 6_561, 66),
     ("spikenas-bench", 15_625, 156), ("spikenas-bench", 276, 20)],
)  # fmt: skip
def test_labels_are_the_protocols(data, name, n, labels):
    space = replace(read_space(data / "cells"), name=name, group=np.arange(n))
    parts = split(space, Table("t", np.arange(n), np.zeros(n), "f"), 0)
    assert tuple(map(len, parts)) == (labels, 40, n - labels - 40)


def test_unpruned_cells_are_split_and_ranked_as_the_functional_ones(data):
    space, whole = (read_space(data / f"nb201-finals{name}") for name in ("", "-unpruned"))
    assert set(np.diff(whole.batch.offsets).tolist()) == {8}
    assert np.diff(space.batch.offsets).max() <= 8
    assert np.diff(space.batch.offsets).min() < 6
    assert len(whole.unique) > len(space.unique)
    for permutation in range(2):
        for a, b in zip(*(split(s, s.tables[0], permutation) for s in (space, whole)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert whole.proxy[0] == space.proxy[0] is not None
    np.testing.assert_allclose(whole.proxy[1], space.proxy[1], rtol=1e-6)
    with pytest.raises(
        DataError, match="cells-unpruned: only cells whose text is known, of 'cell-6edge', 'nasbench201'"
    ):
        read_space(data / "cells-unpruned")
