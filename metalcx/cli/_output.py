"""What commands print: results on standard output, progress on standard error."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

#: Seconds between two lines of progress where there is no terminal to draw on.
QUIET = 10.0


def print_json(value: Any) -> None:
    """One JSON document on standard output; NaN and infinity, which JSON lacks, as null."""
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None, left: int = 1
) -> None:
    """A table on standard output; the first `left` columns are text, the others numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(number(cell) if isinstance(cell, float) else str(cell) for cell in row))
    # Where nobody watches, as in a pipe or a log, a fixed width would fold long names.
    width = None if sys.stdout.isatty() else 160
    Console(markup=False, highlight=False, width=width).print(table)


def number(value: float) -> str:
    """Four significant digits, without an exponent where there is no need of one."""
    return f"{value:.4g}" if not value or not 1e-3 <= abs(value) < 1e5 else f"{value:.{max(0, 3 - _magnitude(value))}f}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def note(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal's standard error that something goes on; gone when it is done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(text):
        yield


class Progress:
    """``progress(done, total, note)``: a bar on a terminal, elsewhere a line every ten seconds and one at the end.

    Args:
        text: What goes on, until that is told.
        quiet: Whether to say nothing.
    """

    def __init__(self, text: str, quiet: bool = False) -> None:
        self._text, self._quiet = text, quiet
        self._start = self._told = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True, markup=False))
            self._bar.start()
            self._task = self._bar.add_task(self._text, total=None)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` steps of what `text` names are done."""
        label = text or self._text
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, description=label)
            return
        if self._quiet:
            return
        now = time.monotonic()
        if now - self._told >= QUIET or (done >= total and now - self._start >= 1.0):
            self._told = now
            note(f"{label}: {done}/{total}, {now - self._start:.0f} s")
