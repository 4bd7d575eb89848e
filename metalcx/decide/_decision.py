"""A decision about one run, and the file that keeps them: one line of JSON each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from metalcx._lines import append_lines, bad_line, read_lines
from metalcx.errors import DataError, name_some


@dataclass(frozen=True)
class Decision:
    """Whether to stop a run, and why.

    Attributes:
        run: Id of the run, as given.
        t: Time of its last point; NaN if it has none.
        stop: Whether to stop it.
        reason: Why, in words.
        probability: That the run beats the incumbent at the horizon; NaN where it was not asked for.
        threshold: Below which probability a run is stopped.
        incumbent: Value that it has to beat; NaN if there is none.
        horizon: Time at which the runs are compared; NaN if it is not known.
        metric: Name of what is measured; with several, of that in which the run has the best chance.
    """

    run: Any
    t: float
    stop: bool
    reason: str
    probability: float
    threshold: float
    incumbent: float
    horizon: float
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what is not known is None."""
        return {name: plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Decision:
        """The decision of which `to_dict` gave this.

        Raises:
            DataError: If it describes no decision.
        """
        names = [f.name for f in fields(cls)]
        if sorted(known) != sorted(names):
            raise DataError(f"not a decision: it has {name_some(sorted(known), 9)}, a decision {sorted(names)}")
        return cls(**{f.name: _held(f.name, str(f.type), known[f.name]) for f in fields(cls)})


def _held(name: str, kind: str, value: Any) -> Any:
    """A field of a decision from its JSON value; None stands for NaN.

    Raises:
        DataError: If it is of another kind.
    """
    if kind == "float" and (value is None or (type(value) in (int, float) and abs(value) < 1e300)):
        return math.nan if value is None else value
    if kind == "Any" or (kind in ("bool", "str") and type(value).__name__ == kind):
        return value
    raise DataError(f"not a decision: {name} is {value!r:.60}")


def plain(value: Any) -> Any:
    """As a JSON value; NaN and infinity are None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class DecisionLog:
    """Decisions in a file of JSON lines, to which processes may append at once.

    Args:
        path: The file; made when the first decision is written.
    """

    path: Path

    def append(self, decisions: Iterable[Decision]) -> None:
        """Write decisions at the end, all in one call of the system, so that those of two processes do not mix.

        Raises:
            DataError: If the file cannot be written.
        """
        append_lines(self.path, [decision.to_dict() for decision in decisions])

    def read(self) -> list[Decision]:
        """All decisions, oldest first; none if there is no file. A last line cut off by a kill is left out.

        Raises:
            DataError: Names the file and the line that is no decision.
        """
        return [self._decision(number, held) for number, held in read_lines(self.path)]

    def _decision(self, number: int, held: dict[str, Any]) -> Decision:
        try:
            return Decision.from_dict(held)
        except DataError as error:
            raise bad_line(self.path, number, error) from None
