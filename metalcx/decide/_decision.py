"""A decision about one run, and the file that keeps them: one line of JSON each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from metalcx._lines import append_lines, bad_line, read_lines
from metalcx.errors import DataError


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
            raise DataError(f"not a decision: it has {sorted(known)}, a decision {sorted(names)}")
        missing = {f.name for f in fields(cls) if f.type == "float" and known[f.name] is None}
        return cls(**{**known, **dict.fromkeys(missing, math.nan)})


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
