"""Several `Curves` as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.curves._curves import Curves
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd


def concat(parts: Sequence[Curves]) -> Curves:
    """See `Curves.concat`."""
    if not parts:
        raise DataError("nothing to concatenate; give at least one Curves")
    head = parts[0]
    _check_alike(parts)
    units = {p.time_unit for p in parts} - {None}
    common = [name for name in head.values if all(name in p.values for p in parts)]
    return replace(
        head,
        ids=np.concatenate([p.ids for p in parts]),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate([p.length for p in parts]))]).astype(np.int64),
        t=np.concatenate([p.t for p in parts]),
        values={name: np.concatenate([p.values[name] for p in parts]) for name in common},
        status=np.concatenate([p.status for p in parts]),
        config=_joined_config(parts),
        arch=_joined([p.arch for p in parts], parts),
        group=_joined([p.group for p in parts], parts),
        time_unit=units.pop() if units else None,
    )


def _check_alike(parts: Sequence[Curves]) -> None:
    head = parts[0]
    for part in parts:
        if (part.metric, part.metrics) != (head.metric, head.metrics):
            first, other = (", ".join(map(str, (p.metric, *p.metrics))) for p in (head, part))
            raise DataError(f"cannot concatenate curves of different metrics: {first} and {other}; declare them alike")
    units = {p.time_unit for p in parts} - {None}
    if len(units) > 1:
        named = name_some(sorted(map(str, units)))
        raise DataError(f"curves over different times cannot be concatenated: {named}; bring them to one unit")


def _joined(columns: list[npt.NDArray[np.object_] | None], parts: Sequence[Curves]) -> npt.NDArray[np.object_] | None:
    """One column over all parts, None for the runs of a part that has none."""
    if all(column is None for column in columns):
        return None
    filled = [np.full(len(p), None, dtype=object) if c is None else c for c, p in zip(columns, parts, strict=True)]
    return np.concatenate(filled)


def _joined_config(parts: Sequence[Curves]) -> pd.DataFrame | None:
    import pandas as pd

    if all(part.config is None for part in parts):
        return None
    configs = [pd.DataFrame(index=range(len(p))) if p.config is None else p.config for p in parts]
    return pd.concat(configs, ignore_index=True)
