"""What a validation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: where it is broken first, and how often.

    Attributes:
        file: File of the folder.
        message: What is wrong, and the mend.
        row: First row concerned, counted from 0, or None.
        column: Column concerned, or None.
        count: Rows that break the same rule in the same column.
    """

    file: str
    message: str
    row: int | None = None
    column: str | None = None
    count: int = 1

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row is not None else []
        where += [f"column {self.column!r}"] if self.column is not None else []
        more = f" (and {self.count - 1} more rows)" if self.count > 1 else ""
        return f"{self.file}: {', '.join(where)}{': ' if where else ''}{self.message}{more}"


@dataclass(frozen=True, slots=True)
class Report:
    """Result of `validate`.

    Attributes:
        path: The folder.
        problems: Every rule that is broken, once a file and column, in the order of reading; empty if valid.
        n_tasks: Tasks counted.
        n_runs: Runs counted.
        n_points: Points counted.
    """

    path: Path
    problems: tuple[Problem, ...]
    n_tasks: int = 0
    n_runs: int = 0
    n_points: int = 0

    @property
    def ok(self) -> bool:
        """Whether the folder keeps every rule of the format."""
        return not self.problems

    def raise_if_invalid(self) -> None:
        """Raise what was found.

        Raises:
            CorpusError: If there is a problem; up to five are named.
        """
        if self.problems:
            lines = [str(p) for p in self.problems[:5]]
            lines += [f"and {len(self.problems) - 5} more problems"] if len(self.problems) > 5 else []
            raise CorpusError(f"{self.path}: no valid corpus\n  " + "\n  ".join(lines))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        counts = {"n_tasks": self.n_tasks, "n_runs": self.n_runs, "n_points": self.n_points}
        return {"path": str(self.path), "ok": self.ok, **counts, "problems": [asdict(p) for p in self.problems]}


@dataclass(slots=True)
class Findings:
    """Collects problems; the same rule broken in many rows is one problem with a count."""

    found: dict[tuple[str, str | None, str], Problem] = field(default_factory=dict)

    def add(
        self, file: str, message: str, row: int | None = None, column: str | None = None, rule: str = "", count: int = 1
    ) -> None:
        """Note a problem; `rule` tells problems of one column apart where messages name their row's content."""
        key = (file, column, rule or message)
        first = self.found.get(key)
        total = count + (first.count if first else 0)
        self.found[key] = (
            Problem(file, first.message, first.row, column, total)
            if first
            else Problem(file, message, row, column, total)
        )

    def add_rows(self, file: str, bad: npt.NDArray[np.bool_], start: int, column: str, message: str) -> None:
        """Note the rows where `bad` is True, if any; row 0 of `bad` is row `start` of the file."""
        count = int(np.count_nonzero(bad))
        if count:
            self.add(file, message, start + int(np.argmax(bad)), column, count=count)

    def problems(self) -> tuple[Problem, ...]:
        """Everything noted, in the order of its first occurrence."""
        return tuple(self.found.values())
