"""From parts of a benchmark to its tables: errors a task, gains with intervals, and where the forecaster loses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx import __version__
from metalcx.bench._bootstrap import gain
from metalcx.bench._files import write_whole
from metalcx.bench._markdown import transfer_page
from metalcx.bench._study import STOPPING_PART
from metalcx.bench.transfer._order import order_page, ordered

CONTROL = "med5"

#: Who is compared with all others: the first of these that was judged.
OURS = ("metalcx-ensemble", "metalcx")

#: The simple methods among which the best is taken where a forecaster is said to lose.
SIMPLE = ("last", "shift", "affine", "theil-sen", "ridge", "gp", "med5")

#: A loss is an error above this many times the best simple method's.
LOSS = 1.5

SCORES = ["error", "tau", "crps_final", "crps_curve", "cov50", "cov80", "cov95", "seconds"]


def write_tables(
    out: Path,
    forecasters: Sequence[str],
    seeds: int,
    earlier: pd.DataFrame | None = None,
    described: Collection[str] | None = None,
) -> dict[str, Any]:
    """Read all parts under `out` and write the five tables, as CSV and as `tables.md`; returns the summary.

    Args:
        out: Folder of the benchmark.
        forecasters: Those whose parts are there.
        seeds: Training seeds.
        earlier: Rows of an earlier `errors.csv` of other forecasters on the same tasks.
        described: Tasks whose runs come with configurations or architectures; all by default.
    """
    parts = _read(out / "parts", forecasters, seeds)
    errors = _by_task(parts)
    if earlier is not None:
        errors = pd.concat([errors, earlier[errors.columns]], ignore_index=True)
    summary = _summary(errors)
    loses = _loses(errors)
    versus, order = paired(errors, ours(errors)), ordered(parts, described)
    tables = {"errors": errors, "summary": summary, "versus": versus, "loses": loses, "order": order}
    for name, frame in tables.items():
        write_whole(out / f"{name}.csv", frame.to_csv(index=False, float_format="%.5g"))
    taken = "" if earlier is None else f"From an earlier call: {', '.join(sorted(earlier.forecaster.unique()))}.\n\n"
    page = transfer_page(summary, versus, loses, LOSS, order_page(order) if len(order) else ())
    write_whole(out / "tables.md", _head(parts, forecasters, seeds) + taken + page)
    return {"out": str(out), "forecasters": list(forecasters), "summary": summary.to_dict("records")}


def _read(folder: Path, forecasters: Iterable[str], seeds: int) -> pd.DataFrame:
    wanted = set(forecasters)
    # Those of the stopping benchmark, which may share the folder, are about something else.
    own = [path for path in sorted(folder.glob("*.csv")) if not path.name.startswith(STOPPING_PART)]
    frames = [pd.read_csv(path) for path in own]
    rows = pd.concat(frames, ignore_index=True)
    return rows[rows.forecaster.isin(wanted) & (rows.seed < seeds)]


def _by_task(parts: pd.DataFrame) -> pd.DataFrame:
    """Means over draws, then cuts, then seeds; the protocol's order."""
    keys = ["end", "task", "family", "ragged", "forecaster", "K"]
    by_cut = parts.groupby([*keys, "seed", "cut"], as_index=False)[SCORES].mean()
    by_seed = by_cut.groupby([*keys, "seed"], as_index=False)[SCORES].mean()
    frame = by_seed.groupby(keys, as_index=False)[SCORES].mean()
    for cut, rows in by_cut.groupby("cut"):
        mean = rows.groupby(keys)["error"].mean().rename(f"error_cut{cut:g}")
        frame = frame.merge(mean, left_on=keys, right_index=True, how="left")
    return frame


