"""A real Ray, local and by address: the same files as in one process; workers and drivers are killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_work import devices, dying, failing, learn, noise, runs

from metalcx.corpora.build._engine import Piece, read_piece, run_pieces
from metalcx.errors import DataError, MetalcxError

ray = pytest.importorskip("ray", reason='needs Ray: pip install "metalcx[ray]"')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")]

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def surroundings() -> Iterator[None]:
    """Ray's files apart from those of other Rays on this machine; workers find the functions of these tests."""
    # Paths of sockets may not be long, so pytest's folder will not do.
    folder = tempfile.mkdtemp(prefix="ray-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
        yield
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(surroundings: None) -> Iterator[dict[str, str]]:
    """A cluster that somebody else started: its addresses by kind."""
    port, client = free_port(), free_port()
    command = ["start", "--head", "--block", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    ports = ["--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client}"]
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *command, *ports],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for wanted in (port, client):
            wait_until(lambda wanted=wanted: answers(wanted), f"no Ray on port {wanted}")
        yield {"host:port": f"127.0.0.1:{port}", "ray://": f"ray://127.0.0.1:{client}", "auto": "auto"}
    finally:
        head.terminate()
        head.wait(60)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(true: Any, otherwise: str) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def work(marks: Path, n: int, **more: Any) -> list[Piece]:
    return [Piece(f"p{seed}", {"seed": seed, "marks": str(marks), **more}) for seed in range(n)]


def test_local_ray_makes_the_same_files_and_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pieces = [Piece(f"p{seed}", seed) for seed in range(5)]
    told: list[tuple[int, int, str]] = []
    before = signal.getsignal(signal.SIGTERM)
    run_pieces(learn, pieces, tmp_path / "ray", "ray", 2, lambda *said: told.append(said))
    assert capfd.readouterr() == ("", "")
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) == before
    run_pieces(learn, pieces, tmp_path / "serial")
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")
    assert len(contents(tmp_path / "ray")) == 5
    assert [(done, total) for done, total, _ in told] == [(done, 5) for done in range(6)]


@pytest.mark.parametrize("kind", ["host:port", "auto", "ray://"])
def test_a_cluster_by_address_makes_the_same_files_and_goes_on(
    tmp_path: Path, cluster: dict[str, str], kind: str
) -> None:
    if kind == "ray://":
        pytest.importorskip("grpc", reason='Ray needs more for ray:// addresses: pip install "ray[client]"')
    pieces = [Piece(f"p{seed}", seed) for seed in range(6)]
    run_pieces(noise, pieces[:3], tmp_path / "ray", cluster[kind])
    assert not ray.is_initialized()
    run_pieces(noise, pieces, tmp_path / "ray", cluster[kind], workers=1)
    run_pieces(noise, pieces, tmp_path / "serial")
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")


def test_a_ray_that_the_program_uses_already_is_left_running(tmp_path: Path, cluster: dict[str, str]) -> None:
    with ray.init(cluster["host:port"], log_to_driver=False):
        with pytest.raises(DataError, match="connected to a Ray already; name the engine 'auto'"):
            run_pieces(noise, [Piece("p", 1)], tmp_path, "ray")
        run_pieces(noise, [Piece("p", 1)], tmp_path, "auto")
        assert ray.is_initialized()
    assert list(contents(tmp_path)) == ["p.npz"]


def test_pieces_see_a_gpu_where_they_need_one(tmp_path: Path, cluster: dict[str, str]) -> None:
    pieces = [Piece(f"p{seed}", seed) for seed in range(3)]
    with pytest.raises(DataError, match="has no GPU; build on cpu"):
        run_pieces(devices, pieces, tmp_path / "none", cluster["host:port"], gpu=True)
    # Ray takes our word for it that there is one.
    with ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False):
        run_pieces(devices, pieces, tmp_path / "gpu", "auto", gpu=True)
        run_pieces(devices, pieces, tmp_path / "cpu", "auto")
    assert [str(read_piece(tmp_path / "gpu", p.key)["gpus"]) for p in pieces] == ["0"] * 3
    assert [str(read_piece(tmp_path / "cpu", p.key)["gpus"]) for p in pieces] == [""] * 3


def test_killed_workers_are_replaced_and_nothing_is_lost_or_doubled(tmp_path: Path, cluster: dict[str, str]) -> None:
    pieces = [Piece(p.key, {**p.work, "deaths": (0, 1, 3)[i % 3]}) for i, p in enumerate(work(tmp_path, 6))]
    told: list[tuple[int, int, str]] = []
    run_pieces(dying, pieces, tmp_path / "ray", cluster["host:port"], progress=lambda *said: told.append(said))
    assert [runs(tmp_path, f"p{seed}") for seed in range(6)] == [1, 2, 4, 1, 2, 4]
    assert sorted(what for _, _, what in told[1:]) == [p.key for p in pieces]
    run_pieces(noise, [Piece(f"p{seed}", seed) for seed in range(6)], tmp_path / "serial")
    assert contents(tmp_path / "ray") == contents(tmp_path / "serial")


