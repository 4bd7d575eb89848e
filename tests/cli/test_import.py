"""`metalcx corpus import` as people meet it: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from metalcx.cli import app
from metalcx.corpora import Corpus
from metalcx.corpora.importers import IMPORTERS


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["corpus", "import", *arguments])


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """TaskSet's layout: two whole runs, one that is too short to be one, and one that leaves the bounds."""
    monkeypatch.chdir(tmp_path)
    curves = [[0.7, 0.6, 0.5], [0.7, 0.6], [], *[[0.7, -0.5]] * 7]
    runs = [{"hp": {"learning_rate": 0.1}, **{p: {"loss": c} for p in ("train", "valid", "test")}} for c in curves]
    (tmp_path / "net.json").write_text(json.dumps(runs))
    return "net.json"


def test_the_help_lists_all_formats_and_an_example():
    text = " ".join(call("--help").output.split()).replace("- ", "-")
    assert [name for name in IMPORTERS if f" {name}," not in text.replace(".", ",").replace(" (", ", ")] == []
    assert "metalcx corpus import lcbench data_2k_lw.json lcbench" in text


def test_it_says_what_was_read_and_what_was_left_out(source):
    done = call("taskset", source, "out", "--name", "mine", "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    first, *rest = done.output.splitlines()
    assert first == "out: 5 points of 2 runs in 1 task read; 2 to 3 points a run, 2.5 in the median"
    assert rest == [
        "left out: 1, no point of valid_loss was measured: 'net-2'",
        "left out: 7, valid_loss leaves its bounds: 'net-3', 'net-4', 'net-5', 'net-6', 'net-7' and 2 more",
    ]
    corpus = Corpus.open("out")
    assert (corpus.name, corpus.licence, corpus.n_points) == ("mine", "CC0-1.0", 5)


def test_the_same_as_json(source):
    done = call("taskset", source, "out", "--json")
    said = json.loads(done.stdout)
    assert {key: said[key] for key in ("path", "tasks", "runs", "points")} == {
        "path": "out",
        "tasks": 1,
        "runs": 2,
        "points": 5,
    }
    assert said["skipped"]["no point of valid_loss was measured"] == ["net-2"]


def test_an_older_corpus_is_replaced_and_nothing_else_is(source, tmp_path):
    assert call("taskset", source, "out").exit_code == call("taskset", source, "out").exit_code == 0
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years of work")
    done = call("taskset", source, "work")
    assert done.exit_code == 2
    assert [file.name for file in (tmp_path / "work").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "net.json", "out"], "no importer reads 'nonsense'; there are 'baker'"),
        (["taskset", "none.json", "out"], "none.json: there is no such file or folder"),
        (["lcbench", "net.json", "out"], "net.json: is not the JSON of this format"),
        (["nas-bench-201", "net.json", "out"], "net.json: is not read, because it is not plain data"),
        (["taskset", "net.json", "out", "--metric", "loss"], "metric 'loss' has no goal"),
        (["taskset", "net.json", "out", "--metric", "loss:min"], "taskset: has no metric loss:min"),
        (["taskset", "net.json", "out", "--task", "other"], "no run was found"),
        (["taskset", "net.json", "out", "--family", "x"], "leave --dataset and --family out"),
        (["taskset", "net.json"], "DST"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(source, tmp_path, arguments, message):
    done = call(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["net.json"]
