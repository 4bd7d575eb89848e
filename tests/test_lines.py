from __future__ import annotations

import os
from pathlib import Path

import pytest

from metalcx._lines import append_lines, read_lines
from metalcx.errors import DataError


def test_lines_are_read_as_written_and_a_cut_off_one_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert list(read_lines(path)) == []
    append_lines(path, [])
    assert not path.exists()
    append_lines(path, [{"name": "Zürich\nsecond"}, {"t": 1.5}])
    append_lines(path, [{"t": 2}])
    with path.open("a") as file:
        file.write('\n{"t": 3')
    assert list(read_lines(path)) == [(1, {"name": "Zürich\nsecond"}), (2, {"t": 1.5}), (3, {"t": 2})]


@pytest.mark.parametrize("line", ["{", "[1]", "nothing"])
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"t": 1}}\n{line}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: .*delete that line"):
        list(read_lines(path))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*cannot be written"):
        append_lines(tmp_path / "nowhere" / "a.jsonl", [{}])


def test_what_a_dead_writer_left_of_a_line_goes_and_a_person_s_last_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    append_lines(path, [{"t": 1}])
    with path.open("a") as file:
        file.write('{"t": 2, "long": "' + "x" * 10_000)
    append_lines(path, [{"t": 3}])
    assert [held for _, held in read_lines(path)] == [{"t": 1}, {"t": 3}]
    path.write_text('{"t": 1}\n{"t": 2}')
    append_lines(path, [{"t": 3}])
    assert [held for _, held in read_lines(path)] == [{"t": 1}, {"t": 2}, {"t": 3}]


def test_a_whole_last_line_without_a_line_break_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"t": 1}\n{"t": 2}')
    assert list(read_lines(path)) == [(1, {"t": 1}), (2, {"t": 2})]
    path.write_text('{"t": 1}\n[2]')
    assert list(read_lines(path)) == [(1, {"t": 1})]


def test_a_full_disk_takes_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    append_lines(path, [{"t": 1}])
    whole = path.read_bytes()
    inner = os.write
    monkeypatch.setattr("metalcx._lines.os.write", lambda handle, data: inner(handle, data[: len(data) // 2]))
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device"):
        append_lines(path, [{"t": 2}])
    monkeypatch.undo()
    assert path.read_bytes() == whole
    append_lines(path, [{"t": 3}])
    assert [held for _, held in read_lines(path)] == [{"t": 1}, {"t": 3}]
