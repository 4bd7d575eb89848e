"""Replace a whole folder so that, whatever happens and whenever, the old or the new one can be read.

A folder cannot be replaced in one step on every system, so it is done in two renames:
``dst -> .dst.old``, then ``.dst.<random>.tmp -> dst``. Whoever dies between them leaves `dst` missing and the old
folder complete under its retired name. Readers look there too (`readable`), and never rename anything
themselves, so they need no right to write; the next writer puts it back. A lock beside the folder keeps a
second writer out; the system drops it when its owner dies.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from metalcx.errors import CorpusError


def retired(path: Path) -> Path:
    """Where the old folder stands between the two renames."""
    return path.parent / f".{path.name}.old"


def readable(path: Path) -> Path:
    """The folder to read for `path`: itself, or the retired one if a swap was interrupted."""
    path = path.expanduser().resolve()
    return retired(path) if not path.exists() and retired(path).is_dir() else path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a fresh folder beside `path` to write into; it takes the place of `path` if the block ends well.

    Raises:
        CorpusError: If another process is writing to `path` at this moment.
        OSError: If the folder cannot be made; the old one is untouched.
    """
    path = path.expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        _recover(path)
        # Not mkdtemp: its folders are private to their owner, and this one is going to be the corpus.
        fresh = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
        fresh.mkdir()
        try:
            yield fresh
            for file in fresh.iterdir():
                flush(file)
            flush(fresh)  # the names too: else a power cut may leave a folder without its files
            _swap(fresh, path)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, path: Path) -> None:
    old = retired(path)
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(fresh, path)
    except BaseException:
        if old.is_dir() and not path.exists():
            os.rename(old, path)
        raise
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _recover(path: Path) -> None:
    """Put back what an interrupted swap retired, and sweep up what dead writers left (the lock is held)."""
    old = retired(path)
    if old.is_dir() and not path.exists():
        os.rename(old, path)
    shutil.rmtree(old, ignore_errors=True)
    for stale in path.parent.glob(f".{_escape(path.name)}.????????.tmp"):
        shutil.rmtree(stale, ignore_errors=True)


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk itself, so that a power cut finds them whole."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: Path, what: str = "this corpus") -> Iterator[None]:
    """Keep every other process out that would write to `path`, a resolved path whose parent is there.

    Raises:
        CorpusError: If another process is writing `what`, as the message calls it.
    """
    try:
        import fcntl
    except ImportError:  # Windows refuses to rename what is open, which serves the same end
        yield
        return
    lock = path.parent / f".{path.name}.lock"
    while True:
        handle: IO[bytes] = open(lock, "ab")  # noqa: SIM115 - closed below, after the block that it guards
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise CorpusError(f"{path}: another process is writing {what}; wait for it, or end it") from None
        except OSError:  # a file system without locks
            break
        # The owner before us may have removed the file between our `open` and our lock: then it guards nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle.fileno()), os.stat(lock)):
                break
        handle.close()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        handle.close()
