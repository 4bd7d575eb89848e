"""From parts of the encoder benchmark to its tables: means over runs, and paired differences with intervals."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx.bench._files import write_whole
from metalcx.bench.encoder._markdown import page
from metalcx.bench.encoder._measures import MEASURES
from metalcx.bench.encoder._proxies import FloatArray
from metalcx.bench.encoder._rows import OWN, SHIPPED, Row
from metalcx.bench.encoder._work import Study

#: What is drawn from the differences of runs, for an interval.
DRAWS = 10_000

#: What a part of the protocol on one dataset, and of that across datasets, is about.
ALONE = ["space", "split", "table"]
ACROSS = ["space", "split", "table", "labels", "transfer"]

#: In place of a table's name: all tables of the space, averaged within a run.
MEAN = "mean"


def write_encoder_tables(study: Study, across: bool = False) -> list[dict[str, Any]]:
    """Read all parts and write `encoder.csv`, `gains.csv`, `across.csv`, `across_gains.csv` and `tables.md`.

    Args:
        study: The benchmark.
        across: Which table to return.

    Returns:
        Rows of `across.csv`, or of `encoder.csv`.
    """
    frames: dict[str, pd.DataFrame] = {}
    for name, keys in (("encoder", ALONE), ("across", ACROSS)):
        found = _read(study.out / "parts", name == "across")
        frames[f"{name}.parts"] = found
        if len(found):
            with_mean = _with_mean(found, keys)
            frames[name] = pd.DataFrame(summary(with_mean, keys))
            gained = "gains" if name == "encoder" else "across_gains"
            frames[gained] = pd.DataFrame(gains(with_mean, keys))
            for table in (name, gained):
                write_whole(study.out / f"{table}.csv", frames[table].to_csv(index=False, float_format="%.5g"))
    write_whole(study.out / "tables.md", page(study, frames))
    asked = frames.get("across" if across else "encoder", pd.DataFrame())
    return list(json.loads(asked.to_json(orient="records")))


def summary(found: pd.DataFrame, keys: list[str]) -> Iterator[dict[str, Any]]:
    """Means over runs of each row, and how much tau differs between them."""
    for about, rows in found.groupby([*keys, "row"], sort=False):
        numbers = [name for name in ("labels", "test", *MEASURES, "seconds", "cpu") if name not in keys]
        means = {name: float(rows[name].mean()) for name in numbers}
        yield (
            dict(zip([*keys, "row"], about, strict=True))
            | {"runs": len(rows)}
            | means
            | {"tau_sd": float(rows["tau"].std(ddof=0))}
        )


def gains(found: pd.DataFrame, keys: list[str]) -> Iterator[dict[str, Any]]:
    """Paired differences over runs: what pre-training adds, what other graphs in it do, and what other datasets do.

    Intervals are of 95 %, from runs drawn again; p is that of Student's paired test, two-sided. Runs share seeds and
    permutations, so that both say how sure the difference is on these splits.
    """
    indexed = {key: rows.set_index("run").sort_index() for key, rows in found.groupby([*keys, "row"], sort=False)}
    for about, rows in indexed.items():
        for over, other in _others(about, keys):
            if other in indexed and set(indexed[other].index) == set(rows.index) and len(rows) > 1:
                known = dict(zip([*keys, "row"], about, strict=True)) | {"over": over, "runs": len(rows)}
                yield known | {k: v for name in MEASURES for k, v in _paired(rows, indexed[other], name).items()}


def _others(about: tuple[Any, ...], keys: list[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """What a row is compared with: the names of that, and where it stands."""
    place, row = about[:-1], Row.parse(about[-1])
    if row.pretrained or row.kind == SHIPPED:
        yield row.plain, (*place, row.plain)
    if row.pool != OWN:
        own = about[-1].partition("@")[0]
        yield own, (*place, own)
    if "transfer" in keys and about[keys.index("transfer")]:
        at = keys.index("transfer")
        yield "without transfer", (*about[:at], False, *about[at + 1 :])


def _paired(rows: pd.DataFrame, others: pd.DataFrame, name: str) -> dict[str, float]:
    from scipy.stats import ttest_rel

    gap = (rows[name] - others[name]).to_numpy()
    low, high = interval(gap)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = float(ttest_rel(rows[name], others[name]).pvalue) if np.ptp(gap) > 0 else float("nan")
    return {name: float(gap.mean()), f"{name}_low": low, f"{name}_high": high, f"{name}_p": p}


def interval(gap: FloatArray, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of differences, shape (runs,), with runs drawn again."""
    drawn = np.random.default_rng(seed).integers(0, len(gap), (DRAWS, len(gap)))
    low, high = np.quantile(gap[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)


def _with_mean(found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Further rows for spaces of several tables: the mean over those, in each run."""
    rest = [key for key in keys if key != "table"]
    several = found.groupby("space")["table"].transform("nunique") > 1
    if not several.any():
        return found
    means = found[several].groupby([*rest, "row", "run"], sort=False, as_index=False).mean(numeric_only=True)
    return pd.concat([found, means.assign(table=MEAN)], ignore_index=True)


def _read(folder: Path, across: bool) -> pd.DataFrame:
    paths = [path for path in sorted(folder.glob("*.json")) if path.name.startswith("across-") == across]
    found = pd.DataFrame([row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))])
    return found.sort_values("run", kind="stable") if len(found) else found
