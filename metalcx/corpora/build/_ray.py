"""Pieces on Ray, a local one or a cluster: who is connected to, how many pieces wait there, what becomes of deaths."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metalcx.corpora._environment import environment
from metalcx.corpora.build._pieces import Arrays, Piece, piece_error
from metalcx.corpora.build._threads import one_thread
from metalcx.errors import DataError, MissingDependencyError

#: How often a piece is tried again after the process or the machine that ran it died.
RETRIES = 3

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Written to standard output of the driver, whatever its logging is set to; `run_on_ray` counts these deaths.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",
}


@dataclass(frozen=True)
class _Raised:
    """What a function raised, as text: an exception itself may not survive the way back."""

    text: str


def _work(function: Callable[[Any], Arrays], work: Any) -> Arrays | _Raised:
    try:
        with one_thread():
            return function(work)
    except Exception as error:
        return _Raised(f"{type(error).__name__}: {error}")


def run_on_ray(
    function: Callable[[Any], Arrays],
    pieces: Sequence[Piece],
    keep: Callable[[Piece, Arrays], None],
    engine: str,
    workers: int | None,
    gpu: bool = False,
) -> None:
    """Run pieces on the Ray that `engine` names and hand each result to `keep`, in the order in which they finish.

    Raises:
        DataError: If a GPU is asked for and that Ray has none.
        MetalcxError: If a function raises, or if the workers of one piece die more than `RETRIES` times.
    """
    with _connected(engine, workers) as ray:
        # No retries by Ray itself: it counts some deaths, others not, and tells nobody.
        remote = ray.remote(_work).options(num_cpus=1, num_gpus=_gpu_share(ray) if gpu else 0, max_retries=0)
        waiting, deaths = deque(pieces), Counter[str]()
        running: dict[Any, Piece] = {}
        try:
            while waiting or running:
                while waiting and len(running) < _room(ray, engine, workers):
                    piece = waiting.popleft()
                    running[remote.remote(function, piece.work)] = piece
                (ref, *_), _ = ray.wait(list(running))
                piece = running.pop(ref)
                try:
                    keep(piece, _result(ray, ref, piece))
                except _DeathError as death:
                    deaths[piece.key] += 1
                    if deaths[piece.key] > RETRIES:
                        raise piece_error(piece.key, f"its worker died {deaths[piece.key]} times; {death}") from death
                    waiting.appendleft(piece)
        except BaseException:
            _stop(ray, running, keep)
            raise


def _room(ray: Any, engine: str, workers: int | None) -> int:
    """How many pieces may be there at once: enough that none waits for us, few enough to hold; a cluster may grow."""
    if workers is not None and engine != "ray":
        return workers
    return 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))


def _gpu_share(ray: Any) -> float:
    """What each piece takes of a GPU, so that all processors have work; Ray hides GPUs from whoever takes none."""
    found = ray.cluster_resources()
    if not found.get("GPU"):
        raise DataError("that Ray has no GPU; build on cpu, or on an engine that has one")
    # Ray counts in ten-thousandths, and above one in whole GPUs.
    return min(1.0, math.floor(1e4 * found["GPU"] / max(1.0, found.get("CPU", 1.0))) / 1e4)


class _DeathError(Exception):
    """The process or machine that ran a piece, or held its result, is no more."""


def _result(ray: Any, ref: Any, piece: Piece) -> Arrays:
    try:
        result: Arrays | _Raised = ray.get(ref)
    except ray.exceptions.RayTaskError as error:  # before our own code ran there
        raise piece_error(piece.key, f"a worker cannot run it ({_last_line(error)})") from error
    except ray.exceptions.RayError as error:
        raise _DeathError(f"the last time: {type(error).__name__}; does it need more memory than there is?") from error
    if isinstance(result, _Raised):
        raise piece_error(piece.key, result.text)
    return result


def _stop(ray: Any, running: dict[Any, Piece], keep: Callable[[Piece, Arrays], None]) -> None:
    """Keep what has finished in the meantime, end the rest."""
    finished, _ = ray.wait(list(running), num_returns=len(running), timeout=0) if running else ([], [])
    for ref in finished:
        with contextlib.suppress(Exception):  # the first error is the one to report
            keep(running[ref], _result(ray, ref, running[ref]))
    for ref in set(running) - set(finished):
        with contextlib.suppress(Exception):
            ray.cancel(ref, force=True)


@contextlib.contextmanager
def _connected(engine: str, workers: int | None) -> Iterator[Any]:
    """Yield the module `ray`, connected; afterwards a local Ray is ended, a cluster merely left."""
    with environment(**_ENVIRONMENT):
        ray = _load_ray()
        theirs = ray.is_initialized()
        if theirs and engine != "auto":
            raise DataError(
                f"engine {engine!r}: this process is connected to a Ray already; name the engine 'auto' to run there"
            )
        if not theirs:
            _connect(ray, engine, workers)
    try:
        yield ray
    finally:
        if not theirs:
            ray.shutdown()


def _connect(ray: Any, engine: str, workers: int | None) -> None:
    # A local Ray is one of our own even where RAY_ADDRESS names another.
    options: dict[str, Any] = {"address": "local", "num_cpus": workers} if engine == "ray" else {"address": engine}
    if "://" not in engine:
        options["include_dashboard"] = False
    try:
        _knock(engine)
        with _signals_kept():
            _init(ray, **options, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise DataError(
            f"engine {engine!r}: no connection to that Ray ({_last_line(error)}); see that it runs, under this address "
            "and with the same version of Ray"
        ) from error


def _init(ray: Any, **options: Any) -> None:
    """Connect. Clusters fork a process for each ``ray://`` client; now and then it hangs, so that is tried thrice."""
    for _ in range(2):
        try:
            ray.init(**options)
        except ConnectionAbortedError:
            continue
        return
    ray.init(**options)


def _knock(engine: str) -> None:
    """Ray itself would wait minutes for a cluster that is not there, and say so from its C++ side."""
    if ":" in engine:
        host, _, port = engine.removeprefix("ray://").rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and keeps it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _load_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            'this engine needs Ray, which is not installed; run\n    pip install "metalcx[ray]"'
        ) from None
    return ray


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