def _summary(errors: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (end, k), part in errors.groupby(["end", "K"]):
        for group, chosen in (("pooled", part), ("fixed", part[~part.ragged]), ("ragged", part[part.ragged])):
            wide = chosen.pivot(index=["task", "family"], columns="forecaster", values="error").dropna()
            for name in wide.columns if len(wide) else ():
                own = chosen[(chosen.forecaster == name) & chosen.task.isin(wide.index.get_level_values("task"))]
                rows.append({"end": end, "K": k, "group": group, "forecaster": name} | _row(name, wide, own, chosen))
    return pd.DataFrame(rows)


def _row(name: str, wide: pd.DataFrame, own: pd.DataFrame, chosen: pd.DataFrame) -> dict[str, Any]:
    family = wide.index.get_level_values("family").tolist()
    row: dict[str, Any] = {"tasks": len(wide), "median_error": float(wide[name].median())}
    for cut in sorted(c for c in map(str, own) if c.startswith("error_cut")):
        row[f"median_{cut}"] = float(own[cut].median())
    if CONTROL in wide:
        g = gain(wide[name].to_numpy(), wide[CONTROL].to_numpy(), family)
        row |= {"gain": g.value, "low": g.tasks[0], "high": g.tasks[1]}
        row |= {"family_low": g.families[0], "family_high": g.families[1]}
    else:
        row |= dict.fromkeys(("gain", "low", "high", "family_low", "family_high"), np.nan)
    row |= {score: float(own[score].mean()) for score in ("cov50", "cov80", "cov95", "tau", "seconds")}
    for score in ("crps_final", "crps_curve"):
        both = chosen.pivot(index="task", columns="forecaster", values=score)
        if CONTROL in both and both[name].notna().any():
            logs = np.log((both[name] + 1e-6) / (both[CONTROL] + 1e-6))
            row[f"{score}_gain"] = 1.0 - float(np.exp(logs.mean()))
    if "last" in wide:
        taus = chosen.pivot(index="task", columns="forecaster", values="tau")
        row["tau_over_last"] = float((taus[name] - taus["last"]).mean())
    return row


def paired(errors: pd.DataFrame, own: str, measure: str = "error") -> pd.DataFrame:
    """Gain of `own` over each other forecaster at each run's own end, on all tasks that both have.

    Args:
        errors: As in `errors.csv`.
        own: A forecaster of it.
        measure: Column of which less is better.

    Returns:
        A row a K and other forecaster, with 95 % intervals over tasks and over families.
    """
    rows = []
    for k, part in errors[errors.end == "own"].groupby("K"):
        wide = part.pivot(index=["task", "family"], columns="forecaster", values=measure)
        for name in wide.columns.drop(own) if own in wide else ():
            pair = wide[[own, name]].dropna()
            family = pair.index.get_level_values("family").tolist()
            g = gain(pair[own].to_numpy(), pair[name].to_numpy(), family)
            row = {"K": k, "over": name, "tasks": len(pair), "gain": g.value, "low": g.tasks[0], "high": g.tasks[1]}
            rows.append(row | {"family_low": g.families[0], "family_high": g.families[1]})
    return pd.DataFrame(rows, columns=["K", "over", "tasks", "gain", "low", "high", "family_low", "family_high"])


def ours(errors: pd.DataFrame) -> str:
    """The forecaster of which the tables say what it gains over others and where it loses."""
    present = set(errors["forecaster"])
    return next((name for name in OURS if name in present), OURS[-1])


def _loses(errors: pd.DataFrame) -> pd.DataFrame:
    """Each (task, K, cut) in which `ours` errs above `LOSS` times the best simple method, in the column metalcx."""
    name = ours(errors)
    own = errors[errors.end == "own"].drop(columns=SCORES)
    cuts = [c for c in own if str(c).startswith("error_cut")]
    long = own.melt(["task", "ragged", "forecaster", "K"], cuts, "cut", "error")
    long["cut"] = long["cut"].str.removeprefix("error_cut")
    wide = long.pivot(index=["task", "ragged", "K", "cut"], columns="forecaster", values="error")
    simple = wide[[method for method in SIMPLE if method in wide]]
    if name not in wide or simple.empty:
        return pd.DataFrame(columns=["task", "ragged", "K", "cut", "metalcx", "best", "best_simple", "ratio"])
    frame = pd.DataFrame(
        {"metalcx": wide[name], "best": simple.idxmin(axis=1), "best_simple": simple.min(axis=1)}
    ).reset_index()
    frame["ratio"] = frame["metalcx"] / (frame["best_simple"] + 1e-9)
    return frame[frame["ratio"] > LOSS].sort_values("ratio", ascending=False)


def _head(parts: pd.DataFrame, forecasters: Sequence[str], seeds: int) -> str:
    """What made the tables: command, version, seeds, time."""
    names = " ".join(f"--forecaster {name}" for name in forecasters)
    hours = parts["cpu"].sum() / 3600 if "cpu" in parts else 0.0
    counted = int(parts["cpu"].notna().sum()) if "cpu" in parts else 0
    spent = f"{hours:.2f} processor hours, training included, over the {counted} of {len(parts)} rows that tell theirs"
    return (
        f"Made by `metalcx bench transfer --data DIR --out DIR --seeds {seeds} {names}`, metalcx {__version__}; "
        f"training seeds 0 to {seeds - 1}; {parts.task.nunique()} tasks of {parts.family.nunique()} families. "
        f"Adapting and forecasting: {parts.seconds.sum() / 3600:.2f} hours. In all: {spent}.\n\n"
    )
