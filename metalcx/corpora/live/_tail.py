"""A text file that grows: what was appended since, line by whole line."""

from __future__ import annotations

import os
from pathlib import Path

#: Bytes read at once at most; what is left is read the next time.
MOST = 1 << 24

#: Bytes by which a file is known again.
MARK = 256


class Tail:
    """Follows a file; one that was replaced, cut or written anew is read from its beginning.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._inode, self._offset = 0, 0
        self._head, self._last = b"", b""
        #: When what was read last was written, by the clock of `time.time`.
        self.modified = 0.0

    def read(self) -> tuple[bool, bytes]:
        """Whether the file was begun anew, and what was appended, up to the end of the last whole line.

        A line that is not ended is not read yet. An even number of quotation marks ends what is read, so that a row
        with a line break inside a cell is whole.

        Raises:
            OSError: If the file cannot be read, or is gone.
        """
        found = os.stat(self.path)
        if (found.st_mtime_ns, found.st_size, found.st_ino) == self._state:
            return False, b""
        with self.path.open("rb") as file:
            stat = os.fstat(file.fileno())
            again = self._offset > 0 and not self._known(file, stat)
            if again:
                self._offset, self._head, self._last = 0, b"", b""
            file.seek(self._offset)
            data = file.read(MOST)
        whole = _whole(data)
        if not self._offset:
            self._head = whole[:MARK]
        self.modified = stat.st_mtime
        self._inode, self._offset = stat.st_ino, self._offset + len(whole)
        self._last = (self._last + whole)[-MARK:]
        # Read to the end: nothing is new until the file changes.
        self._state = (stat.st_mtime_ns, stat.st_size, stat.st_ino) if len(data) < MOST else None
        return again, whole

    def _known(self, file: object, stat: os.stat_result) -> bool:
        """Whether what was read is still there."""
        if stat.st_ino != self._inode or stat.st_size < self._offset:
            return False
        return all(
            os.pread(file.fileno(), len(mark), place) == mark  # type: ignore[attr-defined]
            for mark, place in ((self._head, 0), (self._last, self._offset - len(self._last)))
        )


def _whole(data: bytes) -> bytes:
    """Up to the end of the last line that is ended and outside of quotation marks."""
    end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        # Only the line stepped back over is counted: one stray mark may lie a million lines back.
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', before, end)
        end = before
    # A quotation mark that is never closed must not hold up a log for ever.
    return data[:end] if end or len(data) < MOST else data
