"""Pieces of a build in this process: what is kept whatever happens, what is refused, one thread."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from engine_work import failing, learn, marked, noise, runs
from hypothesis import given
from threadpoolctl import threadpool_info

from metalcx.corpora.build._engine import Arrays, Piece, read_piece, run_pieces
from metalcx.corpora.build._pieces import write_piece
from metalcx.corpora.build._ray import _init
from metalcx.errors import CorpusError, DataError, MetalcxError, MissingDependencyError

TESTS = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")


def pieces(n: int) -> list[Piece]:
    return [Piece(f"p{seed}", seed) for seed in range(n)]


def same(one: Arrays, other: Arrays) -> bool:
    return list(one) == list(other) and all(
        one[k].dtype == other[k].dtype and one[k].shape == other[k].shape and one[k].tobytes() == other[k].tobytes()
        for k in one
    )


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_each_piece_gives_its_file_and_progress_counts_them(tmp_path: Path) -> None:
    told = []
    run_pieces(noise, pieces(3), tmp_path / "a" / "b", progress=lambda *said: told.append(said))
    assert names(tmp_path / "a" / "b") == ["p0.npz", "p1.npz", "p2.npz"]
    assert all(same(read_piece(tmp_path / "a" / "b", f"p{seed}"), noise(seed)) for seed in range(3))
    assert told == [(0, 3, ""), (1, 3, "p0"), (2, 3, "p1"), (3, 3, "p2")]
    assert names(tmp_path / "a") == ["b"]  # the lock is gone


def test_what_is_finished_is_not_run_again(tmp_path: Path) -> None:
    told = []
    work = [Piece(f"p{seed}", {"seed": seed, "marks": str(tmp_path)}) for seed in range(4)]
    run_pieces(marked, work[:2], tmp_path / "b")
    run_pieces(marked, work, tmp_path / "b", progress=lambda *said: told.append(said))
    # A local Ray would take seconds to start; nothing is left to do for it.
    run_pieces(marked, work, tmp_path / "b", engine="ray")
    assert [runs(tmp_path, f"p{seed}") for seed in range(4)] == [1, 1, 1, 1]
    assert told == [(2, 4, ""), (3, 4, "p2"), (4, 4, "p3")]


def test_a_piece_that_fails_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    with pytest.raises(MetalcxError, match=r"piece 'p3': OddError: learning rate missing; .* are kept") as caught:
        run_pieces(failing, pieces(5), tmp_path)
    assert type(caught.value.__cause__).__name__ == "OddError"
    assert names(tmp_path) == ["p0.npz", "p1.npz", "p2.npz"]
    run_pieces(noise, pieces(5), tmp_path)
    assert len(names(tmp_path)) == 5


def test_an_interrupt_goes_through_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    def interrupted(seed: int) -> Arrays:
        if seed == 2:
            raise KeyboardInterrupt
        return noise(seed)

    with pytest.raises(KeyboardInterrupt):
        run_pieces(interrupted, pieces(4), tmp_path / "b")
    assert names(tmp_path / "b") == ["p0.npz", "p1.npz"]
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ([np.zeros(2)], "gave list, not a dict"),
        ({"x": [1, 2]}, "gave as 'x' is no array of numbers"),
        ({"x": np.zeros(2), "y": np.array([None, "a"])}, "gave as 'y' is no array of numbers"),
        ({"x": np.zeros(2, dtype=[("a", "f8"), ("b", "O")])}, "gave as 'x' is no array"),
    ],
)
def test_results_that_are_no_plain_arrays_are_refused(tmp_path: Path, result: object, complaint: str) -> None:
    with pytest.raises(MetalcxError, match=f"piece 'p0': .*{complaint}"):
        run_pieces(lambda work: result, pieces(1), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("key", ["", "a/b", "../a", ".hidden", "a b", "ä", "a\n", "x" * 201])
def test_keys_that_are_no_file_names_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError, match="are no file names"):
        run_pieces(noise, [Piece("fine", 1), Piece(key, 1)], tmp_path / "b")
    assert names(tmp_path) == []


def test_shared_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="share their keys, capitals aside: 'a', 'A'"):
        run_pieces(noise, [Piece("a", 1), Piece("b", 1), Piece("A", 2)], tmp_path / "b")
    assert names(tmp_path) == []


@pytest.mark.parametrize("engine", ["", "spark", "Ray", "local", "http://host:1", "host", "ray://host", "ray://:1/a"])
def test_an_unknown_engine_is_refused_with_the_choices(tmp_path: Path, engine: str) -> None:
    with pytest.raises(DataError, match=r"choose 'serial' .* 'ray' .* 'auto' or the address .* 'ray://host:10001'"):
        run_pieces(noise, pieces(1), tmp_path / "b", engine=engine)
    assert names(tmp_path) == []


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 workers do no work"):
        run_pieces(noise, pieces(1), tmp_path / "b", engine="ray", workers=0)


def test_without_ray_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "metalcx\[ray\]"'):
        run_pieces(noise, pieces(1), tmp_path, engine="ray")


def test_a_second_driver_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    def intruding(seed: int) -> Arrays:
        with pytest.raises(CorpusError, match="another process is writing pieces there; wait for it"):
            run_pieces(noise, pieces(2), tmp_path)
        return noise(seed)

    run_pieces(intruding, pieces(1), tmp_path)
    assert names(tmp_path) == ["p0.npz"]


PLAIN = hnp.arrays(
    st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(), hnp.array_dtypes()),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@given(st.dictionaries(st.sampled_from(["x", "file", "allow_pickle", "arr_0", "ä", "self"]), PLAIN, max_size=4))
def test_what_is_written_is_read(arrays: Arrays) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_piece(Path(folder), "a", arrays)
        assert same(read_piece(Path(folder), "a"), arrays)


def read_or_refused(folder: Path) -> Arrays | None:
    with contextlib.suppress(CorpusError):
        return read_piece(folder, "a")
    with pytest.raises(CorpusError, match=r"a\.npz: damaged \(.+\); remove it and build again"):
        read_piece(folder, "a")
    return None


@given(st.data(), st.sampled_from([1, 4, 32, 255]))
def test_a_damaged_file_is_reported_or_reads_as_written(data: st.DataObject, bits: int) -> None:
    """Bits changed where nothing depends on them, as in a time stamp, are no damage."""
    with tempfile.TemporaryDirectory() as folder:
        write_piece(Path(folder), "a", noise(2))
        path = Path(folder) / "a.npz"
        whole = path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        path.write_bytes(whole[:at])
        assert read_or_refused(Path(folder)) is None
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
        found = read_or_refused(Path(folder))
        assert found is None or same(found, noise(2))


def test_a_list_of_contents_that_ends_early_is_damage(tmp_path: Path) -> None:
    write_piece(tmp_path, "a", noise(2))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.filelist.pop()
        archive._didModify = True
    with pytest.raises(CorpusError, match=r"damaged .*some of its arrays are missing"):
        read_piece(tmp_path, "a")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(10)])
def test_a_file_that_is_no_archive_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(CorpusError, match=r"a\.npz: damaged"):
        read_piece(tmp_path, "a")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CorpusError, match=r"a\.npz: damaged"):
        read_piece(tmp_path, "a")


def test_a_piece_that_is_not_there_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"a\.npz: there is no such file, this piece is not finished"):
        read_piece(tmp_path, "a")


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("metalcx.corpora.build._pieces.os.fsync", full)
    with pytest.raises(CorpusError, match=r"p0\.npz: cannot be written \(No space left on device\)"):
        run_pieces(noise, pieces(2), tmp_path)
    assert names(tmp_path) == []


def test_a_piece_runs_with_one_thread_and_the_threads_come_back(tmp_path: Path) -> None:
    seen = []

    def look(seed: int) -> Arrays:
        seen.append((torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info()}))
        seen.append(os.environ["OMP_NUM_THREADS"])
        return noise(seed)

    before, variables = torch.get_num_threads(), dict(os.environ)
    torch.set_num_threads(3)
    try:
        run_pieces(look, pieces(1), tmp_path)
        assert torch.get_num_threads() == 3
        with pytest.raises(MetalcxError):
            run_pieces(failing, [Piece("bad", 3)], tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, {1}), "1"]
    assert dict(os.environ) == variables


def test_a_network_is_the_same_however_many_threads_torch_had(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            run_pieces(learn, [Piece("n", 5)], tmp_path / str(threads))
    finally:
        torch.set_num_threads(before)
    assert same(read_piece(tmp_path / "1", "n"), read_piece(tmp_path / "2", "n"))


# Builds four pieces and dies at the moment that it is told, in the second of them.
KILL_IN_WRITE = """
import os, signal
from metalcx.corpora.build import _engine, _pieces
from engine_work import marked
folder, marks, moment = sys.argv[1:]
count = {"replace": 0}
def dying(name, inner):
    def call(*arguments):
        count[name] += 1
        if moment == f"before {name} {count[name]}":
            os.kill(os.getpid(), signal.SIGKILL)
        inner(*arguments)
        if moment == f"after {name} {count[name]}":
            os.kill(os.getpid(), signal.SIGKILL)
    return call
