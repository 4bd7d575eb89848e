"""However a file is written, what is read of it piece by piece is what stands in it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.corpora.live._tail import MOST, Tail


def collect(tail: Tail, so_far: bytes) -> bytes:
    again, data = tail.read()
    return data if again else so_far + data


@given(st.lists(st.text("ab,\n", max_size=8), max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_pieces_make_the_whole_up_to_its_last_line(pieces, looks):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.csv")
        path.touch()
        tail, found, written = Tail(path), b"", b""
        for piece, look in zip(pieces, looks, strict=False):
            with path.open("ab") as file:
                file.write(piece.encode())
            written += piece.encode()
            if look:
                found = collect(tail, found)
                assert found == written[: written.rfind(b"\n") + 1]
        assert collect(tail, found) == written[: written.rfind(b"\n") + 1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.csv"


def test_a_line_that_is_not_ended_waits(path):
    path.write_bytes(b"t,y\n1,0.5")
    tail = Tail(path)
    assert tail.read() == (False, b"t,y\n")
    assert tail.read() == (False, b"")
    path.write_bytes(b"t,y\n1,0.55\n")
    assert tail.read() == (False, b"1,0.55\n")


def test_a_line_break_inside_a_cell_is_no_end(path):
    path.write_bytes(b'run,t\n"a\n')
    tail = Tail(path)
    assert tail.read() == (False, b"run,t\n")
    path.write_bytes(b'run,t\n"a\nb",1\n')
    assert tail.read() == (False, b'"a\nb",1\n')


@pytest.mark.parametrize(
    "now", [b"t,y\n", b"t,y,z\n1,2,3\n2,3,4\n3,4,5\n", b"t,y\n9,9\n8,8\n7,7\n", b"x,y\n1,1\n2,2\n3,3\n4,4\n"]
)
def test_a_file_that_was_cut_or_written_anew_is_read_anew(path, now):
    path.write_bytes(b"t,y\n1,1\n2,2\n")
    tail = Tail(path)
    tail.read()
    path.write_bytes(now)
    assert tail.read() == (True, now)


def test_a_file_that_took_its_place_is_read_anew(path):
    path.write_bytes(b"t,y\n1,1\n")
    tail = Tail(path)
    tail.read()
    other = path.with_name("other")
    other.write_bytes(b"t,y\n1,1\n2,2\n")
    os.replace(other, path)
    assert tail.read() == (True, b"t,y\n1,1\n2,2\n")


def test_a_file_that_is_gone_is_said(path):
    with pytest.raises(FileNotFoundError):
        Tail(path).read()


def test_a_stray_quotation_mark_before_a_million_lines_takes_no_time(path):
    path.write_bytes(b't,y\n"1,0.5\n' + b"1\n" * 200_000)
    began = time.perf_counter()
    assert Tail(path).read() == (False, b"t,y\n")
    assert time.perf_counter() - began < 5


def test_a_mark_that_is_never_closed_does_not_hold_up_a_log(path):
    path.write_bytes(b'"' + b"1,0.5\n" * (MOST // 6 + 1))
    assert len(Tail(path).read()[1]) == MOST
