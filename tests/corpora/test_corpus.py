import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from metalcx._swap import retired
from metalcx.corpora import Corpus, _corpus, write_corpus
from metalcx.errors import CorpusError

from .conftest import make_curves, manifest, task_row, write_tiny


def test_a_task_comes_back_as_it_was_written(tiny):
    written = make_curves(seed=1, name="b")
    curves = tiny.task("b").curves(metrics=["acc"])
    assert list(curves.ids) == list(written.ids)
    assert all(type(i) is str for i in curves.ids)
    assert list(curves.status) == ["completed", "diverged", "completed", "completed"]
    assert list(curves.arch) == ["net", None, "net", None]
    assert list(curves.group) == list(written.group)
    assert curves.time_unit == "epoch"
    assert curves.metrics == (tiny.metrics[0], tiny.metrics[1])
    np.testing.assert_array_equal(curves.offsets, written.offsets)
    np.testing.assert_array_equal(curves.t, written.t)
    for name in ("loss", "acc"):
        np.testing.assert_array_equal(curves.values[name], written.values[name].astype(np.float32))
    np.testing.assert_allclose(curves.config["lr"], written.config["lr"], rtol=0)
    assert curves.config["depth"].isna().tolist() == [True, False, True, False]
    assert curves.config["opt"].tolist() == ["adam"] * 4


def test_attributes_and_tables(tiny):
    assert (tiny.name, tiny.time_unit, tiny.licence, tiny.citation) == ("tiny", "epoch", "CC0-1.0", "none")
    assert (tiny.n_tasks, tiny.n_runs, tiny.n_points, tiny.redistributable) == (2, 8, 52, True)
    assert tiny.task_names == ("a", "b")
    assert list(tiny.runs["run"]) == list(range(8))
    assert list(tiny.architectures["arch"]) == ["net"]
    task = tiny.task("b")
    assert (task.dataset, task.family, task.domain, task.metric, task.meta) == (
        "b-data", "b-data", "toy", tiny.metrics[0], {"n_train": 10},
    )  # fmt: skip
    assert list(task.runs["run"]) == [4, 5, 6, 7]
    assert [t.name for t in tiny] == ["a", "b"]
    assert len(tiny) == 2


def test_only_the_primary_metric_is_read_by_default(tiny):
    assert set(tiny.task("a").curves().values) == {"loss"}


def test_runs_may_be_chosen_in_any_order(tiny):
    whole = tiny.task("b").curves()
    some = tiny.task("b").curves(runs=[7, 4])
    assert list(some.ids) == [whole.ids[3], whole.ids[0]]
    np.testing.assert_array_equal(some.y, np.concatenate([whole.take([3]).y, whole.take([0]).y]))
    with pytest.raises(CorpusError, match=r"'b' has no runs 0"):
        tiny.task("b").curves(runs=[0])


@pytest.mark.parametrize("runs", [[-1], [0, 0.5], [0, np.nan], [0, 2**40], [False, True], ["0"], [0, 10**6]])
def test_what_is_no_run_number_is_refused(tiny, runs):
    with pytest.raises(CorpusError, match="are not all run numbers from 0 to"):
        tiny.points(runs)
    assert len(tiny.points([])) == 0
    assert tiny.points([0.0, 1.0]).runs.tolist() == [0, 1]


def test_unknown_names_are_refused_with_what_there_is(tiny):
    with pytest.raises(CorpusError, match=r"no task 'c'; it has 'a', 'b'"):
        tiny.task("c")
    with pytest.raises(CorpusError, match=r"no values 'f1'; it measures 'loss', 'acc'"):
        tiny.task("a").curves(metrics=["f1"])
    with pytest.raises(CorpusError, match=r"no values 'seconds'"):
        tiny.task("a").curves(metrics=["seconds"])


def test_seconds_come_on_request(tmp_path):
    from dataclasses import replace

    curves = make_curves()
    curves = replace(curves, values={**curves.values, "seconds": curves.t * 2})
    table = pd.DataFrame([task_row("a")])
    archs = pd.DataFrame([{"arch": "net", "format": "name"}])
    corpus = write_corpus(tmp_path / "c", table, [("a", curves)], archs, **manifest(seconds=True))
    read = corpus.task("a").curves(metrics=["seconds"])
    np.testing.assert_array_equal(read.values["seconds"], curves.t * 2)
    assert [m.name for m in read.metrics] == ["loss"]


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_scan_yields_every_point_once_in_whole_runs(tiny, batch):
    pieces = list(tiny.scan(batch))
    assert sum(len(p) for p in pieces) == tiny.n_points
    runs = np.concatenate([p.runs for p in pieces])
    assert list(runs) == list(range(8))
    assert all(len(p) <= 2 * batch + 8 for p in pieces)
    assert len(pieces) == {1: 8, 1000: 1}.get(batch, len(pieces))
    np.testing.assert_array_equal(np.concatenate([np.diff(p.offsets) for p in pieces]), tiny.runs["n_points"])
    whole = np.concatenate([tiny.task(k).curves().y for k in ("a", "b")])
    np.testing.assert_array_equal(np.concatenate([p.values["loss"] for p in pieces]), whole)


def test_columns_may_stand_in_any_order(tiny):
    for name in ("curves", "runs", "tasks"):
        file = tiny.path / f"{name}.parquet"
        table = pq.read_table(file)
        pq.write_table(table.select(table.column_names[::-1]), file)
    again = Corpus.open(tiny.path)
    np.testing.assert_array_equal(again.task("b").curves().t, make_curves(seed=1, name="b").t)


