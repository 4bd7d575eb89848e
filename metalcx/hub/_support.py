"""The support curves inside an adapted model: numbers as tensors, all else as JSON."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, Metric
from metalcx.curves._objects import objects
from metalcx.errors import DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "support."

_COLUMN_TYPES = re.compile(r"u?int(8|16|32|64)|float(32|64)|bool|object|str")


def pack(curves: Curves) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """JSON and tensors from which `unpack` makes the same curves again.

    Raises:
        ModelError: If an id or a hyperparameter is nothing that JSON can say.
    """
    names = list(curves.values)
    known: dict[str, Any] = {
        "metric": curves.metric.to_dict(),
        "metrics": [m.to_dict() for m in curves.metrics],
        "values": names,
        "ids": _plain(curves.ids, "run ids"),
        "status": _plain(curves.status, "status"),
        "arch": None if curves.arch is None else _plain(curves.arch, "arch"),
        "group": None if curves.group is None else _plain(curves.group, "group"),
        "config": None
        if curves.config is None
        else [_pack_column(curves.config, i) for i in range(curves.config.shape[1])],
        "time_unit": curves.time_unit,
    }
    arrays = {"offsets": curves.offsets, "t": curves.t}
    arrays |= {f"values.{i}": curves.values[name] for i, name in enumerate(names)}
    return known, {PREFIX + name: np.ascontiguousarray(a) for name, a in arrays.items()}


def unpack(known: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Curves:
    """The curves that `pack` stored.

    Raises:
        ModelError: If parts are missing or do not fit each other.
    """
    try:
        n = len(known["ids"])
        return Curves(
            metric=Metric(**known["metric"]),
            ids=objects(known["ids"]),
            offsets=tensors[PREFIX + "offsets"].astype(np.int64),
            t=tensors[PREFIX + "t"].astype(np.float64),
            values={name: tensors[f"{PREFIX}values.{i}"].astype(np.float64) for i, name in enumerate(known["values"])},
            status=objects(known["status"]),
            metrics=tuple(Metric(**m) for m in known["metrics"]),
            config=None if known["config"] is None else _frame(known["config"], n),
            arch=None if known["arch"] is None else objects(known["arch"]),
            group=None if known["group"] is None else objects(known["group"]),
            time_unit=known["time_unit"],
        )
    except (DataError, AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(
            f"the stored support curves do not fit together ({error!r:.120}); adapt the base again"
        ) from None


def _plain(values: Any, what: str) -> list[Any]:
    """Python values that JSON can say."""
    return [_word(getattr(v, "item", lambda v=v: v)(), what) for v in values]


def _word(value: Any, what: str) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        # JSON has no NaN and no infinity: blank stands for the one, its name for the other.
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_word(v, what) for v in value]
    if isinstance(value, dict):
        return {str(k): _word(v, what) for k, v in value.items()}
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    raise ModelError(f"{what}: {value!r:.60} is a {type(value).__name__}, which cannot be saved; use text or numbers")


def _pack_column(frame: pd.DataFrame, i: int) -> dict[str, Any]:
    column, name = frame.iloc[:, i], frame.columns[i]
    dtype = str(column.dtype) if _COLUMN_TYPES.fullmatch(str(column.dtype)) else "object"
    return {"name": str(name), "dtype": dtype, "values": _plain(column.astype(object), f"hyperparameter {name!r}")}


def _frame(columns: list[dict[str, Any]], n: int) -> pd.DataFrame:
    import pandas as pd

    series = [_unpack_column(c) for c in columns]
    if any(len(s) != n for s in series):
        raise ModelError("hyperparameters have another number of rows than the runs")
    return pd.concat(series, axis=1) if series else pd.DataFrame(index=range(n))


def _unpack_column(column: dict[str, Any]) -> pd.Series[Any]:
    import pandas as pd

    dtype, values = column["dtype"], column["values"]
    if not _COLUMN_TYPES.fullmatch(dtype):
        raise ValueError(f"column type {dtype[:20]!r}")
    if dtype.startswith("float"):
        values = [math.nan if v is None else float(v) for v in values]
    return pd.Series(objects(values), name=column["name"]).astype(dtype)
