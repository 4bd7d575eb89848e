"""The engine of a build: runs pieces in this process, on a local Ray or on a Ray cluster, with the same result.

The process that calls writes all results, because workers on other machines share no disk with it. Whatever is
killed, and whenever, the next call goes on from the pieces whose files are there.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from metalcx._swap import locked
from metalcx.corpora.build._pieces import Arrays as Arrays
from metalcx.corpora.build._pieces import Piece as Piece
from metalcx.corpora.build._pieces import check_keys, piece_error, piece_file, sweep, write_piece
from metalcx.corpora.build._pieces import read_piece as read_piece
from metalcx.corpora.build._ray import run_on_ray
from metalcx.corpora.build._threads import one_thread
from metalcx.errors import DataError

#: ``progress(done, total, what)``: pieces finished, pieces in all, and the key of the last one.
Progress = Callable[[int, int, str], None]


def run_pieces(
    function: Callable[[Any], Arrays],
    pieces: Sequence[Piece],
    folder: Path,
    engine: str = "serial",
    workers: int | None = None,
    progress: Progress | None = None,
    gpu: bool = False,
) -> None:
    """Run `function` on the work of each piece and keep what it gives as ``folder/KEY.npz``.

    A piece whose file is there is not run again, so a build that was interrupted goes on. Each piece runs with one
    thread of torch and BLAS, in this process as on Ray. The files are identical whichever engine makes them, as far
    as `function` depends on its argument alone and leaves that as it was; machines of a cluster need the same kind
    of processor and the same versions of packages, metalcx among them, for that.

    Args:
        function: Work of a piece -> its arrays, none of objects. On Ray it is loaded by name in the workers.
        pieces: What is to be done, in the order in which it is begun.
        folder: Where results go; made if need be.
        engine: ``serial`` (this process), ``ray`` (a local Ray, started and ended here), or a Ray cluster by
            address, ``auto``, ``host:6379`` or ``ray://host:10001``, which goes on running afterwards.
        workers: How many pieces run at once on Ray; all processors by default. ``serial`` runs one.
        progress: Called with the number finished before, and again after each piece.
        gpu: Whether pieces need a GPU, of which Ray then gives each a share.

    Raises:
        DataError: If the engine, a key or `workers` cannot be used, the cluster cannot be reached, or has no GPU where
            one is needed.
        CorpusError: If another process builds in `folder`, or a file cannot be written.
        MissingDependencyError: If the engine needs Ray and it is not installed.
        MetalcxError: If `function` fails on a piece, named by its key; all others that are finished are kept.
    """
    _check(engine, workers)
    check_keys(pieces)
    folder = folder.expanduser().resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, "pieces there"), _terminable():
        folder.mkdir(exist_ok=True)
        sweep(folder)
        todo = [piece for piece in pieces if not piece_file(folder, piece.key).is_file()]
        keep = _keeper(folder, len(pieces) - len(todo), len(pieces), progress)
        if engine == "serial":
            _run_here(function, todo, keep)
        elif todo:
            run_on_ray(function, todo, keep, engine, workers, gpu)


def _check(engine: str, workers: int | None) -> None:
    if engine not in ("serial", "ray", "auto") and not re.fullmatch(r"(ray://)?[^\s/]+:\d{1,5}", engine):
        raise DataError(
            f"no engine {engine!r}; choose 'serial' (this process), 'ray' (a local Ray), 'auto' or the address of a "
            "Ray cluster, such as 'host:6379' or 'ray://host:10001'"
        )
    if workers is not None and workers < 1:
        raise DataError(f"{workers} workers do no work; give a number of 1 or more, or none for all processors")


def _keeper(folder: Path, done: int, total: int, progress: Progress | None) -> Callable[[Piece, Arrays], None]:
    tell = progress or (lambda done, total, what: None)
    tell(done, total, "")

    def keep(piece: Piece, arrays: Arrays) -> None:
        nonlocal done
        write_piece(folder, piece.key, arrays)
        done += 1
        tell(done, total, piece.key)

    return keep


def _run_here(
    function: Callable[[Any], Arrays], pieces: Sequence[Piece], keep: Callable[[Piece, Arrays], None]
) -> None:
    for piece in pieces:
        try:
            with one_thread():
                arrays = function(piece.work)
        except Exception as error:
            raise piece_error(piece.key, f"{type(error).__name__}: {error}") from error
        keep(piece, arrays)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the program as an error does, tidily, unless the program has a mind of its own about it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
