"""Two processes on one folder: one is refused, or both are right."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from fault_jobs import Survivor, beside

from metalcx._lines import append_lines, read_lines
from metalcx.bench._files import write_whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of files are POSIX")


@pytest.mark.parametrize(
    "name",
    [
        "adapt",
        "pretrain-encoder",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("meta-train expert-gate", "corpus build", "forecast", "replay")
        ),
    ],
)
def test_two_at_once(tmp_path: Path, name: str) -> None:
    survivor = Survivor(name, tmp_path)
    for i in range(3):
        folder = tmp_path / f"shared{i}"
        folder.mkdir()
        ended = beside(name, folder, 2)
        assert None in ended, ended
        assert all(e is None or "another process" in e[1] or "holds a training" in e[1] for e in ended), ended
        survivor.check(folder, done=True)


def append(path: Path, own: int) -> None:
    for k in range(100):
        append_lines(path, [{"own": own, "k": k, "text": "x" * (50 * (k % 7))}] * 3)


def rewrite(path: Path, own: int) -> None:
    for k in range(100):
        write_whole(path, json.dumps([own] * (1000 + k)))


def test_lines_of_two_processes_do_not_mix_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=append, args=(path, own)) for own in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    found = [(held["own"], held["k"]) for _, held in read_lines(path)]
    assert sorted(found) == sorted((own, k) for own in range(3) for k in range(100) for _ in range(3))
    for own in range(3):
        ks = [k for one, k in found if one == own]
        assert ks == sorted(ks), "each writer's lines stand in its order"


def test_a_part_that_two_write_is_the_whole_of_one(tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    write_whole(path, "[9]")
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=rewrite, args=(path, own)) for own in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert len(set(json.loads(path.read_text()))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["part.json"]
