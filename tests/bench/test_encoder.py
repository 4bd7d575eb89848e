"""The encoder benchmark: spaces as they are, splits without a leak, rows that learn, and parts that are kept."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metalcx as mx
from metalcx.bench import METHODS, Effort, run_encoder, time_encoders
from metalcx.bench._encoder import _seen, summary
from metalcx.bench._encoder_methods import measures, precision
from metalcx.bench._encoder_spaces import read_space, split
from metalcx.corpora import write_corpus
from metalcx.encoders import FinetuneConfig, PretrainConfig
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph

WORTH = {"nor_conv_3x3": 1.0, "nor_conv_1x1": 0.5, "avg_pool_3x3": -0.5, "skip_connect": 0.1}
QUICK = Effort(PretrainConfig(epochs=3, batch=64), FinetuneConfig(epochs=15, rate=5e-3), hidden=16)


def ladder(ops: list[str], swap: bool = False) -> ArchGraph:
    """Operations in a row, a shortcut around the first; swapped, the same with other numbers."""
    n = len(ops)
    nodes = [{"op": "input"}, *({"op": op} for op in ops), {"op": "output"}]
    edges = [(i, i + 1) for i in range(n + 1)] + [(0, 2)]
    order = list(range(n + 2))[::-1] if swap else list(range(n + 2))
    return ArchGraph(tuple(nodes[i] for i in order), tuple((order.index(a), order.index(b)) for a, b in edges))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A space of 150 architectures with two budgets on one dataset and a loss after curves of five steps on another.

    Every fifth has the graph of the one before it in other numbers; every seventh the group of the one before it.
    """
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    ops = [rng.choice(list(WORTH), int(rng.integers(2, 6))).tolist() for _ in range(150)]
    ops = [ops[i - 1] if i % 5 == 4 else o for i, o in enumerate(ops)]
    worth = np.array([sum(WORTH[op] for op in o) for o in ops])
    archs = [f"a{i}" for i in range(150)]
    runs = pd.DataFrame({"run": archs, "arch": archs, "group": [f"g{i - (i % 7 == 6)}" for i in range(150)]})
    accuracy = mx.Metric("acc", "max")
    loss = mx.Metric("loss", "min")
    two = pd.DataFrame([(a, t, w * t) for a, w in zip(archs, worth, strict=True) for t in (1.0, 9.0)])
    five = pd.DataFrame([(a, t, (5 - t) - w) for a, w in zip(archs, worth, strict=True) for t in range(1, 6)])
    pieces = []
    for task, metric, table in (("cifar", accuracy, two), ("digits", loss, five)):
        frame = table.set_axis(["run", "t", "value"], axis=1)
        pieces.append((task, mx.Curves.from_frame(frame, metric, runs)))
    known = {"dataset": ["c", "d"], "family": ["c", "d"], "domain": "image", "metric": ["acc", "loss"]}
    write_corpus(
        root / "cells",
        pd.DataFrame({"task": ["cifar", "digits"], **known}),
        pieces,
        pd.DataFrame(
            {
                "arch": archs,
                "format": "made-up",
                "graph": [ladder(o, swap=i % 5 == 4).to_json() for i, o in enumerate(ops)],
            }
        ),
        name="cells",
        time_unit="epoch",
        metrics=(accuracy, loss),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )
    return root


def test_a_space_has_a_table_for_each_budget_and_one_for_curves(data):
    space = read_space(data / "cells")
    assert [table.name for table in space.tables] == ["cifar@1", "cifar@9", "digits"]
    first, ninth, digits = (table.values for table in space.tables)
    np.testing.assert_allclose(ninth, 9 * first, rtol=1e-6)
    # Lower is better, so its negative; the last of five points is -w.
    np.testing.assert_allclose(digits, first, rtol=1e-6, atol=1e-6)
    assert all(len(table.rows) == 150 for table in space.tables)


def test_graphs_that_are_alike_and_runs_of_a_group_stay_together(data):
    space, loose = read_space(data / "cells"), read_space(data / "cells", by_group=False)
    assert space.alike[3] == space.alike[4]
    assert len({space.group[i] for i in (3, 4)}) == len({space.group[i] for i in (5, 6)}) == 1
    assert len(set(loose.group)) == 150
    for permutation in range(3):
        parts = split(space, space.tables[0], permutation, labels=30)
        used = [set(space.group[part]) for part in parts]
        assert not used[0] & used[1] | used[0] & used[2] | used[1] & used[2]
        assert (len(parts.train), len(parts.valid)) == (30, 40)
        assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts)) > 130
    one, other = (split(space, space.tables[0], p, labels=30).train for p in (0, 1))
    assert set(one) != set(other)
    with pytest.raises(DataError, match="cifar@1 has 150 architectures, too few for 100 labels and a test"):
        split(space, space.tables[0], 0, labels=100)


