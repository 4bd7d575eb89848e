"""The encoder benchmark: rows that learn, parts that are kept, encoders that are shared, and processes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from metalcx import hub
from metalcx.bench import METHODS, run_encoder, time_encoders
from metalcx.bench.encoder._pools import Pool, seen
from metalcx.bench.encoder._rows import Row
from metalcx.bench.encoder._spaces import read_space, split
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.encoders._pretraining import Training
from metalcx.errors import DataError

from .made_spaces import QUICK


def test_rows_learn_and_are_kept(data, tmp_path):
    methods = ("proxy", "counts/trees", "gated-gcn/none", "gated-gcn/both")
    options = {"spaces": ["cells"], "methods": methods, "effort": QUICK, "runs": 2}
    rows = run_encoder(data, tmp_path, **options)
    assert len(rows) == (3 + 1) * len(methods), "three tables and their mean"
    of = {(row["table"], row["row"]): row for row in rows}
    assert of["digits", "counts/trees"]["tau"] > 0.5
    assert of["digits", "gated-gcn/none"]["tau"] > 0.3
    assert of["digits", "gated-gcn/both"]["labels"] == 20
    mean = np.mean([of[table, "proxy"]["tau"] for table in ("cifar@1", "cifar@9", "digits")])
    assert of["mean", "proxy"]["tau"] == pytest.approx(mean)
    with (tmp_path / "gains.csv").open() as file:
        gains = [(row["table"], row["row"], row["over"]) for row in csv.DictReader(file)]
    assert gains == [(t, "gated-gcn/both", "gated-gcn/none") for t in ("cifar@1", "cifar@9", "digits", "mean")]
    page = (tmp_path / "tables.md").read_text()
    assert "## cells, digits: 20 labels, split by group, " in page
    assert "--epochs 3 --tune 15 --hidden 16" in page
    # A second call takes over what is there, and measures what is missing.
    part = tmp_path / "parts" / "cells-counts-trees-0.json"
    changed = [{**row, "tau": 0.125} for row in json.loads(part.read_text())]
    part.write_text(json.dumps(changed))
    (tmp_path / "parts" / "cells-proxy-1.json").unlink()
    again = {(row["table"], row["row"]): row for row in run_encoder(data, tmp_path, **options)}
    assert again["digits", "counts/trees"]["tau"] != of["digits", "counts/trees"]["tau"]
    assert again["digits", "proxy"] == {**of["digits", "proxy"], **{k: again["digits", "proxy"][k] for k in TIMES}}
    with pytest.raises(DataError, match="holds parts of other settings"):
        run_encoder(data, tmp_path, **{**options, "effort": replace(QUICK, hidden=8)})


TIMES = ("seconds", "cpu")


def test_one_encoder_serves_all_permutations_and_both_splits(data, tmp_path, monkeypatch):
    epochs, real = [], Training.epoch
    monkeypatch.setattr(Training, "epoch", lambda self, number: epochs.extend(self.configs) or real(self, number))
    options = {"spaces": ["nas-bench-graph"], "methods": ["gin/flow"], "effort": QUICK}
    run_encoder(data, tmp_path, runs=4, **options)
    assert len(epochs) == 3 * QUICK.pretrain.epochs, "three seeds; the fourth run has the first of them"
    rows = run_encoder(data, tmp_path, runs=1, by_group=False, **options)
    assert len(epochs) == 3 * QUICK.pretrain.epochs
    assert {(row["split"], row["runs"]) for row in rows} == {("group", 4), ("row", 1)}, "a page of all that is there"
    assert not list((tmp_path / "encoders").glob("*.safetensors")), "nothing is left of trainings that ended"


def test_half_sees_those_with_a_label_and_all_sees_every_space(data, tmp_path):
    options = {"effort": QUICK, "runs": 1}
    run_encoder(data, tmp_path, spaces=["nas-bench-graph"], methods=["gin/flow@half", "gin/both@all"], **options)
    about = {path.name: json.loads((path / "metrics.json").read_text()) for path in (tmp_path / "encoders").iterdir()}
    graphs, cells = (read_space(data / name) for name in ("nas-bench-graph", "nb201-finals"))
    assert about["nas-bench-graph-half0-gin-flow-21"]["graphs"] <= 100
    assert about["all-gin-both-21"]["graphs"] == len(graphs.unique) + len(cells.unique)
    assert hub.load_encoder(tmp_path / "encoders" / "all-gin-both-21").config.kind == "gin"
    # A space that is not among all, and a row for which there is no proxy, are left out.
    found = run_encoder(data, tmp_path, spaces=["cells"], methods=["gin/both@all", "proxy"], **options)
    found = run_encoder(data, tmp_path, spaces=["plain"], methods=["gin/both", "gin/none", "proxy"], **options)
    assert {(row["space"], row["row"]) for row in found if row["table"] != "mean"} == {
        ("nas-bench-graph", "gin/flow@half"),
        ("nas-bench-graph", "gin/both@all"),
        ("cells", "proxy"),
        ("plain", "gin/none"),
    }


def test_a_half_holds_what_every_table_learns_from(data):
    space = read_space(data / "cells")
    few = replace(space.tables[0], rows=space.tables[0].rows[::-1][:200], values=space.tables[0].values[::-1][:200])
    for permutation in range(3):
        half = set(seen(space, permutation).tolist())
        assert len(half) in range(140, 151)
        for table in (*space.tables, few):
            assert half.issuperset(table.rows[split(space, table, permutation).train])


def test_spaces_side_by_side_are_the_same_graphs(data):
    spaces = [read_space(data / name) for name in ("plain", "nb201-finals")]
    pool = Pool.of(spaces)
    assert np.bincount(pool.group).tolist() == [len(space.unique) for space in spaces]
    assert np.isnan(pool.proxy[pool.group == 0]).all()
    assert np.isfinite(pool.proxy[pool.group == 1]).all()
    surrogate = QUICK.pretrain.surrogate
    alone = np.concatenate([surrogate(space.batch.take(space.unique)) for space in spaces])
    np.testing.assert_allclose(surrogate(pool.batch), alone, rtol=1e-5)


def test_rows_may_read_several_proxies(data, tmp_path):
    methods = ("surrogate+counts+proxies/ridge", "gated-gcn/many", "gated-gcn+proxies/none", "gated-gcn+proxies/many")
    options = {"spaces": ["nb201-finals"], "methods": methods, "effort": QUICK, "runs": 2}
    rows = run_encoder(data, tmp_path, **options)
    assert {row["row"] for row in rows} == set(methods)
    assert all(row["tau"] > 0.3 for row in rows)
    known = json.loads((tmp_path / "proxies" / "nb201-finals.json").read_text())
    assert known["names"] == ["synflow", "nwot", "zen"]
    with (tmp_path / "gains.csv").open() as file:
        gains = {(row["row"], row["over"]) for row in csv.DictReader(file)}
    assert gains == {("gated-gcn+proxies/many", "gated-gcn+proxies/none")}, "like is compared with like"
    # What is kept is read again, and is of functional cells, however they are shown.
    path = tmp_path / "proxies" / "nb201-finals.json"
    path.write_text(json.dumps({**known, "names": ["a", "b", "c"]}))
    for name in ("nb201-finals", "nb201-finals-unpruned"):
        space = read_space(data / name, kept=tmp_path / "proxies")
        assert space.proxies[0] == ("a", "b", "c")
        assert space.beside.shape == (len(space.batch), 3)
        np.testing.assert_allclose(space.proxies[1][:, 0], space.proxy[1], rtol=1e-6)


def test_an_ensemble_learns_from_what_would_validate_too(data, tmp_path):
    methods = ("gin/none", "gin+ensemble/none", "gin+proxies+ensemble/flow")
    rows = run_encoder(data, tmp_path, spaces=["nb201-finals"], methods=methods, effort=QUICK, runs=2)
    assert {row["row"] for row in rows} == set(methods)
    tau = {name: np.mean([row["tau"] for row in rows if row["row"] == name]) for name in methods}
    assert tau["gin+ensemble/none"] > tau["gin/none"], "five rankers, and half as many labels again"
    assert Row.parse("gin+proxies+ensemble/flow@half") == Row("gin", "flow", "half", beside=True, ensemble=True)
    assert Row.parse("gin+proxies+ensemble/flow@half").plain == "gin+proxies+ensemble/none"


def test_the_encoder_that_ships_is_judged_as_it_is(data, tmp_path, monkeypatch):
    shipped, names = new_encoder(EncoderConfig("gated-gcn", hidden=8), seed=5), []
    monkeypatch.setattr(hub, "load_encoder", lambda name: names.append(name) or shipped)
    methods = ["gated-gcn/none", "metalcx-encoder", "metalcx-encoder+ensemble"]
    rows = run_encoder(data, tmp_path, spaces=["cells"], methods=methods, effort=QUICK, runs=2)
    assert {row["row"] for row in rows} == set(methods)
    assert set(names) == {"metalcx-encoder"}
    with (tmp_path / "gains.csv").open() as file:
        assert {(row["row"], row["over"]) for row in csv.DictReader(file)} == {("metalcx-encoder", "gated-gcn/none")}
    assert not (tmp_path / "encoders").exists(), "nothing was pre-trained"


def test_some_tables_alone(data, tmp_path):
    options = {"methods": ["counts/ridge", "gin/none"], "effort": QUICK, "runs": 1}
    rows = run_encoder(data, tmp_path, tables=["digits"], spaces=["cells", "plain"], **options)
    assert {(row["space"], row["table"]) for row in rows} == {("cells", "digits")}, "plain has none such"
    assert "--table digits" in (tmp_path / "tables.md").read_text()
    with pytest.raises(DataError, match="parts of other settings"):
        run_encoder(data, tmp_path, **options)
    with pytest.raises(DataError, match="no space has a table called 'didgits'"):
        run_encoder(data, tmp_path / "new", tables=["didgits"], spaces=["cells"], **options)
    assert not (tmp_path / "new").exists()


def test_what_a_killed_call_leaves_is_gone_on_from_or_cleared_away(data, tmp_path, monkeypatch):
    """Killed while its encoders are saved, or in training and then asked for fewer rows."""
    options = {"spaces": ["cells"], "effort": QUICK, "runs": 1}
    real, saved = hub.save_encoder, []

    def dies(*given, **named):
        if saved:
            raise KeyboardInterrupt
        saved.append(real(*given, **named))

    monkeypatch.setattr(hub, "save_encoder", dies)
    with pytest.raises(KeyboardInterrupt):
        run_encoder(data, tmp_path, methods=["gin/flow", "gin/both"], **options)
    monkeypatch.undo()
    assert list((tmp_path / "encoders").glob("*.safetensors"))
    for methods in (["gin/both"], ["gin/flow", "gin/both"]):
        rows = run_encoder(data, tmp_path, methods=methods, **options)
        assert {row["row"] for row in rows} == set(methods)
    assert not list((tmp_path / "encoders").glob("*.safetensors"))


def test_a_row_without_anything_to_learn_takes_nothing_from_others(data, tmp_path):
    options = {"effort": QUICK, "runs": 1}
    spaces = ["nb201-finals", "nb201-finals-unpruned"]
    rows = run_encoder(data, tmp_path / "a", spaces=spaces, methods=["gin/flow@all"], **options)
    assert {row["space"] for row in rows} == {"nb201-finals"}, "the same encoder, and the other space is not among all"
    rows = run_encoder(data, tmp_path / "b", spaces=["plain"], methods=["gin/flow", "gin+proxies/flow"], **options)
    assert {row["row"] for row in rows} == {"gin/flow"}
    methods = ["gin/flow@all", "gin+proxies/flow@all"]
    rows = run_encoder(data, tmp_path / "c", spaces=["plain"], methods=methods, further=["plain"], **options)
    assert {row["row"] for row in rows} == {"gin/flow@all"}


@pytest.mark.slow
def test_processes_measure_the_same(data, tmp_path):
    options = {"spaces": ["nb201-finals"], "methods": ["gin/none", "gin/flow"], "effort": QUICK, "runs": 1}
    one, two = (run_encoder(data, tmp_path / str(n), workers=n, **options) for n in (1, 2))
    assert [{**row, **dict.fromkeys(TIMES, 0)} for row in one] == [{**row, **dict.fromkeys(TIMES, 0)} for row in two]


def test_what_will_not_do_is_refused(data, tmp_path):
    with pytest.raises(DataError, match="no row is called 'magic'; there is proxy, counts/trees"):
        run_encoder(data, tmp_path, methods=["magic"])
    with pytest.raises(DataError, match="no row is called 'gin/both@half'; there is lookup"):
        run_encoder(data, tmp_path, methods=["gin/both@half"], across=True)
    for more in ({"spaces": ["cells", "squares"]}, {"further": ["squares"]}):
        with pytest.raises(DataError, match="lacks 'squares'; give the corpora's folder"):
            run_encoder(data, tmp_path, **more)
    with pytest.raises(DataError, match="'spikenas-bench'"):
        run_encoder(data / "cells", tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(METHODS) == 1 + 3 * 3 + 3 * 4


def test_encoders_are_timed_in_one_run(data, tmp_path):
    rows = time_encoders(data / "cells", hidden=8, repeat=1, out=tmp_path)
    assert [row["encoder"] for row in rows] == ["gin", "gated-gcn", "flow", "counts", "surrogate"]
    assert all(row["graphs"] == 300 and row["warm"] > 0 and row["cold"] > 0 for row in rows)
    run_encoder(data, tmp_path, spaces=["cells"], methods=["proxy"], effort=QUICK, runs=1)
    assert "| gated-gcn | 300 |" in (tmp_path / "tables.md").read_text()