def test_a_piece_whose_workers_always_die_is_named(tmp_path: Path, cluster: dict[str, str]) -> None:
    deadly = Piece("deadly", {"seed": 9, "marks": str(tmp_path), "deaths": 99})
    with pytest.raises(MetalcxError, match=r"piece 'deadly': its worker died 4 times; .*WorkerCrashedError"):
        run_pieces(dying, [*work(tmp_path, 2, deaths=0), deadly], tmp_path / "b", cluster["host:port"])
    assert runs(tmp_path, "p9") == 4
    assert list(contents(tmp_path / "b")) == ["p0.npz", "p1.npz"]


def test_a_piece_that_fails_is_named_with_what_was_raised(tmp_path: Path, cluster: dict[str, str]) -> None:
    pieces = [Piece(f"p{seed}", seed) for seed in range(4)]
    with pytest.raises(MetalcxError, match="piece 'p3': OddError: learning rate missing; mend it"):
        run_pieces(failing, pieces, tmp_path, cluster["host:port"])
    # Those before it ran to their end or were ended; what is there is whole.
    assert set(contents(tmp_path)) <= {"p0.npz", "p1.npz", "p2.npz"}
    run_pieces(noise, pieces, tmp_path, cluster["host:port"])
    assert [len(read_piece(tmp_path, f"p{seed}")["x"]) for seed in range(4)] == [0, 1, 2, 3]


def test_a_function_that_workers_cannot_load_is_reported(
    tmp_path: Path, cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def function(work):\n    return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with pytest.raises(MetalcxError, match=r"piece 'p': a worker cannot run it .*only_here"):
        run_pieces(only_here.function, [Piece("p", 1)], tmp_path / "b", cluster["host:port"])


class Counted:
    """Work that counts how often it was sent."""

    sent = 0

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        Counted.sent += 1
        return int, (1,)


def test_few_pieces_wait_on_the_cluster(tmp_path: Path, cluster: dict[str, str]) -> None:
    ahead: list[int] = []
    pieces = [Piece(f"p{i:02}", Counted()) for i in range(20)]
    run_pieces(
        noise, pieces, tmp_path, cluster["host:port"], progress=lambda done, *_: ahead.append(Counted.sent - done)
    )
    assert Counted.sent == 20
    # Two processors with two pieces each; the one just finished is not counted any more.
    assert max(ahead) == 3
    assert sorted(ahead[-4:]) == [0, 1, 2, 3]


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_a_cluster_that_is_not_there_is_reported_at_once(tmp_path: Path, prefix: str) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no connection to that Ray \(.*refused\)"):
        run_pieces(noise, [Piece("p", 1)], tmp_path, f"{prefix}127.0.0.1:{free_port()}")
    assert time.monotonic() - start < 10


# Builds on a local Ray; dies when it has written `sys.argv[3]` pieces and is about to name the next.
DRIVER = """
import os, signal, sys
from pathlib import Path
from engine_work import marked
from metalcx.corpora.build import _engine, _pieces
folder, marks, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
replace, count = os.replace, 0
def dying(*names):
    global count
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    replace(*names)
_pieces.os.replace = dying
work = [_engine.Piece(f"p{seed}", {"seed": seed, "marks": marks, "seconds": 0.3}) for seed in range(10)]
_engine.run_pieces(marked, work, folder, "ray", 2)
"""


def drive(folder: Path, marks: Path, last: int = -1) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(folder), str(marks), str(last)])


def alive(marks: Path) -> set[int]:
    """The processes that left marks and are still there."""
    pids = {int(mark.name.split(".")[1]) for mark in marks.iterdir()}
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


@pytest.mark.parametrize("moment", ["outside", "before the renaming"])
def test_a_killed_driver_goes_on_where_it_was(tmp_path: Path, moment: str) -> None:
    marks, folder = tmp_path / "marks", tmp_path / "b"
    marks.mkdir()
    driver = drive(folder, marks, 3 if moment == "before the renaming" else -1)
    if moment == "outside":
        wait_until(lambda: len(list(folder.glob("p*.npz"))) >= 3, "no three pieces")
        driver.kill()
    assert driver.wait(120) == -signal.SIGKILL
    done = [file.stem for file in folder.glob("p*.npz")]
    assert 3 <= len(done) < 10
    before = {key: runs(marks, key) for key in (f"p{seed}" for seed in range(10))}
    assert any(name.endswith(".part") for name in contents(folder)) or moment == "outside"
    assert all(read_piece(folder, key) for key in done)
    # What ran when its driver died may begin nothing new; the next driver does not wait for it.
    assert drive(folder, marks).wait(120) == 0
    assert all(runs(marks, key) == before[key] == 1 for key in done)
    run_pieces(noise, [Piece(f"p{seed}", seed) for seed in range(10)], tmp_path / "serial")
    assert contents(folder) == contents(tmp_path / "serial")
    wait_until(lambda: not alive(marks), "workers outlive their driver")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_driver_told_to_stop_ends_its_ray_and_keeps_what_is_finished(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    marks, folder = tmp_path / "marks", tmp_path / "b"
    marks.mkdir()
    driver = drive(folder, marks)
    wait_until(lambda: len(list(folder.glob("p*.npz"))) >= 2, "no two pieces")
    driver.send_signal(number)
    assert driver.wait(60) == status
    assert 2 <= len(contents(folder)) < 10
    assert all(read_piece(folder, name.removesuffix(".npz")) for name in contents(folder))
    wait_until(lambda: not alive(marks), "workers outlive their driver")