def test_rows_learn_and_are_kept(data, tmp_path):
    methods = ("proxy", "counts", "gated-gcn/none", "gated-gcn/both")
    options = {"spaces": ["cells"], "methods": methods, "effort": QUICK, "runs": 2}
    rows = run_encoder(data, tmp_path, **options)
    assert len(rows) == 3 * len(methods)
    by_method = {row["method"]: row for row in rows if row["table"] == "digits"}
    assert by_method["counts"]["tau"] > 0.5
    assert by_method["gated-gcn/none"]["tau"] > 0.3
    assert "tau_gain" in by_method["gated-gcn/both"]
    assert by_method["gated-gcn/both"]["labels"] == 20
    with (tmp_path / "encoder.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)][:3] == [row["method"] for row in rows][:3]
    # A second call takes over what is there, and measures what is missing.
    part = tmp_path / "parts" / "cells-counts-0.json"
    changed = [{**row, "tau": 0.125} for row in json.loads(part.read_text())]
    part.write_text(json.dumps(changed))
    (tmp_path / "parts" / "cells-proxy-1.json").unlink()
    again = {(r["table"], r["method"]): r for r in run_encoder(data, tmp_path, **options)}
    before = {(r["table"], r["method"]): r for r in rows}
    assert again["digits", "counts"]["tau"] != before["digits", "counts"]["tau"]
    assert again["digits", "proxy"]["tau"] == before["digits", "proxy"]["tau"]
    with pytest.raises(DataError, match="holds parts of other settings"):
        run_encoder(data, tmp_path, **{**options, "effort": replace(QUICK, hidden=8)})


def test_inductive_pre_training_sees_half(data, tmp_path, monkeypatch):
    from metalcx.bench import _encoder_methods

    seen, real = [], _encoder_methods.pretrain

    def noted(encoder, batch, *rest, **options):
        seen.append(len(batch))
        return real(encoder, batch, *rest, **options)

    monkeypatch.setattr(_encoder_methods, "pretrain", noted)
    for inductive in (False, True):
        effort = replace(QUICK, inductive=inductive)
        run_encoder(data, tmp_path / str(inductive), methods=["gin/flow"], spaces=["cells"], effort=effort, runs=1)
    space = read_space(data / "cells")
    assert seen[0] == len(set(space.alike.tolist()))
    assert seen[1] <= 75
    # Also for a table of fewer architectures than the space has.
    few = replace(space.tables[0], rows=space.tables[0].rows[::-1][:100], values=space.tables[0].values[::-1][:100])
    for permutation in range(3):
        half = set(_seen(space, replace(QUICK, inductive=True), permutation).tolist())
        assert len(half) == 75
        for table in (*space.tables, few):
            assert half.issuperset(table.rows[split(space, table, permutation).train])


def test_what_will_not_do_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="no row is called 'magic'; there is proxy, counts"):
        run_encoder(data, tmp_path, methods=["magic"])
    with pytest.raises(DataError, match="lacks 'squares'; give the corpora's folder"):
        run_encoder(data, tmp_path, spaces=["cells", "squares"])
    with pytest.raises(DataError, match="'spikenas-bench'"):
        run_encoder(data, tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(METHODS) == 15


def test_precision_and_the_paired_difference():
    values = np.arange(200.0)
    assert precision(values, values, 0.05) == 1.0
    assert precision(-values, values, 0.05) == 0.0
    # Who says nothing picks at random, whatever the order of the rows.
    for order in (values, values[::-1]):
        assert precision(np.zeros(200), order, 0.5) == pytest.approx(0.5, abs=0.1)
    assert measures(values, values)["tau"] == measures(values, values)["p@1%"] == pytest.approx(1.0)
    base = {"space": "s", "table": "t"}
    found = [
        {**base, "method": method, "run": run, "tau": tau + 0.01 * run}
        for method, tau in (("gin/none", 0.5), ("gin/flow", 0.6))
        for run in range(3)
    ]
    found[3]["tau"] += 0.03
    rows = {row["method"]: row for row in summary(found)}
    assert rows["gin/flow"]["tau_gain"] == pytest.approx(0.11)
    assert 0 < rows["gin/flow"]["p"] < 0.05
    assert "p" not in rows["gin/none"]


def test_encoders_are_timed_in_one_run(data):
    rows = time_encoders(data / "cells", hidden=8, repeat=1)
    assert [row["encoder"] for row in rows] == ["gin", "gated-gcn", "flow", "counts", "surrogate"]
    assert all(row["graphs"] == 150 and row["warm"] > 0 and row["cold"] > 0 for row in rows)
