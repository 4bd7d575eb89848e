"""Files of a benchmark's folder, each written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from metalcx._whole import written_whole
from metalcx.errors import DataError


def write_whole(path: Path, text: str) -> None:
    """Put a text in the place of a file; several processes may do so at once."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def claim(path: Path, text: str, complaint: str) -> None:
    """Write down what a folder's parts are of, making the folder if need be, or refuse to mix them with others.

    Raises:
        DataError: With `complaint`, if the file is there and says something else.
    """
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DataError(complaint)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
