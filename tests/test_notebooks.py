"""The notebooks as they lie in the repository; `make notebooks` executes them."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))

every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    """Texts of the cells of one kind."""
    book = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner", ROOT / ".ci" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(*sources: str, **more: Any) -> dict[str, Any]:
    """A notebook of code cells, as an editor leaves it."""
    cell = {"cell_type": "code", "metadata": {"tags": ["x"]}, "execution_count": 3, "outputs": []}
    book = [cell | more | {"id": f"c{i}", "source": [source]} for i, source in enumerate(sources)]
    metadata = {"kernelspec": {"display_name": "mine", "language": "python", "name": "python3"}, "authors": []}
    return {"cells": book, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def test_there_are_some_numbered_without_a_gap() -> None:
    assert [int(path.name[:2]) for path in PATHS] == list(range(1, len(PATHS) + 1))
    assert PATHS


@every
def test_nothing_is_left_of_a_run(path: Path, runner: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == runner.stripped(text), "strip it: python .ci/notebooks.py strip"


@every
def test_it_begins_with_what_one_will_learn(path: Path) -> None:
    first = cells(path, "markdown")[0]
    title, _, rest = first.partition("\n")
    assert re.match(r"# \w", title)
    sentences = re.split(r"(?<=[.?!])\s+", rest.strip())
    assert len(sentences) == 3, sentences
    assert sentences[0].startswith("You will learn")


@every
def test_every_cell_is_short_plain_python_that_uses_public_names(path: Path) -> None:
    for text in cells(path, "code"):
        assert text.count("\n") < 40, text
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom | ast.Import):
                module = getattr(node, "module", None) or ""
                names = [*module.split("."), *(part for alias in node.names for part in alias.name.split("."))]
                assert not [name for name in names if name.startswith("_")], ast.unparse(node)


@every
def test_links_lead_to_files(path: Path) -> None:
    links = [link for text in cells(path, "markdown") for link in re.findall(r"\]\(([^)#]+)", text)]
    assert [link for link in links if not link.startswith("http") and not (FOLDER / link).exists()] == []


def test_ruff_is_content() -> None:
    pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, FOLDER], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_readme_names_each_once() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\w+\.ipynb)\)", text) == [path.name for path in PATHS]


def test_stripping_takes_all_but_the_cells_and_is_idempotent(runner: ModuleType) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
    text = runner.stripped(json.dumps(made("print(1)", outputs=[output])))
    book = json.loads(text)
    assert book["cells"] == [
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "id": "c0",
            "source": ["print(1)"],
        }
    ]
    assert book["metadata"] == runner.METADATA
    assert runner.stripped(text) == text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print(1)", None),
        ("1 / 0", "ZeroDivisionError"),
        ("open('mine.txt', 'w').close()", "it left files behind: mine.txt"),
    ],
)
def test_running_notices_what_fails_and_what_is_left(
    source: str, said: str | None, tmp_path: Path, runner: ModuleType
) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = tmp_path / "made.ipynb"
    path.write_text(json.dumps(made("x = 1", source)))
    trouble = runner.run(path, None)
    assert (trouble is None) if said is None else (trouble is not None and said in trouble)
