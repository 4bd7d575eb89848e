"""Tables that people hand in -> Curves, with every mistake named."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metalcx.curves._curves import STATUSES, Curves
from metalcx.curves._metric import Metric
from metalcx.errors import DataError, name_some

RESERVED = ("run", "arch", "status", "group")


def curves_from_frame(
    df: pd.DataFrame,
    metric: Metric,
    runs: pd.DataFrame | None,
    horizon: float | None,
    metrics: tuple[Metric, ...],
    source: str,
) -> Curves:
    """See `Curves.from_frame`."""
    column = _value_column(df, metric, source)
    if not len(df):
        raise DataError(f"{source}: the table is empty; give at least one row of run, t, {column}")
    if df["run"].isna().any():
        raise DataError(f"{source}: column 'run' is missing in row {int(np.flatnonzero(df['run'].isna())[0]) + 1}; fill it in")
    declared = (metric, *(m for m in metrics if m.name != metric.name))
    columns = {m.name: (column if m is metric else m.name) for m in declared}
    # The ids as given, in the order of their first row: a person finds their runs where they left them.
    codes, ids = pd.factorize(df["run"])
    ids = np.asarray(ids, dtype=object)
    t = _numbers(df, "t", ids, codes, source)
    values = {m.name: _numbers(df, columns[m.name], ids, codes, source) for m in declared}
    _check(t, values, declared, columns, ids, codes, source)
    order = np.lexsort((t, codes))
    codes, t = codes[order], t[order]
    values = {name: v[order] for name, v in values.items()}
    known = _align_runs(runs, ids, source)
    status = None if known is None or "status" not in known else known["status"]
    if status is None:
        keep, status = _infer_status(codes, t, values[metric.name], len(ids), horizon)
        codes, t, values = codes[keep], t[keep], {name: v[keep] for name, v in values.items()}
    return Curves(
        metric=metric,
        ids=ids,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64),
        t=t,
        values=values,
        status=np.asarray(status, dtype=object),
        metrics=declared,
        config=None if known is None else known.drop(columns=[c for c in RESERVED if c in known]),
        arch=_optional(known, "arch"),
        group=_optional(known, "group"),
    )


def melt(df: pd.DataFrame) -> pd.DataFrame:
    """A wide table (one row a run, one column a time) as a long one; blanks after the last value are dropped."""
    if not len(df) or not len(df.columns):
        raise DataError("the wide table is empty; give one row a run and one column a time")
    try:
        times = np.array([float(name) for name in df.columns])
    except (TypeError, ValueError):
        raise DataError("the columns of a wide table are times; put the run ids in the index") from None
    if df.index.has_duplicates:
        raise DataError(f"run ids repeat in the index: {name_some(df.index[df.index.duplicated()].unique())}")
    blank = df.isna().to_numpy()
    trailing = np.flip(np.logical_and.accumulate(np.flip(blank, 1), 1), 1)
    rows, columns = np.nonzero(~trailing)
    return pd.DataFrame({"run": df.index.to_numpy()[rows], "t": times[columns], "value": df.to_numpy()[rows, columns]})


def _value_column(df: pd.DataFrame, metric: Metric, source: str) -> str:
    column = "value" if "value" in df.columns else metric.name
    for needed in ("run", "t", column):
        if needed not in df.columns:
            asked = f"'value' or {metric.name!r}" if needed == column else repr(needed)
            raise DataError(
                f"{source}: no column {asked}; it has {name_some(df.columns, 8)}. A long table has the columns run, t, value"
            )
    return column


def _numbers(df: pd.DataFrame, column: str, ids: np.ndarray, codes: np.ndarray, source: str) -> np.ndarray:
    if column not in df.columns:
        raise DataError(f"{source}: no column {column!r} for the metric of that name")
    numbers = pd.to_numeric(df[column], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.isnan(numbers) & df[column].notna().to_numpy()
    if bad.any():
        text = df[column].to_numpy()[bad]
        spelled = pd.Series(text).astype(str).str.strip().str.lower().isin(["nan", "none", "null", ""]).to_numpy()
        if not spelled.all():
            runs = name_some(pd.unique(ids[codes[bad]][~spelled]))
            raise DataError(
                f"{source}: column {column!r} holds {text[~spelled][0]!r}, which is not a number, in runs {runs}; "
                "write numbers, NaN or inf"
            )
    return numbers


def _check(t, values, declared, columns, ids, codes, source) -> None:  # type: ignore[no-untyped-def]
    def offenders(bad: np.ndarray) -> str:
        return name_some(pd.unique(ids[codes[bad]]))

    bad = ~np.isfinite(t)
    if bad.any():
        raise DataError(f"{source}: column 't' is not finite in runs {offenders(bad)}; every point needs a time")
    repeated = pd.DataFrame({"run": codes, "t": t}).duplicated(keep=False).to_numpy()
    if repeated.any():
        raise DataError(
            f"{source}: column 't' repeats a time within runs {offenders(repeated)}; keep one row for each (run, t)"
        )
    for metric in declared:
        bad = metric.outside(values[metric.name])
        if bad.any():
            raise DataError(
                f"{source}: column {columns[metric.name]!r} leaves the bounds [{metric.lower}, {metric.upper}] declared for "
                f"{metric.name!r} in runs {offenders(bad)}; correct the values or declare wider bounds"
            )


def _align_runs(runs: pd.DataFrame | None, ids: np.ndarray, source: str) -> pd.DataFrame | None:
    """The runs table in the order of `ids`."""
    if runs is None:
        return None
    if "run" not in runs.columns:
        raise DataError(f"runs: no column 'run'; it has {name_some(runs.columns, 8)}")
    if runs["run"].duplicated().any():
        raise DataError(f"runs: run ids repeat: {name_some(runs['run'][runs['run'].duplicated()].unique())}; keep one row a run")
    index = pd.Index(runs["run"]).get_indexer(pd.Index(ids))
    if (index < 0).any():
        raise DataError(f"runs: no row for runs {name_some(ids[index < 0])} of {source}; add them, or leave the table out")
    known = runs.iloc[index].reset_index(drop=True)
    if "status" in known:
        bad = ~known["status"].isin(STATUSES)
        if bad.any():
            raise DataError(
                f"runs: column 'status' is not one of {', '.join(STATUSES)} in runs {name_some(ids[bad.to_numpy()])}"
            )
    return known


def _infer_status(
    codes: np.ndarray, t: np.ndarray, y: np.ndarray, n: int, horizon: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Points to keep and status: diverged at the first value that is not finite, completed at the horizon."""
    finite = np.isfinite(y)
    broken = np.where(finite, np.inf, t)
    first_bad = np.full(n, np.inf)
    np.minimum.at(first_bad, codes, broken)
    keep = t <= first_bad[codes]
    t_last = np.full(n, -np.inf)
    np.maximum.at(t_last, codes, t)
    end = t.max() if horizon is None else horizon
    status = np.where(t_last >= end, "completed", "running").astype(object)
    status[np.isfinite(first_bad)] = "diverged"
    return keep, status


def _optional(known: pd.DataFrame | None, column: str) -> np.ndarray | None:
    if known is None or column not in known:
        return None
    values = known[column].astype(object)
    return values.where(values.notna(), None).to_numpy(dtype=object)
