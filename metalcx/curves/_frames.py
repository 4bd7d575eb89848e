"""Tables that people hand in -> Curves, with every mistake named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metalcx.curves._batch import BoolArray, FloatArray, IntArray
from metalcx.curves._columns import not_measured, refuse_unclear
from metalcx.curves._curves import RESERVED, STATUSES, Curves
from metalcx.curves._metric import Metric
from metalcx.errors import DataError, name_some


@dataclass(frozen=True)
class _Runs:
    """Whose row each row is: what an error message needs to name its offenders."""

    source: str
    ids: np.ndarray
    codes: IntArray

    @classmethod
    def of(cls, df: pd.DataFrame, source: str) -> _Runs:
        missing = np.flatnonzero(df["run"].isna())
        if len(missing):
            raise DataError(f"{source}: column 'run' is missing in row {missing[0] + 1}; fill it in")
        # The ids as given, in the order of their first row: a person finds their runs where they left them.
        try:
            codes, ids = pd.factorize(df["run"])
        except TypeError:
            raise DataError(f"{source}: column 'run' holds what is no id; write text or numbers") from None
        return cls(source, np.asarray(ids, dtype=object), codes.astype(np.int64))

    def named(self, bad: BoolArray) -> str:
        """Up to five runs that own a row in `bad`."""
        return name_some(self.ids[np.unique(self.codes[bad])])


def curves_from_frame(
    df: pd.DataFrame,
    metric: Metric,
    runs: pd.DataFrame | None,
    horizon: float | None,
    metrics: tuple[Metric, ...],
    source: str,
) -> Curves:
    """See `Curves.from_frame`."""
    refuse_unclear(df, (metric, *metrics), source)
    declared = (metric, *(m for m in metrics if m.name != metric.name))
    columns = {metric: _value_column(df, metric, source)} | {m: m.name for m in declared[1:]}
    _check_columns(df, ("run", "t", *columns.values()), source)
    owners = _Runs.of(df, source)
    t = _times(df, owners)
    values = {m.name: _values(df, m, column, owners) for m, column in columns.items()}
    known = _align_runs(runs, owners.ids, source)
    order = np.lexsort((t, owners.codes))
    codes, t = owners.codes[order], t[order]
    values = {name: v[order] for name, v in values.items()}
    broken = ~np.isfinite(values[metric.name]) & ~not_measured(df[columns[metric]])[order]
    keep, status, y = _status(codes, t, values[metric.name], broken, _optional(known, "status"), horizon)
    values[metric.name] = y
    return Curves(
        metric=metric,
        ids=owners.ids,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(codes[keep], minlength=len(owners.ids)))]),
        t=t[keep],
        values={name: v[keep] for name, v in values.items()},
        status=status,
        metrics=declared,
        config=None if known is None else known.drop(columns=[c for c in RESERVED if c in known]),
        arch=_optional(known, "arch"),
        group=_optional(known, "group"),
    )


def melt(df: pd.DataFrame, source: str = "curves") -> pd.DataFrame:
    """A wide table (one row a run, one column a time) as a long one without the blank cells."""
    if not len(df) or not len(df.columns):
        raise DataError(f"{source}: the wide table is empty; give one row a run and one column a time")
    try:
        times = np.array([float(name) for name in df.columns])
    except (TypeError, ValueError):
        raise DataError(
            f"{source}: the columns of a wide table are times, not {name_some(df.columns)}; run ids go in the index"
        ) from None
    if df.index.has_duplicates:
        repeated = name_some(df.index[df.index.duplicated()].unique())
        raise DataError(f"{source}: run ids repeat in the index: {repeated}; keep one row a run")
    measured = df.notna().to_numpy()
    blank = np.flatnonzero(~measured.any(axis=1))
    if len(blank):
        raise DataError(f"{source}: no value in any column for runs {name_some(df.index[blank])}; leave them out")
    rows, column = np.nonzero(measured)
    return pd.DataFrame({"run": df.index.to_numpy()[rows], "t": times[column], "value": df.to_numpy()[rows, column]})


def _value_column(df: pd.DataFrame, metric: Metric, source: str) -> str:
    """The primary metric's column: its name, or ``value``."""
    column = metric.name if metric.name in df.columns else "value"
    if not len(df):
        raise DataError(f"{source}: the table is empty; give at least one row of run, t, {column}")
    if column not in df.columns:
        raise DataError(
            f"{source}: no column 'value' or {metric.name!r}; it has {name_some(df.columns, 8)}. "
            "A long table has the columns run, t, value"
        )
    return column


def _check_columns(df: pd.DataFrame, needed: Iterable[str], source: str) -> None:
    for column in needed:
        if column not in df.columns:
            raise DataError(
                f"{source}: no column {column!r}; it has {name_some(df.columns, 8)}. "
                "A long table has the columns run, t, value, and one named after each further metric"
            )
    if "task" in df.columns and df["task"].nunique() > 1:
        raise DataError(
            f"{source}: column 'task' holds {name_some(df['task'].dropna().unique())}; curves are of one task, keep one"
        )


