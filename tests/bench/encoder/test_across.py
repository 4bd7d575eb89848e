"""Across datasets: labels of other families first, no two datasets compared, the target's family absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metalcx.bench import run_encoder
from metalcx.bench.encoder._across import FEW, _targets, judged_across
from metalcx.bench.encoder._spaces import read_space
from metalcx.encoders import EncoderConfig, new_encoder

from .made_spaces import QUICK


def test_sources_are_of_other_families(data):
    space = read_space(data / "nas-bench-graph")
    targets = list(_targets(space, [0, 4], 60))
    named = [(target.case.run, target.case.table.name, len(target.others)) for target in targets]
    assert named == [(run, *of) for run in (0, 4) for of in (("cora", 3), ("photo", 2), ("computers", 2), ("arxiv", 3))]
    assert {table.name for table in targets[1].whole} == {"cora", "arxiv"}, "computers is of photo's family"
    assert all(len(set(lesson.graphs.tolist())) == 60 for target in targets for lesson in target.others)
    [one] = _targets(space, [0], 60, ["photo"])
    assert [table.name for table in one.whole] == ["cora", "arxiv"], "what is asked for is what is ranked"
    parts = targets[0].case.parts
    assert not set(parts.test) & {*parts.train, *parts.valid}
    assert len(parts.train) == max(FEW)


def test_other_datasets_help_where_labels_are_few(data):
    space = read_space(data / "nas-bench-graph")
    space = replace(space, tables=(space.tables[0], space.tables[3]))
    looked_up = list(judged_across(space, "lookup", [0], QUICK, {}))
    assert [(row["table"], row["labels"]) for row in looked_up] == [(t, k) for t in ("cora", "arxiv") for k in FEW]
    assert all(row["transfer"] and row["tau"] > 0.8 for row in looked_up)
    rows = list(judged_across(space, "gin/none", [0], QUICK, {0: new_encoder(EncoderConfig("gin", 16))}))
    assert [(r["transfer"], r["labels"]) for r in rows if r["table"] == "cora"] == [
        (False, 20),
        (False, 78),
        (True, 0),
        (True, 20),
        (True, 78),
    ]
    assert len({(row["table"], row["test"]) for row in rows}) == 2, "the same are ranked, however many labels"
    assert all(row["tau"] > 0.5 for row in rows if row["transfer"])


def test_the_page_shows_what_other_datasets_add(data, tmp_path):
    rows = run_encoder(data, tmp_path, across=True, methods=["lookup", "counts/ridge"], effort=QUICK, runs=2)
    of = {(r["table"], r["row"], r["transfer"], r["labels"]): r["tau"] for r in rows}
    assert of["mean", "counts/ridge", True, 0] > 0.8
    assert ("mean", "counts/ridge", False, 0) not in of, "there is nothing to rank by"
    assert of["mean", "lookup", True, 0] == pytest.approx(
        np.mean([of[table, "lookup", True, 0] for table in ("cora", "photo", "computers", "arxiv")])
    )
    page = (tmp_path / "tables.md").read_text()
    assert page.index("cora: 0 labels") < page.index("cora: 20 labels") < page.index("cora: 78 labels")
    assert "| counts/ridge | without transfer | 2 |" in page
