"""What stands beside a long table about its runs: hyperparameters, and how they ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metalcx.corpora._read_table import read_table
from metalcx.corpora.importers._settings import flat
from metalcx.curves import STATUSES
from metalcx.curves._curves import RESERVED
from metalcx.curves._records import records
from metalcx.errors import DataError


class RunsTable:
    """A table with a row a run, read again whenever it was written.

    Attributes:
        path: The file, which may come later, or never.
        rows: Run -> its hyperparameters and its status, None where that is for its points to say.
        note: Why it could not be read; empty if it could.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, tuple[dict[str, Any], str | None]] = {}
        self.note = ""
        self._state: tuple[int, int] | None = None

    def poll(self) -> bool:
        """Read it if it is another one than before; whether it was."""
        try:
            found = self.path.stat()
        except OSError:
            # Gone, or not there yet: what was known of the runs stays true.
            return False
        state = (found.st_mtime_ns, found.st_size)
        if state == self._state:
            return False
        self._state = state
        try:
            self.rows, self.note = self._read(), ""
        except DataError as error:
            self.note = str(error)
        return True

    def _read(self) -> dict[str, tuple[dict[str, Any], str | None]]:
        table = read_table(self.path)
        if "run" not in table:
            raise DataError(f"{self.path}: no column 'run'; it has {', '.join(map(str, table.columns[:8]))}")
        settings = table.drop(columns=[c for c in RESERVED if c in table]).astype(object)
        settings = settings.where(settings.notna(), None)
        status = table["status"] if "status" in table else [None] * len(table)
        return {
            str(run): (flat(row), said if said in STATUSES and said not in ("running", "diverged") else None)
            for run, row, said in zip(table["run"], records(settings), status, strict=True)
        }
