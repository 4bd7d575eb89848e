"""Tables that people hand in and get back: CSV or Parquet. Every mistake names the file and the mend."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.curves import Curves, Metric


def read_curves(
    path: Path, metric: Metric, runs: Path | None = None, task: str | None = None, horizon: float | None = None
) -> Curves:
    """The curves of one task in a long table ``run, t, value`` (``task`` optional).

    Raises:
        DataError: Names the file, the column, up to five offending runs, and the mend.
    """
    from metalcx.corpora import curves_of_tables, read_table

    frame = read_table(path)
    known = None if runs is None else read_table(runs)
    task = _chosen_task(frame, task, path)
    if task is not None:
        frame = _only(frame, task)
        known = known if known is None or "task" not in known.columns else _only(known, task)
    return curves_of_tables(frame, metric, known, horizon, source=str(path), runs=str(runs))


def _chosen_task(frame: pd.DataFrame, task: str | None, path: Path) -> str | None:
    """The task to keep, or None where the table has no such column."""
    if "task" not in frame.columns:
        if task is not None:
            raise DataError(f"{path}: no column 'task' to choose {task!r} from; leave --task out")
        return None
    names = [str(name) for name in frame["task"].dropna().unique()]
    if frame["task"].isna().any() and names:
        row = int(frame["task"].isna().to_numpy().argmax()) + 1
        raise DataError(f"{path}: column 'task' is missing in row {row}; fill it in")
    if task is None and len(names) > 1:
        raise DataError(f"{path}: column 'task' holds {name_some(names)}; choose one with --task")
    if task is not None and task not in names:
        raise DataError(f"{path}: column 'task' holds no {task!r}; there is {name_some(names)}")
    return task or (names[0] if names else None)


def _only(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    return frame[frame["task"].astype(str) == task].drop(columns="task").reset_index(drop=True)


def check_output(path: Path) -> None:
    """Refuse, before any work is done, an output whose kind is unknown or which is a folder.

    Raises:
        DataError: Names the path and the mend.
    """
    if path.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise DataError(f"{path}: the ending says neither CSV nor Parquet; call it .csv or .parquet")
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a file")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet, by the ending, whole or not at all.

    Raises:
        DataError: If it cannot be written.
    """
    check_output(path)
    if path.suffix.lower() == ".csv":
        write_whole(path, lambda file: frame.to_csv(file, index=False, lineterminator="\n"))
    else:
        write_whole(path, lambda file: frame.to_parquet(file, index=False))


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place.

    Raises:
        DataError: If it cannot be written; an older file then stays as it was.
    """
    fresh = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        _sweep(path)
        with fresh.open("xb") as file:
            _claimed(file)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose a place that you may write to") from None
    finally:
        _remove(fresh)


def _sweep(path: Path) -> None:
    """Remove what writers of this file left that were killed: nobody holds it any more."""
    for stale in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        with contextlib.suppress(OSError), stale.open("rb") as file:
            if _claimed(file):
                stale.unlink()


def _claimed(file: IO[bytes]) -> bool:
    """Hold a file until it is closed; False if another process does, or the system knows no such thing."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # moved into its place, or never made
        return
