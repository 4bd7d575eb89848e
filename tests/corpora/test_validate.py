import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metalcx.corpora import Corpus, validate, write_checksums
from metalcx.corpora._run_facts import RunWindow
from metalcx.corpora._table import TableFile
from metalcx.errors import CorpusError

from .conftest import write_tiny

# Rows of curves.parquet: runs 0 to 3 have 5, 6, 7, 8 points, and so have runs 4 to 7; runs 1 (rows 5 to 10)
# and 5 (rows 31 to 36) diverged.


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("validate") / "tiny").path


@pytest.fixture
def folder(original, tmp_path):
    import shutil

    return shutil.copytree(original, tmp_path / "tiny")


def edit(folder, file, **cells):
    """Set ``column={row: value}`` in a file, keeping the types of its columns."""
    path = folder / f"{file}.parquet"
    table = pq.read_table(path)
    for column, changes in cells.items():
        values = table[column].to_pylist()
        for row, value in changes.items():
            values[row] = value
        place = table.column_names.index(column)
        table = table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    pq.write_table(table, path)


def only_problem(folder):
    report = validate(folder)
    assert not report.ok
    assert len(report.problems) == 1, [str(p) for p in report.problems]
    return report.problems[0]


def test_a_valid_corpus(folder):
    report = validate(folder)
    assert report.ok
    assert (report.n_tasks, report.n_runs, report.n_points) == (2, 8, 52)
    report.raise_if_invalid()
    assert json.loads(json.dumps(report.to_dict()))["problems"] == []


CELLS = [
    ("curves", "t", {3: np.nan}, 3, "is not finite"),
    ("curves", "t", {3: np.inf}, 3, "is not finite"),
    ("curves", "t", {3: 1.0}, 3, "repeats within a run"),
    ("curves", "t", {3: 0.7}, 3, "goes back within a run"),
    ("curves", "loss", {12: -0.5}, 12, "leaves the bounds"),
    ("curves", "acc", {12: 1.5}, 12, "leaves the bounds"),
    ("curves", "loss", {10: 1.0}, 10, "holds no inf"),
    ("curves", "loss", {36: 0.5}, 36, "holds no inf"),
    ("curves", "loss", {12: np.inf}, 12, "is not 'diverged'"),
    ("curves", "loss", {9: np.inf}, 10, "goes on after an inf"),
    ("curves", "loss", {10: np.nan}, 10, "holds no inf"),
    ("curves", "run", {0: None}, 0, "is empty"),
    ("curves", "t", {7: None}, 7, "is empty"),
    ("runs", "run", {2: 7}, 2, "does not count the rows from 0"),
    ("runs", "task", {2: "c"}, 2, "'c' is not in tasks.parquet"),
    ("runs", "arch", {2: "gone"}, 2, "'gone' has no row in architectures.parquet"),
    ("runs", "status", {2: "running"}, 2, "'running' is none of completed, diverged, censored"),
    ("runs", "config", {2: "{"}, 2, "is not JSON"),
    ("runs", "config", {2: '"x"'}, 2, "is no JSON object"),
    ("runs", "config", {2: '{"lr": NaN}'}, 2, "NaN is no JSON"),
    ("runs", "group", {2: None}, 2, "is empty"),
    ("runs", "name", {2: ""}, 2, "is empty"),
    ("tasks", "family", {1: None}, 1, "is empty"),
    ("tasks", "metric", {1: "f1"}, 1, "'f1' is not declared"),
    ("architectures", "format", {0: None}, 0, "is empty"),
    ("architectures", "features", {0: "{"}, 0, "is not JSON"),
    ("architectures", "graph", {0: '{"nodes": [], "edges": []}'}, 0, "exactly one"),
]


@pytest.mark.parametrize(("file", "column", "change", "row", "message"), CELLS)
def test_one_bad_cell_is_named_by_file_row_and_column(folder, file, column, change, row, message):
    edit(folder, file, **{column: change})
    found = [p for p in validate(folder).problems if p.file == f"{file}.parquet" and message in p.message]
    assert len(found) == 1, [str(p) for p in validate(folder).problems]
    assert found[0].row == row
    assert found[0].column in (column, "run")
    with pytest.raises(CorpusError, match=f"{file}.parquet: row {row}, column"):
        validate(folder).raise_if_invalid()


