"""The README's code runs as written, in order, in one folder; what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import ROOT, Block, blocks, links

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_runs_as_written_and_prints_the_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks(TEXT):
        block.run(names)
    (said,) = (block.text for block in blocks(TEXT) if block.language == "text")
    # Probabilities may differ in the last digits from one torch to another.
    printed = capsys.readouterr().out
    came = [line for line in printed.splitlines() if re.match(r"run-\d (True|False) ", line)]
    assert [line.partition(" = ")[0] for line in said.splitlines()] == [line.partition(" = ")[0] for line in came]
    told, found = ([float(re.search(r" = ([\d.]+)", line)[1]) for line in lines] for lines in (said.splitlines(), came))
    assert told == pytest.approx(found, abs=1e-3)


def test_there_is_python_and_shell_to_run() -> None:
    assert {block.language for block in blocks(TEXT) if block.runs} == {"python", "sh"}


def test_a_failing_block_is_noticed() -> None:
    with pytest.raises(ZeroDivisionError):
        Block("python", "1 / 0\n", 7).run({})
    with pytest.raises(AssertionError, match=r"README\.md:7: metalcx no-such-command"):
        Block("sh", "metalcx no-such-command\n", 7).run({})


def test_links_lead_to_files() -> None:
    assert "docs/assets/forecast.png" in set(links(TEXT))
    assert [link for link in links(TEXT) if not (ROOT / link).exists()] == []


def test_targets_that_are_named_exist() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "test-slow", "soak", "docs"} <= named <= targets
