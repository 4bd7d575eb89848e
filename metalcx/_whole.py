"""A file that is whole or not there, whoever writes it and whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_whole(path: Path, mark: str | None = None) -> Iterator[Path]:
    """Yield a file beside `path` to write to; it takes the place of `path` if the block ends well, else it goes.

    Args:
        path: The file. Its folder is there.
        mark: What tells the file beside it from those of others who write at the same time; this process by default.
    """
    partial = path.with_suffix(f".{os.getpid() if mark is None else mark}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