def test_nan_is_data(folder):
    edit(folder, "curves", loss={1: np.nan, 2: None}, acc={10: np.inf})
    assert validate(folder).ok


def test_the_inf_follows_a_finite_point(folder):
    edit(folder, "curves", loss={9: np.nan}, acc={9: np.nan})
    assert only_problem(folder).row == 10
    assert "does not follow a finite point" in only_problem(folder).message


def test_a_run_may_diverge_at_its_first_point(folder):
    table = pq.read_table(folder / "curves.parquet")
    keep = [row for row in range(52) if row not in range(5, 10)]
    pq.write_table(table.take(keep), folder / "curves.parquet")
    edit(folder, "runs", n_points={1: 1})
    said = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**said, "n_points": 47}))
    assert validate(folder).ok


def test_the_last_run_of_the_file_must_end_in_inf_too(folder):
    edit(folder, "runs", status={7: "diverged"})
    problem = only_problem(folder)
    assert (problem.row, problem.file) == (51, "curves.parquet")


def test_a_rule_broken_often_is_one_problem_with_a_count(folder):
    edit(folder, "curves", acc={12: 2.0, 13: 2.0, 40: 2.0})
    problem = only_problem(folder)
    assert (problem.row, problem.count) == (12, 3)
    assert str(problem).startswith("curves.parquet: row 12, column 'acc': leaves the bounds [0.0, 1.0]")
    assert str(problem).endswith("(and 2 more rows)")


@pytest.mark.parametrize("batch", [1, 2, 5, 13])
def test_problems_do_not_depend_on_the_batches(folder, monkeypatch, batch):
    edit(folder, "curves", loss={10: 1.0, 12: -1.0, 20: np.inf}, t={51: 0.5})
    expected = set(validate(folder).problems)
    assert {p.row for p in expected} == {10, 12, 20, 21, 51}
    in_batches(monkeypatch, batch)
    assert set(validate(folder).problems) == expected


def in_batches(monkeypatch, rows):
    """Tables are read so many rows at a time."""
    inner = TableFile.batches
    monkeypatch.setattr(
        TableFile, "batches", lambda self, columns=None, groups=None, **_: inner(self, columns, groups, rows)
    )


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_points_out_of_order_hide_nothing_else(folder, monkeypatch, batch):
    """Runs are forgotten after their points; a file that comes back to one is checked with all of them held."""
    edit(folder, "curves", run={0: 6, 43: 0}, loss={10: 1.0})
    edit(folder, "runs", n_points={3: 5, 7: 9}, status={5: "gone"})
    in_batches(monkeypatch, batch)
    found = validate(folder).problems
    assert [(p.row, p.count) for p in found if "goes back" in p.message] == [(1, 2)]
    assert [(p.row, p.count) for p in found if "correct the count" in p.message] == [(3, 2)]
    assert [p.row for p in found if "holds no inf" in p.message] == [10]
    assert [(p.row, p.count) for p in found if "'gone' is none of" in p.message] == [(5, 1)]


def test_runs_are_not_held_once_their_points_were_read(folder, monkeypatch):
    held = []
    inner = RunWindow.leave

    def leave(self, run):
        inner(self, run)
        held.append(len(self._held))

    monkeypatch.setattr(RunWindow, "leave", leave)
    in_batches(monkeypatch, 1)
    assert validate(folder).ok
    assert set(held) == {1}


def test_counts_that_disagree(folder):
    edit(folder, "runs", n_points={3: 5})
    problem = only_problem(folder)
    assert (problem.file, problem.row, problem.column) == ("runs.parquet", 3, "n_points")
    assert "run 3 has 8 points in curves.parquet, and this says 5" in problem.message


@pytest.mark.parametrize("key", ["n_tasks", "n_runs", "n_points"])
def test_counts_of_the_manifest(folder, key):
    said = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**said, key: 1}))
    problem = only_problem(folder)
    assert (problem.file, problem.column) == ("corpus.json", key)


