"""A small recipe, through the command, to a corpus: one task of each kind of data."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from metalcx.cli import app
from metalcx.corpora import Corpus, validate
from metalcx.corpora.build import BuildReport, build_corpus, read_recipe
from metalcx.errors import CorpusError, DataError

RECIPE = """
name = "little"
licence = "CC0-1.0"
citation = "none"
epochs = [5, 8]
max_steps = 30
patience = 0.5
target = 0.4
repeat = 3

[runs]
vector = { stacks = 2, stack = 6 }
image = { stacks = 2, stack = 4 }
sequence = { stacks = 2, stack = 4 }

[[data]]
source = "sklearn"
dataset = "diabetes"
n_train = 60

[[data]]
source = "templates"
n_train = 60
n_val = 40
n_test = 40

[[data]]
source = "counting"
length = 8
n_train = 60
n_val = 40
n_test = 40
"""
TASKS = ["diabetes", "gen-templates-shift1-1-classification", "gen-counting-none-1-classification"]
TABLES = ("tasks", "runs", "curves", "architectures")


def command(*args: object) -> str:
    result = CliRunner().invoke(app, ["corpus", "build", *map(str, args)], prog_name="metalcx")
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*args: object) -> str:
    result = CliRunner().invoke(app, ["corpus", "build", *map(str, args)], prog_name="metalcx")
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("metalcx: ")
    return line.removeprefix("metalcx: ")


def tables(path: Path) -> dict[str, pd.DataFrame]:
    """All that a corpus holds but seconds."""
    found = {name: pd.read_parquet(path / f"{name}.parquet") for name in TABLES}
    return {**found, "curves": found["curves"].drop(columns="seconds")}


def assert_same(one: Path, other: Path) -> None:
    for name, table in tables(one).items():
        pd.testing.assert_frame_equal(table, tables(other)[name], check_exact=True)
    assert (one / "corpus.json").read_bytes() == (other / "corpus.json").read_bytes()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "little.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def built(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("built") / "little"
    return path, command(recipe, path)


def test_the_command_makes_a_valid_corpus_and_says_what_is_in_it(built: tuple[Path, str]) -> None:
    path, said = built
    assert validate(path).ok, validate(path).problems
    corpus = Corpus.open(path)
    assert (corpus.name, corpus.licence, corpus.redistributable) == ("little", "CC0-1.0", True)
    assert corpus.manifest.extra == {"seed": 0}
    assert (corpus.n_tasks, corpus.n_runs) == (3, 2 * 6 + 2 * 4 + 2 * 4)
    assert said.startswith(f"{path}: 28 runs (")
    assert f"of 3 tasks on 3 datasets of 3 families, {corpus.n_points:,} points, " in said
    for word, n in corpus.runs["status"].value_counts().items():
        assert f"{n} {word}" in said
    assert sorted(p.name for p in path.parent.iterdir()) == ["little", "little.work"]
    assert len(list(path.with_name("little.work").iterdir())) == 6


def test_each_task_has_its_data_features_and_curves(built: tuple[Path, str]) -> None:
    corpus = Corpus.open(built[0])
    tasks = corpus.tasks.set_index("task")
    assert list(tasks.index) == list(corpus.task_names) == TASKS
    assert list(tasks["domain"]) == ["tabular-regression", "img-classification", "seq-classification"]
    assert list(tasks["family"]) == ["diabetes-efron", "gen-templates-shift1", "gen-counting-none"]
    assert (tasks["n_train"] == 60).all()
    assert json.loads(tasks.loc["diabetes", "data"]) == {"dataset": "diabetes", "task": "regression"}
    assert tasks["landmark_linear"].notna().all()
    for task in corpus:
        runs = corpus.runs[corpus.runs["task"] == task.name]
        points = corpus.points(runs["run"].to_numpy())
        score = "r2" if task.name == "diabetes" else "accuracy"
        other = "accuracy" if score == "r2" else "r2"
        assert not np.isnan(points.values[f"val_{score}"]).any()
        assert not np.isnan(points.values["train_loss"]).any()
        assert np.isnan(points.values[f"val_{other}"]).all()
        last = np.append(points.run[1:] != points.run[:-1], True)
        assert np.isnan(points.values[f"test_{score}"][~last]).all()
        kept = runs["status"].to_numpy() != "diverged"
        assert np.isfinite(points.values[f"test_{score}"][last][kept]).all()
        assert (points.values["learning_rate"][points.t == 0] > 0).all()


def test_runs_have_networks_of_their_kind_with_graphs_and_share_groups(built: tuple[Path, str]) -> None:
    corpus = Corpus.open(built[0])
    graphs = corpus.architectures.set_index("arch")["graph"]
    assert set(corpus.runs["arch"]) == set(graphs.index)
    assert all(len(json.loads(graph)["nodes"]) >= 3 for graph in graphs)
    configs = corpus.runs["config"].map(json.loads)
    networks = configs.map(lambda config: config["network"]).groupby(corpus.runs["task"]).unique()
    assert list(networks[TASKS[0]]) == ["mlp"]
    assert {"recurrent", "attention", "temporal-conv", "mlp"} >= set(networks[TASKS[2]])
    for _, group in corpus.runs.groupby("group"):
        assert group["config"].nunique() == group["arch"].nunique() == 1
        assert group["seed"].nunique() == len(group)
    assert corpus.runs["group"].nunique() == 28 - 2 * (2 + 1 + 1)


def test_a_second_build_is_identical_in_all_but_seconds(built: tuple[Path, str], recipe: Path, tmp_path: Path) -> None:
    report = json.loads(command(recipe, tmp_path / "b" / "again", "--json"))
    assert report["path"] == str(tmp_path / "b" / "again")
    assert (report["tasks"], report["datasets"], report["families"], report["runs"]) == (3, 3, 3, 28)
    assert report["points"] == Corpus.open(built[0]).n_points
    assert sum(report["status"].values()) == 28
    assert 0 < report["hours"] < 0.1
    assert_same(built[0], tmp_path / "b" / "again")


def test_a_build_goes_on_from_the_pieces_that_are_there(built: tuple[Path, str], recipe: Path, tmp_path: Path) -> None:
    shutil.copytree(built[0].with_name("little.work"), tmp_path / "rest.work")
    pieces = sorted((tmp_path / "rest.work").iterdir())
    kept = {piece: piece.stat().st_mtime_ns for piece in pieces[::2]}
    for piece in pieces[1::2]:
        piece.unlink()
    told = []
    report = build_corpus(read_recipe(recipe), tmp_path / "rest", progress=lambda *said: told.append(said))
    assert isinstance(report, BuildReport)
    assert [done for done, *_ in told] == [3, 4, 5, 6]
    assert {piece: piece.stat().st_mtime_ns for piece in kept} == kept
    assert_same(built[0], tmp_path / "rest")


def test_tasks_can_be_built_alone_and_come_out_as_among_the_others(
    built: tuple[Path, str], recipe: Path, tmp_path: Path
) -> None:
    command(recipe, tmp_path / "some", "--task", TASKS[0])
    found, whole = tables(tmp_path / "some"), tables(built[0])
    assert list(found["tasks"]["task"]) == TASKS[:1]
    pd.testing.assert_frame_equal(found["runs"], whole["runs"][:12])
    pd.testing.assert_frame_equal(found["curves"], whole["curves"][whole["curves"]["run"] < 12])


def test_an_older_corpus_there_is_replaced_and_its_card_kept(
    built: tuple[Path, str], recipe: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(built[0].with_name("little.work"), work)
    build_corpus(read_recipe(recipe), tmp_path / "a", tasks=TASKS[:1], work=work)
    (tmp_path / "a" / "README.md").write_text("# Card")
    build_corpus(read_recipe(recipe), tmp_path / "a", work=work)
    assert_same(built[0], tmp_path / "a")
    assert (tmp_path / "a" / "README.md").read_text() == "# Card"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "work"]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_recipes_that_are_not_there_or_broken_are_named(recipe: Path, tmp_path: Path) -> None:
    assert refused("largenets", tmp_path / "a") == (
        "largenets: cannot be read (No such file or directory); give the path of a recipe"
    )
    broken = tmp_path / "broken.toml"
    broken.write_text(RECIPE.replace("[runs]", "[runs"))
    assert "broken.toml: is no TOML (" in refused(broken, tmp_path / "a")
    broken.write_text(RECIPE.replace('"counting"', '"counting"\nlegnth = 3'))
    assert "broken.toml: data table 3 (source 'counting'): unknown 'legnth'" in refused(broken, tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["broken.toml"]


def test_unknown_tasks_and_engines_are_refused_with_the_choices(recipe: Path, tmp_path: Path) -> None:
    said = refused(recipe, tmp_path / "a", "--task", "mnist")
    assert said == f"the recipe has no task 'mnist'; it has {', '.join(repr(t) for t in sorted(TASKS))}"
    assert "no engine 'spark'; choose 'serial'" in refused(recipe, tmp_path / "a", "--engine", "spark")
    assert "workers" in refused(recipe, tmp_path / "a", "--workers", "0")
    assert "no device 'cpuu' (" in refused(recipe, tmp_path / "b" / "a", "--device", "cpuu")
    assert list(tmp_path.iterdir()) == []


def test_places_that_are_taken_or_cannot_be_written_are_left_as_they_are(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    assert "taken: is there and is no corpus; it is not overwritten" in refused(recipe, tmp_path / "taken")
    assert "file: is a file; give a folder" in refused(recipe, tmp_path / "file")
    below = refused(recipe, tmp_path / "file" / "a")
    assert below == f"{tmp_path / 'file'}: cannot be written (File exists); give another place"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "taken", "thesis.txt"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="who may write everywhere is not refused")
def test_a_folder_without_permission_is_named(recipe: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written (Permission denied)" in refused(recipe, tmp_path / "a")
    finally:
        tmp_path.chmod(0o700)


def test_a_damaged_piece_is_named_and_nothing_takes_the_corpus_place(
    built: tuple[Path, str], recipe: Path, tmp_path: Path
) -> None:
    shutil.copytree(built[0].with_name("little.work"), tmp_path / "a.work")
    piece = sorted((tmp_path / "a.work").iterdir())[0]
    piece.write_bytes(piece.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=rf"{piece.name}: damaged .* remove it and build again"):
        build_corpus(read_recipe(recipe), tmp_path / "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a.work"]


def test_in_python_the_same_mistakes_are_data_errors(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no task 'a', 'b'; it has"):
        build_corpus(read_recipe(recipe), tmp_path / "x", tasks=["a", "diabetes", "b"])


# --- a real Ray -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ray_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray's files apart from those of other Rays on this machine."""
    pytest.importorskip("ray", reason='needs Ray: pip install "metalcx[ray]"')
    # Paths of sockets may not be long, so pytest's folder will not do.
    folder = tempfile.mkdtemp(prefix="ray-")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ray on Windows is experimental")
def test_a_local_ray_builds_the_same_corpus(
    built: tuple[Path, str], recipe: Path, tmp_path: Path, ray_here: None
) -> None:
    command(recipe, tmp_path / "a", "--engine", "ray", "--workers", "2")
    assert_same(built[0], tmp_path / "a")
