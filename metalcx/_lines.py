"""Files of JSON lines to which processes append at once and of which a kill spoils at most the last line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metalcx._json import loads
from metalcx.errors import DataError


def append_lines(path: str | Path, items: Iterable[Mapping[str, Any]]) -> None:
    """Write a line an item at the end, all in one call of the system, so that those of two processes do not mix.

    Raises:
        DataError: If the file cannot be written.
    """
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    if not lines:
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose a place that you may write to") from None


def read_lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line; nothing if there is no file. A last line cut off by a kill is left out.

    Raises:
        DataError: Names the file and the line that is no JSON object.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file that you may read") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            held = loads(line.decode("utf-8"))
        except ValueError as error:
            raise bad_line(path, number, error) from None
        if not isinstance(held, dict):
            raise bad_line(path, number, "holds no JSON object")
        yield number, held


def bad_line(path: str | Path, number: int, why: object) -> DataError:
    """The error that names a line."""
    return DataError(f"{path}, line {number}: {why}; delete that line, or give another file")