for name in count:
    setattr(_pieces.os, name, dying(name, getattr(os, name)))
work = [_engine.Piece(f"p{seed}", {"seed": seed, "marks": marks, "seconds": 0.05}) for seed in range(4)]
_engine.run_pieces(marked, work, _engine.Path(folder))
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    lines = f"import sys\nsys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", lines, *map(str, arguments)])


def wait_for(folder: Path, pattern: str) -> None:
    end = time.monotonic() + 60
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"no {pattern} in a minute"
        time.sleep(0.01)


@posix
@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("before replace 2", ["p0.npz"]),
        ("after replace 2", ["p0.npz", "p1.npz"]),
    ],
)
def test_killed_at_each_step_of_a_write(tmp_path: Path, moment: str, found: list[str]) -> None:
    folder = tmp_path / "b"
    assert start(KILL_IN_WRITE, folder, tmp_path, moment).wait(60) == -signal.SIGKILL
    assert [name for name in names(folder) if not name.startswith(".")] == found
    assert any(name.endswith(".part") for name in names(folder)) == (len(found) == 1)
    assert all(same(read_piece(folder, f"p{seed}"), noise(seed)) for seed in range(len(found)))
    work = [Piece(f"p{seed}", {"seed": seed, "marks": str(tmp_path)}) for seed in range(4)]
    run_pieces(marked, work, folder)
    assert names(folder) == ["p0.npz", "p1.npz", "p2.npz", "p3.npz"]
    assert [runs(tmp_path, f"p{seed}") for seed in range(4)] == [1, 3 - len(found), 1, 1]
    assert all(same(read_piece(folder, f"p{seed}"), noise(seed)) for seed in range(4))


