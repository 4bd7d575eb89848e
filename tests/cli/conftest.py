"""A person's folder with a table of runs, a shipped model and a shipped corpus, and a way to call the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import metalcx as mx
from metalcx import hub
from metalcx.cli import app
from metalcx.corpora import write_corpus

METRIC = "val_loss:min:0"


def losses(n: int = 9, finished: int = 6, steps: int = 20, seen: int = 6, run: str = "r{}") -> pd.DataFrame:
    """A long table: the first `finished` of `n` runs have all `steps`, the others their first `seen`."""
    rows = [
        (run.format(i), t, 0.2 + 0.05 * i + np.exp(-t / (2.0 + i)))
        for i in range(n)
        for t in range(1, (steps if i < finished else seen) + 1)
    ]
    return pd.DataFrame(rows, columns=["run", "t", "value"])


def write_mini(path: Path) -> None:
    """Two tasks of 24 runs, some of which diverge, in groups of two."""
    loss, accuracy = mx.Metric("val_loss", "min", 0.0), mx.Metric("val_accuracy", "max", 0.0, 1.0)
    tasks = pd.DataFrame(
        {
            "task": ["wine", "digits"],
            "dataset": ["wine", "digits"],
            "family": ["wine", "digits"],
            "domain": "tabular",
            "metric": ["val_loss", "val_accuracy"],
        }
    )
    curves = []
    for task, metric in (("wine", loss), ("digits", accuracy)):
        table = losses(24, 24, 30)
        table["value"] = table["value"] if metric is loss else 1 / (1 + table["value"])
        table.loc[(table["run"] == "r3") & (table["t"] == 9), "value"] = np.inf
        runs = pd.DataFrame({"run": [f"r{i}" for i in range(24)], "group": [f"g{i // 2}" for i in range(24)]})
        curves.append((task, mx.Curves.from_frame(table, metric, runs)))
    write_corpus(
        path,
        tasks,
        curves,
        name=path.name,
        time_unit="epoch",
        metrics=(loss, accuracy),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: Path, tiny: ModuleType) -> Path:
    """The current folder: `runs.csv`; `tiny-base` and `mini` ship."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METALCX_DATA", raising=False)
    hub.save(tiny.Tiny(width=0.05), shelf / "pretrained" / "tiny-base", name="tiny-base", card="# Tiny\n\nFor tests.")
    losses().to_csv("runs.csv", index=False)
    return tmp_path


@pytest.fixture
def mini(home: Path, shelf: Path) -> Path:
    """The shipped corpus `mini`."""
    write_mini(shelf / "datasets" / "mini")
    return shelf / "datasets" / "mini"


@pytest.fixture
def call() -> Callable[..., Result]:
    """Call the command; whatever is not foreseen is raised."""

    def run(*args: object) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in args], prog_name="metalcx")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def good(call: Callable[..., Result]) -> Callable[..., str]:
    """Call the command, which must succeed; what it prints on standard output."""

    def run(*args: object) -> str:
        result = call(*args)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def bad(call: Callable[..., Result]) -> Callable[..., str]:
    """Call the command, which must end with 2, one line on standard error, and no change to the current folder."""

    def run(*args: object) -> str:
        before = snapshot(Path())
        result = call(*args)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.endswith("\n")
        (line,) = result.stderr.splitlines()
        assert line.startswith("metalcx: ")
        assert "Traceback" not in line
        assert snapshot(Path()) == before
        return line

    return run


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below `folder` with its content."""
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}
