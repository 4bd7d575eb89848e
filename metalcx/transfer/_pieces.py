"""Long work in pieces that survive a kill: each a file of arrays, made once, on several cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from metalcx._parallel import crew
from metalcx._whole import written_whole
from metalcx._zip import NPZ_ERRORS
from metalcx.errors import DataError, ModelError

Progress = Callable[[int, int, str], None]

#: Arrays of a piece, by name.
Arrays = dict[str, npt.NDArray[Any]]

Made = TypeVar("Made")

#: What makes a piece of the work in it.
Make = Callable[[Any], Arrays]


def pieces(
    folder: Path, work: Sequence[Any], make: Make, workers: int = 1, progress: Progress | None = None, what: str = ""
) -> list[Arrays]:
    """Make what is missing in `folder` and read all of it; the result does not depend on `workers`.

    Args:
        folder: For these pieces alone.
        work: What each is made of.
        make: A function that other processes can be handed.
        workers: Processes.
        progress: Called with (done, total, what).
        what: Is being done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(len(work)) if not _file(folder, i).exists()]
    done = len(work) - len(missing)
    for _ in _made(folder, [(i, work[i]) for i in missing], make, workers):
        done += 1
        if progress is not None:
            progress(done, len(work), what)
    return [_read(_file(folder, i)) for i in range(len(work))]


def drawn_once(tasks: Sequence[object], make: Callable[[], Made]) -> Made:
    """What `make` makes of `tasks` in a folder that all processes of a training see: by the first, read by the others.

    Raises:
        DataError: If there is no task.
    """
    if not tasks:
        raise DataError("no source task is left to learn from; give another corpus or hold out less")
    if crew().first:
        made = make()
        crew().wait()
        return made
    crew().wait()
    return make()


def _made(folder: Path, missing: list[tuple[int, Any]], make: Make, workers: int) -> Iterator[None]:
    if min(workers, len(missing)) <= 1:
        for i, part in missing:
            _write(_file(folder, i), make(part))
            yield
        return
    # Fresh processes: a forked one could inherit a lock of a thread that it does not have.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (make,)) as pool:
        for _ in pool.map(_piece, [(_file(folder, i), part) for i, part in missing]):
            yield


_STATE: dict[str, Make] = {}


def _start(make: Make) -> None:
    _STATE["make"] = make


def _piece(job: tuple[Path, Any]) -> None:
    path, part = job
    _write(path, _STATE["make"](part))


def _file(folder: Path, i: int) -> Path:
    return folder / f"{i:05d}.npz"


def _write(path: Path, arrays: Arrays) -> None:
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except NPZ_ERRORS as error:
        raise ModelError(f"{path}: damaged ({error!s:.99}); remove it, and it alone is drawn anew") from None