@posix
def test_terminated_it_stops_tidily(tmp_path: Path) -> None:
    driver = start(KILL_IN_WRITE, tmp_path / "b", tmp_path, "never")
    wait_for(tmp_path, "p1.*")
    driver.terminate()
    assert driver.wait(60) == 128 + signal.SIGTERM
    assert "p0.npz" in names(tmp_path / "b")
    assert not any(name.endswith(".part") for name in names(tmp_path / "b"))
    assert not list(tmp_path.glob(".*.lock"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_handler_of_the_program_is_left_in_place(tmp_path: Path) -> None:
    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append(1))

    def terminated(seed: int) -> Arrays:
        signal.raise_signal(signal.SIGTERM)
        return noise(seed)

    try:
        run_pieces(terminated, pieces(2), tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [1, 1]
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(("refusals", "works"), [(0, True), (2, True), (3, False)])
def test_a_client_whose_process_hangs_on_the_cluster_is_tried_again(refusals: int, works: bool) -> None:
    calls = []

    def init(**options: object) -> None:
        calls.append(options)
        if len(calls) <= refusals:
            raise ConnectionAbortedError("Starting Ray client server failed")

    with contextlib.nullcontext() if works else pytest.raises(ConnectionAbortedError):
        _init(SimpleNamespace(init=init), address="ray://host:1")
    assert calls == [{"address": "ray://host:1"}] * min(refusals + 1, 3)
