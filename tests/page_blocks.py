"""Fenced blocks of a page, and how they are run: Python, and shell whose every line is a metalcx command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from metalcx.cli import app

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the page, the line on which its text begins, and its title."""

    language: str
    text: str
    line: int
    page: str = "README.md"
    title: str = ""

    @property
    def commands(self) -> list[list[str]]:
        """Words of its metalcx commands."""
        joined = self.text.replace("\\\n", " ")
        return [shlex.split(line, comments=True) for line in joined.splitlines() if line.startswith("metalcx ")]

    @property
    def runs(self) -> bool:
        """Python, and shell whose every line is a metalcx command; set-up is what `.ci/run` does."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        return self.language == "python" or (self.language == "sh" and len(self.commands) == len(lines))

    def run(self, names: dict[str, object]) -> None:
        """Run it as written; what has a title is a file of that name as well."""
        if self.title:
            Path(self.title).write_text(self.text, encoding="utf-8")
        if not self.runs:
            return
        if self.language == "python":
            # Blank lines ahead make the line numbers of a traceback those of the page.
            exec(compile("\n" * (self.line - 1) + self.text, ROOT / self.page, "exec", dont_inherit=True), names)
            return
        for number, words in enumerate(self.commands, self.line):
            done = CliRunner().invoke(app, words[1:], prog_name="metalcx")
            assert done.exit_code == 0, f"{self.page}:{number}: {' '.join(words)}\n{done.output}"


def blocks(text: str, page: str = "README.md") -> list[Block]:
    """All fenced blocks of a page."""
    found = re.finditer(r'^```(\w*)(?: title="(\S+)")?\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[3], text[: m.start(3)].count("\n") + 1, page, m[2] or "") for m in found]


def links(text: str) -> Iterator[str]:
    """Relative links and pictures of a page, without what follows a hash; none that stand in code."""
    plain = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", plain):
        target = link.partition("#")[0]
        if target and not re.match(r"[a-z]+:", target):
            yield target
