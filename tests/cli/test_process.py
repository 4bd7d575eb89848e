"""The command as a process of its own: start-up, streams, pipes, exit codes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from as_process import ROOT, WITH_TINY

from metalcx import __version__
from metalcx.cli._output import Progress, number, print_json


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def metalcx(*args: str) -> subprocess.CompletedProcess[str]:
    return python(WITH_TINY + "from metalcx.cli import main; main()", *args)


@pytest.mark.parametrize("arguments", [("--help",), ("forecast", "-h"), ()])
def test_help_loads_nothing_heavy(arguments):
    heavy = {"torch", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "pyarrow", "rich.table"}
    code = f"""
import atexit
atexit.register(lambda: print("LOADED", sorted({heavy!r} & set(sys.modules))))
from metalcx.cli import main
main()"""
    done = python(code, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Example:" in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_every_command_shows_an_example():
    code = """
import typer
from metalcx.cli import app
def walk(command, path):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, [*path, name])
for path, command in walk(typer.main.get_command(app), ["metalcx"]):
    if not hasattr(command, "commands"):
        assert "Example:\\n  " in command.help and " ".join(path) in command.help, path
        print(" ".join(path))
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"metalcx {name}"
        for name in (
            "demo",
            "pretrain-encoder",
            "meta-train",
            "adapt",
            "forecast",
            "rank",
            "replay",
            "fit-prior",
            "suggest",
            "report",
            "watch",
            "cite",
            "corpus list",
            "corpus show",
            "corpus fetch",
            "corpus import",
            "corpus build",
            "corpus validate",
            "bench transfer",
            "bench histories",
            "bench encoder",
            "bench stopping",
            "bench suggest",
            "bench dynamics",
            "models list",
            "models show",
        )
    ]


def test_version():
    start = time.perf_counter()
    done = metalcx("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"metalcx {__version__}\n", "")
    assert time.perf_counter() - start < 60


def test_adapt_and_forecast_as_processes(home, shelf):
    base = str(shelf / "pretrained" / "tiny-base")
    common = ("--curves", "runs.csv", "--metric", "val_loss:min:0")
    done = metalcx("adapt", base, *common, "--out", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    done = metalcx("forecast", "./mine", *common, "--at", "20")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["run", "r6", "r7", "r8"]


def test_an_error_is_one_line_on_standard_error(home):
    Path("runs.csv").write_text("a,b\n1,2\n")
    done = metalcx("forecast", "missing", "--curves", "runs.csv", "--metric", "loss:min", "--at", "20")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("metalcx: runs.csv: no column")


def test_a_reader_that_leaves_early_is_no_error():
    command = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom metalcx.cli import main; main()"
    shell = f'{sys.executable} -c "$CODE" corpus --help | true'
    done = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=120, env={"CODE": command}
    )
    assert done.stderr == ""


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 10.5, 11.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress("training") as progress:
        progress(1, 4)
        progress(2, 4, "training, loss 0.5")
        progress(3, 4)
        progress(4, 4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["training, loss 0.5: 2/4, 10 s", "training: 4/4, 30 s"]


def test_json_has_no_word_for_infinity(capsys):
    import json

    import numpy as np

    print_json({"a": np.float64("nan"), "b": [np.inf, np.int64(3), 1.5], "c": (None, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 3, 1.5], "c": [None, "x"]}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.12345, "0.1235"), (12.3456, "12.35"), (12345.6, "12346"), (1e-7, "1e-07"), (-2.5, "-2.500")],
)
def test_numbers_in_tables(value, text):
    assert number(value) == text