MANIFESTS = [
    ({"format": "metalcx-corpus/2"}, r"'format' is 'metalcx-corpus/2'"),
    ({"name": ""}, "'name' is ''"),
    ({"redistributable": "yes"}, "write true or false"),
    ({"n_runs": -1}, "write a count"),
    ({"n_runs": True}, "write a count"),
    ({"metrics": []}, "declares nothing"),
    ({"metrics": [{"name": "loss", "goal": "down"}]}, "goal 'down' is unknown"),
    ({"metrics": [{"name": "loss"}]}, "goal None is unknown"),
    ({"metrics": [{"name": "t", "goal": "min"}]}, "declares 't'"),
    ({"metrics": [{"name": "loss", "goal": "min", "lower": "0"}]}, "is no number"),
    ({"metrics": {"loss": "min"}}, "no list of objects"),
]


@pytest.mark.parametrize(("change", "message"), MANIFESTS)
def test_a_wrong_manifest(folder, change, message):
    said = json.loads((folder / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**said, **change}))
    with pytest.raises(CorpusError, match=message):
        Corpus.open(folder)
    problem = only_problem(folder)
    assert problem.file == "corpus.json"


def test_a_manifest_cut_short_or_without_a_key(folder):
    text = (folder / "corpus.json").read_text()
    (folder / "corpus.json").write_text(text[:40])
    with pytest.raises(CorpusError, match=r"corpus\.json: is not JSON"):
        Corpus.open(folder)
    said = json.loads(text)
    del said["licence"]
    (folder / "corpus.json").write_text(json.dumps(said))
    with pytest.raises(CorpusError, match=r"corpus\.json: lacks 'licence'"):
        Corpus.open(folder)


@pytest.mark.parametrize(
    ("file", "column", "kind"),
    [("curves", "t", "float32"), ("curves", "loss", "float64"), ("curves", "run", "int64"), ("runs", "run", "int64")],
)
def test_a_column_of_another_type(folder, file, column, kind):
    path = folder / f"{file}.parquet"
    table = pq.read_table(path)
    changed = table[column].cast({"float32": pa.float32(), "float64": pa.float64(), "int64": pa.int64()}[kind])
    pq.write_table(table.set_column(table.column_names.index(column), column, changed), path)
    problem = only_problem(folder)
    assert (problem.file, problem.column) == (f"{file}.parquet", column)
    with pytest.raises(CorpusError, match=f"column '{column}' holds"):
        Corpus.open(folder)


@pytest.mark.parametrize(("file", "column"), [("curves", "acc"), ("runs", "status"), ("tasks", "family")])
def test_a_missing_column(folder, file, column):
    path = folder / f"{file}.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    problem = only_problem(folder)
    assert (problem.column, problem.message) == (column, "is missing")


def test_a_column_that_no_metric_declares(folder):
    path = folder / "curves.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("f1", table["acc"]), path)
    assert only_problem(folder).column == "f1"


@pytest.mark.parametrize("name", ["corpus.json", "tasks.parquet", "runs.parquet", "curves.parquet"])
def test_a_missing_or_half_written_file(folder, name):
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: len(raw) * 2 // 3])
    assert only_problem(folder).file == name
    (folder / name).unlink()
    assert only_problem(folder) == only_problem(folder)
    assert "missing" in only_problem(folder).message


def test_a_flipped_bit_is_found_and_its_column_named(folder):
    path = folder / "curves.parquet"
    group = pq.ParquetFile(path).metadata.row_group(0)
    column = group.column(2)
    raw = bytearray(path.read_bytes())
    raw[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size // 2] ^= 4
    path.write_bytes(raw)
    problem = only_problem(folder)
    assert problem.file == "curves.parquet"
    assert f"column {column.path_in_schema!r}" in problem.message


def test_a_folder_that_is_not_there(tmp_path):
    assert "no such folder" in only_problem(tmp_path / "nowhere").message


def test_duplicate_tasks_and_architectures(folder):
    edit(folder, "tasks", task={1: "a"})
    messages = [p.message for p in validate(folder).problems]
    assert any("'a' stands there twice" in m for m in messages)
    path = folder / "architectures.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(path)] * 2), path)
    assert any("'net' stands there twice" in p.message and p.row == 1 for p in validate(folder).problems)


def test_checksums_are_held_where_there_are_any(folder):
    write_checksums(folder)
    assert validate(folder).ok
    table = pq.read_table(folder / "runs.parquet")
    pq.write_table(table, folder / "runs.parquet", compression="none")
    problem = only_problem(folder)
    assert (problem.file, "sha256" in problem.message) == ("runs.parquet", True)