def test_runs_of_a_task_may_be_scattered(tmp_path):
    table = pd.DataFrame([task_row("a"), task_row("b")])
    archs = pd.DataFrame([{"arch": "net", "format": "name"}])
    pieces = [("ab"[k % 2], make_curves(n=2, seed=k, name=f"p{k}-", diverged=())) for k in range(6)]
    corpus = write_corpus(tmp_path / "c", table, pieces, archs, **manifest())
    curves = corpus.task("b").curves()
    assert list(corpus.task("b").runs["run"]) == [2, 3, 6, 7, 10, 11]
    expected = np.concatenate([make_curves(n=2, seed=k, diverged=()).y for k in (1, 3, 5)]).astype(np.float32)
    np.testing.assert_array_equal(curves.y, expected)


def test_reading_a_task_touches_only_its_row_groups(tmp_path):
    """Every other row group is overwritten with noise: what reads on has not read them."""
    corpus = write_tiny(tmp_path / "c", tasks=tuple("abcdef"), n=6, row_group_points=45)
    file = corpus.path / "curves.parquet"
    footer = pq.ParquetFile(file).metadata
    wanted = set(corpus.task("d").runs["run"])
    spoiled = 0
    raw = bytearray(file.read_bytes())
    for g in range(footer.num_row_groups):
        group = footer.row_group(g)
        index = [group.column(c).path_in_schema for c in range(group.num_columns)].index("run")
        stats = group.column(index).statistics
        if wanted.isdisjoint(range(stats.min, stats.max + 1)):
            spoiled += 1
            for c in range(group.num_columns):
                column = group.column(c)
                start = column.dictionary_page_offset or column.data_page_offset
                raw[start : start + column.total_compressed_size] = os.urandom(column.total_compressed_size)
    assert spoiled == footer.num_row_groups - 1 == 5
    expected = corpus.task("d").curves().y
    file.write_bytes(raw)
    np.testing.assert_array_equal(corpus.task("d").curves().y, expected)
    with pytest.raises(CorpusError, match=r"curves\.parquet: is damaged in rows \d+ to \d+, column '(run|t|loss)'"):
        corpus.task("a").curves()
    with pytest.raises(CorpusError, match="is damaged"):
        list(corpus.scan())


def test_opening_reads_no_curves(tiny):
    file = tiny.path / "curves.parquet"
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    raw = bytearray(file.read_bytes())
    raw[4 : 4 + column.total_compressed_size] = b"\0" * column.total_compressed_size
    file.write_bytes(raw)
    assert Corpus.open(tiny.path).task("a").n_runs == 4


def test_names_that_repeat_in_a_task_are_told_apart(tiny):
    file = tiny.path / "runs.parquet"
    table = pq.read_table(file)
    names = ["same", "same", "x", "y"] * 2
    pq.write_table(table.set_column(table.column_names.index("name"), "name", [names]), file)
    assert list(Corpus.open(tiny.path).task("b").curves().ids) == ["same#4", "same#5", "x", "y"]


def test_a_missing_folder_and_a_folder_that_is_none(tmp_path):
    with pytest.raises(CorpusError, match="there is no such folder"):
        Corpus.open(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"holds no corpus\.json, so it is no corpus"):
        Corpus.open(tmp_path)


@pytest.mark.parametrize("name", ["tasks", "runs", "curves", "architectures"])
def test_a_half_written_file_is_named(tiny, name):
    file = tiny.path / f"{name}.parquet"
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CorpusError, match=rf"{name}\.parquet: is no whole Parquet file"):
        Corpus.open(tiny.path)
    file.unlink()
    with pytest.raises(CorpusError, match=rf"{name}\.parquet: the file is missing"):
        Corpus.open(tiny.path)


def test_counts_that_disagree_are_noticed_when_a_task_is_read(tiny):
    file = tiny.path / "curves.parquet"
    pq.write_table(pq.read_table(file).slice(0, 50), file)
    corpus = Corpus.open(tiny.path)
    assert len(corpus.task("a").curves()) == 4
    with pytest.raises(CorpusError, match=r"curves\.parquet: run 7 has 6 points, and runs\.parquet says 8 in row 7"):
        corpus.task("b").curves()


def test_a_file_out_of_order_is_refused_while_streaming(tiny):
    file = tiny.path / "curves.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(list(range(30, 52)) + list(range(30))), file)
    corpus = Corpus.open(tiny.path)
    with pytest.raises(CorpusError, match=r"row 22, column 'run' goes back"):
        list(corpus.scan())


def test_a_corpus_that_was_replaced_says_so(tiny):
    task = tiny.task("a")
    write_tiny(tiny.path, seed=9)
    with pytest.raises(CorpusError, match="was replaced or removed since it was opened"):
        task.curves()


def test_a_file_that_a_swap_takes_away_while_it_is_opened_is_not_called_missing(tiny, monkeypatch):
    inner = _corpus.TableFile

    def swapped(file):
        monkeypatch.setattr(_corpus, "TableFile", inner)
        os.rename(tiny.path, retired(tiny.path))
        return inner(file)

    monkeypatch.setattr(_corpus, "TableFile", swapped)
    with pytest.raises(CorpusError, match="was replaced or removed since it was opened"):
        tiny.task("a").curves()
    (retired(tiny.path) / "curves.parquet").unlink()
    with pytest.raises(CorpusError, match=r"curves\.parquet: the file is missing"):
        Corpus.open(tiny.path)


def test_a_config_that_is_no_json_names_its_row(tiny):
    file = tiny.path / "runs.parquet"
    table = pq.read_table(file)
    config = table["config"].to_pylist()
    config[6] = "[1]"
    pq.write_table(table.set_column(table.column_names.index("config"), "config", [config]), file)
    with pytest.raises(CorpusError, match=r"runs\.parquet: row 6, column 'config' is no JSON object: '\[1\]'"):
        Corpus.open(tiny.path).task("b").curves()
