"""The README's code runs as written, in order, in one folder; what it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from metalcx.transfer._learn2learn import INSTALL_COMMAND

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the README on which its text begins."""

    language: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        """Python, and shell whose every line is a metalcx command; set-up is what `.ci/run` does."""
        commands = [line for line in self.text.splitlines() if line.strip()]
        return self.language == "python" or (self.language == "sh" and all(c.startswith("metalcx ") for c in commands))


def blocks(text: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text[: m.start(2)].count("\n") + 1) for m in found]


def run(block: Block, names: dict[str, object]) -> None:
    if block.language == "python":
        # Blank lines ahead make the line numbers of a traceback those of the README.
        exec(compile("\n" * (block.line - 1) + block.text, ROOT / "README.md", "exec"), names)
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for number, command in enumerate(block.text.splitlines(), block.line):
        done = subprocess.run(
            command, shell=True, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"README.md:{number}: {command}\n{done.stdout}{done.stderr}"


def test_the_code_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks(TEXT):
        if block.runs:
            run(block, names)


def test_there_is_python_and_shell_to_run() -> None:
    assert {block.language for block in blocks(TEXT) if block.runs} == {"python", "sh"}


def test_a_failing_block_is_noticed() -> None:
    with pytest.raises(ZeroDivisionError):
        run(Block("python", "1 / 0\n", 7), {})
    with pytest.raises(AssertionError, match=r"README\.md:7: metalcx no-such-command"):
        run(Block("sh", "metalcx no-such-command\n", 7), {})


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_targets_that_are_named_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "test-slow", "soak"} <= named <= targets


def test_the_lines_without_make_do_what_set_up_does_in_the_same_order() -> None:
    """`.ci/setup` itself is tried in test_packaging.py; this keeps the README's lines from falling behind it."""
    lines = [line.split(" #")[0].strip() for line in TEXT.splitlines() if line.startswith("pip install ")]
    setup = (ROOT / ".ci" / "setup").read_text()
    for line in (lines[2], lines[4]):
        assert line.replace("pip install", "pip_install") in setup
    assert lines == [
        'pip install --upgrade "pip>=23.2"',
        "pip install -r requirements/torch.txt",
        "pip install -r requirements/lock.txt",
        INSTALL_COMMAND,
        "pip install --no-deps --no-build-isolation --editable .",
    ]
