"""Where a forecaster comes from: which base, and what it was adapted to."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from metalcx.curves import Curves
from metalcx.protocol import Forecaster
from metalcx.reports._facts import named


@dataclass(frozen=True)
class Origin:
    """What was adapted from which base.

    Attributes:
        name: What the model is called.
        kind: Its class.
        base: Name of its base, if it was handed in adapted; else None.
        sha256: Of the base's weights, where it was read from a folder.
        families: Families of data on which the base was trained, as its folder says.
        support: Runs adapted to, by status; empty if there are none.
        runs: The first of their names, where they are known.
    """

    name: str
    kind: str
    base: str | None = None
    sha256: str | None = None
    families: tuple[str, ...] = ()
    support: tuple[tuple[str, int], ...] = ()
    runs: tuple[str, ...] = ()

    @classmethod
    def open(cls, model: str | Path | Forecaster) -> tuple[Origin, Forecaster, Forecaster]:
        """What a model is, the model, and its base (itself, unless it is adapted).

        Raises:
            ModelError: If a folder holds no model.
        """
        if not isinstance(model, str | Path):
            return cls(type(model).__name__, type(model).__name__), model, model
        from metalcx import hub

        about = hub.describe(model)
        link, families = about["base"], about["metrics"].get("source_families", ())
        origin = cls(about["name"], about["class"], sha256=about["sha256"], families=tuple(map(str, families)))
        if link is None:
            base = hub.load(model)
            return origin, base, base
        known = (("finished", int(about["support"]["runs"] or 0)),)
        origin = replace(origin, base=str(link["name"]), sha256=str(link["sha256"]), support=known)
        return origin, hub.load(model), hub.load_base(model)

    def adapted_to(self, support: Curves) -> Origin:
        """The same, adapted to these runs."""
        return replace(self, support=tuple(Counter(map(str, support.status)).items()), runs=tuple(named(support.ids)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"support": dict(self.support)}