def _times(df: pd.DataFrame, owners: _Runs) -> FloatArray:
    t = _numbers(df, "t", owners)
    source = owners.source
    bad = ~np.isfinite(t)
    if bad.any():
        raise DataError(f"{source}: column 't' is not finite in runs {owners.named(bad)}; every point needs a time")
    repeated = pd.DataFrame({"run": owners.codes, "t": t}).duplicated(keep=False).to_numpy()
    if repeated.any():
        raise DataError(
            f"{source}: column 't' repeats a time within runs {owners.named(repeated)}; keep one row for each (run, t)"
        )
    return t


def _values(df: pd.DataFrame, metric: Metric, column: str, owners: _Runs) -> FloatArray:
    values = _numbers(df, column, owners)
    bad = metric.outside(values)
    if bad.any():
        raise DataError(
            f"{owners.source}: column {column!r} leaves the bounds [{metric.lower}, {metric.upper}] declared for "
            f"{metric.name!r} in runs {owners.named(bad)}; correct the values or declare wider bounds"
        )
    return values


def _numbers(df: pd.DataFrame, column: str, owners: _Runs) -> FloatArray:
    kind = df[column].dtype
    if kind.kind in "bmMc" and len(df):  # pandas would count the nanoseconds of a date
        raise DataError(
            f"{owners.source}: column {column!r} holds {df[column].iloc[0]!r}, which is no number, in runs "
            f"{owners.named(np.ones(len(df), dtype=bool))}; write numbers, NaN or inf"
        )
    try:
        numbers = pd.to_numeric(df[column], errors="coerce").to_numpy(dtype=np.float64)
    except OverflowError:
        raise DataError(
            f"{owners.source}: column {column!r} holds an integer beyond double precision; write inf for it"
        ) from None
    bad = np.isnan(numbers) & df[column].notna().to_numpy()
    if bad.any():
        text = df[column].astype(str).str.strip().str.lower()
        bad &= ~text.isin(["nan", "none", "null", ""]).to_numpy()
    if bad.any():
        example = df[column].to_numpy()[bad][0]
        raise DataError(
            f"{owners.source}: column {column!r} holds {example!r}, which is no number, in runs {owners.named(bad)}; "
            "write numbers, NaN or inf"
        )
    # A copy: values are changed at a divergence, and the person's table is theirs.
    return np.array(numbers)


def _align_runs(runs: pd.DataFrame | None, ids: np.ndarray, source: str) -> pd.DataFrame | None:
    """The runs table in the order of `ids`."""
    if runs is None:
        return None
    if "run" not in runs.columns:
        raise DataError(f"runs: no column 'run'; it has {name_some(runs.columns, 8)}")
    refuse_unclear(runs, (), "runs")
    repeated = runs["run"].duplicated()
    if repeated.any():
        raise DataError(f"runs: run ids repeat: {name_some(runs['run'][repeated].unique())}; keep one row a run")
    index = pd.Index(runs["run"]).get_indexer(pd.Index(ids))
    if (index < 0).any():
        missing = name_some(ids[index < 0])
        raise DataError(f"runs: no row for runs {missing} of {source}; add them, or leave the table out")
    known: pd.DataFrame = runs.iloc[index].reset_index(drop=True)
    if "status" in known:
        bad = ~known["status"].isin(STATUSES) & known["status"].notna()
        if bad.any():
            raise DataError(
                f"runs: column 'status' is not one of {', '.join(STATUSES)} in runs {name_some(ids[bad.to_numpy()])}"
            )
    return known


def _status(
    codes: IntArray, t: FloatArray, y: FloatArray, broken: BoolArray, given: np.ndarray | None, horizon: float | None
) -> tuple[BoolArray, np.ndarray, FloatArray]:
    """Points to keep, status of each run, and values in which a divergence is an infinity.

    A given status stands and keeps all its points. Without one a run is diverged at its first value that is `broken`,
    and completed at the horizon.
    """
    n = int(codes[-1]) + 1
    end = t.max() if horizon is None else float(horizon)
    if not np.isfinite(end):
        raise DataError(f"horizon {horizon!r} is not finite; give the t at which a run is complete")
    bad = np.flatnonzero(broken)
    start = np.searchsorted(codes, np.arange(n + 1))
    first = np.append(bad, len(y))[np.searchsorted(bad, start[:-1])]
    diverged = first < start[1:]
    status = np.where(t[start[1:] - 1] >= end, "completed", "running").astype(object)
    status[diverged] = "diverged"
    keep = ~diverged[codes] | (np.arange(len(y)) <= first[codes])
    if given is not None:
        stated = np.array([s is not None for s in given])
        status[stated] = given[stated]
        diverged &= ~stated
        keep |= stated[codes]
    y[first[diverged]] = np.where(np.isinf(y[first[diverged]]), y[first[diverged]], np.inf)
    return keep, status, y


def _optional(known: pd.DataFrame | None, column: str) -> np.ndarray | None:
    if known is None or column not in known:
        return None
    values = known[column].astype(object)
    return values.where(values.notna(), None).to_numpy(dtype=object)
