"""Summaries of `results/srm_raw.csv`, beside published figures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/srm_table.py ../shared/data/baker2018"

LINEAR, RBF, FOREST, OLS = "nusvr-linear", "nusvr-rbf", "random-forest", "ols"
C10, SVHN, RESNET = "metaqnn_cifar10", "metaqnn_svhn", "deep_resnets_cifar10"
TINY, LSTM, ALEX = "deep_resnets_tinyimagenet", "lstm_ptb", "alexnet_imagenet"

#: R2 x 100 in the paper's tables (part, data, method, features).
PAPER = {
    ("table", C10, RBF): "94.22±.25",
    ("table", C10, LINEAR): "94.44±.14",
    ("table", C10, FOREST): "92.27±.91",
    ("table", C10, OLS): "93.22±1.1",
    ("table", TINY, RBF): "85.78±1.82",
    ("table", TINY, LINEAR): "91.8±1.1",
    ("table", TINY, FOREST): "91.37±2.18",
    ("table", TINY, OLS): "90.15±1.8",
    ("table", LSTM, RBF): "83.29±7.71",
    ("table", LSTM, LINEAR): "98.59±.8",
    ("table", LSTM, FOREST): "91.38±1.97",
    ("table", LSTM, OLS): "89.8±.16",
}
ABLATION = {
    C10: {"TS": 93.98, "AP": 27.45, "HP": 12.60, "TS+AP": 84.09, "AP+HP": 27.01, "TS+AP+HP": 94.44},
    TINY: {"TS": 86.52, "AP": 84.33, "HP": 8.78, "TS+AP": 88.82, "AP+HP": 81.71, "TS+AP+HP": 91.8},
    LSTM: {"TS": 97.81, "AP": 16.11, "HP": 3.98, "TS+AP": 96.92, "AP+HP": 15.97, "TS+AP+HP": 98.24},
}
DEPTH = {32: "80.66±3.8", 62: "84.58±2.7"}

#: An independent re-measurement on the same files: last, affine, linear, RBF, forest, OLS; RBF on AP+HP.
REMEASURED = {
    C10: ("49.9", "92.73±.12", "94.40±.11", "94.20±.22", "92.15±.24", "93.98±.18", "15.0"),
    SVHN: ("-23", "62.4±3.6", "64.2±2.0", "63.9±1.3", "63.8±1.4", "55.4±6.4", "28.3"),
    RESNET: ("-4039", "20.0±1.9", "44.3±1.4", "44.0±3.9", "43.2±1.2", "45.9±1.4", "15.2"),
    TINY: ("-932", "47.7±.8", "80.5±1.1", "86.9±.6", "86.0±1.0", "81.2±1.5", "88.6±1.3"),
    LSTM: ("35.8±29", "94.9±2.0", "95.8±2.3", "67.5±8.1", "29.1±28", "96.3±2.1", "24.1"),
    ALEX: ("-43", "22.6±1.0", "-2.1±10", "23.2±2.9", "51.1±1.6", "-3723", "70.3±3.3"),
}
ORDER = ("last", "affine", LINEAR, RBF, FOREST, OLS)


def summarise(folder: Path) -> None:
    """Write `srm_<part>.csv` for every part of which there are results; each file is replaced at once."""
    raw = pd.read_csv(folder / "srm_raw.csv")
    # The full feature set of the ablation is the table's own row.
    shared = raw[(raw.part == "table") & raw.method.isin([LINEAR, RBF]) & raw.data.isin(REMEASURED)]
    parts = dict(list(raw.groupby("part", sort=False)))
    if "ablation" in parts:
        both = pd.concat([parts["ablation"], shared.assign(part="ablation")])
        kept = parts["ablation"][["data", "method"]].drop_duplicates()
        parts["ablation"] = both.merge(kept, on=["data", "method"])
    for part, rows in parts.items():
        write(folder / f"srm_{part}.csv", table(rows))


def table(raw: pd.DataFrame) -> pd.DataFrame:
    """One row a (data, method, features, tau, K): means over repeats with standard errors."""
    rows = []
    for key, part in raw.groupby(["part", "data", "method", "features", "tau", "k"], sort=False):
        known = dict(zip(("part", "data", "method", "features", "tau", "k"), key, strict=True))
        n = len(part)
        known |= {"n_test": int(part.n_test.iloc[0]), "repeats": n, "r2": round(part.r2.mean(), 2)}
        known["r2_se"] = round(part.r2.std(ddof=1) / np.sqrt(n), 2) if n > 1 else ""
        known["r2_median"] = round(part.r2.median(), 2)
        known["kendall"] = round(part.kendall.mean(), 3)
        known["coverage80"] = "" if part.coverage80.isna().all() else round(part.coverage80.mean(), 3)
        known |= {"paper_r2": paper(known), "remeasured_r2": remeasured(known)}
        known["cpu_seconds"] = round(part.cpu_seconds.sum(), 1)
        known["version"] = " ".join(sorted(part.version.unique()))
        rows.append(known)
    return pd.DataFrame(rows).drop(columns="part")


def paper(row: dict[str, object]) -> object:
    """The paper's figure for a row, if it has one."""
    part, data = row["part"], str(row["data"])
    if part == "ablation":
        return ABLATION.get(data, {}).get(str(row["features"]), "")
    if part == "depth":
        return DEPTH[int(data.rsplit("=", 1)[1])] if row["method"] in (LINEAR, RBF) else ""
    return PAPER.get((part, data, row["method"]), "")  # type: ignore[call-overload]


def remeasured(row: dict[str, object]) -> str:
    """The re-measured figure for a row, if there is one."""
    known = REMEASURED.get(str(row["data"]))
    if known and row["part"] == "table" and row["method"] in ORDER:
        return known[ORDER.index(str(row["method"]))]
    return (
        known[-1] if known and row["part"] == "ablation" and (row["method"], row["features"]) == (RBF, "AP+HP") else ""
    )


def write(path: Path, frame: pd.DataFrame) -> None:
    temporary = path.with_suffix(".tmp")
    text = frame.to_csv(index=False, lineterminator="\n")
    temporary.write_text(f"# {COMMAND}; cpu seconds in all: {frame.cpu_seconds.sum():.0f}\n{text}")
    os.replace(temporary, path)
