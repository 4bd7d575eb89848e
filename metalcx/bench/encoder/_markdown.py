"""The page of the encoder benchmark, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from metalcx import __version__
from metalcx.bench._markdown import table
from metalcx.bench.encoder._fits import SEEDS
from metalcx.bench.encoder._timing import TIMING
from metalcx.bench.encoder._work import Study


def page(study: Study, frames: Mapping[str, pd.DataFrame]) -> str:
    """All tables that there are, and what made them.

    Args:
        study: The benchmark.
        frames: ``encoder`` and ``gains``, ``across`` and ``across_gains``, and ``.parts`` of both, as far as they are.
    """
    lines = ["# Encoder benchmark", "", _head(study, frames), ""]
    if "encoder" in frames:
        for (space, split, table), part in frames["encoder"].groupby(["space", "split", "table"], sort=False):
            first = part.iloc[0]
            about = f"{first.labels:.0f} labels, split by {split}, {first.test:.0f} ranked"
            lines += ["", f"## {space}, {table}: {about}", "", *_scores(part)]
        lines += ["", "## What pre-training adds, in paired differences", "", *_gains(frames["gains"])]
    if "across" in frames:
        for (space, split, table, labels), part in _in_order(frames["across"]):
            about = f"{labels} labels, with those of other datasets and without, split by {split}"
            lines += ["", f"## {space}, {table}: {about}", ""]
            lines += _scores(part)
        lines += ["", "## What other datasets add, in paired differences", "", *_gains(frames["across_gains"])]
    path = study.out / TIMING
    if path.exists():
        lines += ["", "## Seconds to encode, all in one run", "", *_table(pd.read_csv(path).round(4))]
    return "\n".join(lines) + "\n"


def _in_order(across: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    """The fewest labels first."""
    ordered = across.sort_values("labels", kind="stable")
    return ordered.groupby(["space", "split", "table", "labels"], sort=False)


def _head(study: Study, frames: Mapping[str, pd.DataFrame]) -> str:
    """What made the tables: command, version, seeds, settings, time."""
    parts = [frames[name] for name in ("encoder.parts", "across.parts") if len(frames[name])]
    fits = sum(part["cpu"].sum() for part in parts) / 3600
    effort = study.effort
    return (
        f"Made by `metalcx bench encoder --data DIR --out DIR --epochs {effort.pretrain.epochs} "
        f"--tune {effort.finetune.epochs} --hidden {effort.hidden}{_options(study, parts)}`, metalcx {__version__}; "
        f"seeds {', '.join(map(str, SEEDS))}, each with three permutations. Seconds are of one run on one table; of "
        f"encoders, which learn together, a share. Processor hours: {fits:.2f} for learning "
        f"from labels and ranking, {_trained(study):.2f} for pre-training. Graphs that `@all` has seen: "
        f"{', '.join(study.union)}. Pre-training: {json.dumps(asdict(effort.pretrain), sort_keys=True)}."
    )


def _options(study: Study, parts: list[pd.DataFrame]) -> str:
    """Tables that were asked for, and devices other than the processor."""
    devices = sorted({device for part in parts for device in part["device"].unique()} - {"cpu"})
    return "".join([f" --table {name}" for name in study.tables] + [f" --device {name}" for name in devices])


def _trained(study: Study) -> float:
    """Processor hours of all encoders; of one that was killed meanwhile, those since."""
    paths = (study.out / "encoders").glob("*/metrics.json")
    return sum(json.loads(path.read_text(encoding="utf-8")).get("cpu", 0.0) for path in paths) / 3600


def _scores(part: pd.DataFrame) -> list[str]:
    """Rows with the highest tau first, in percent."""
    shown = part.sort_values("tau", ascending=False)
    columns: dict[str, Any] = {"row": shown.row}
    if "transfer" in part:
        columns["other datasets"] = shown.transfer.map({True: "yes", False: "no"})
    columns |= {"runs": shown.runs, "tau": [f"{100 * t:.1f} ± {100 * s:.1f}" for t, s in _pairs(shown)]}
    for name in ("p@1%", "p@5%", "p@10%"):
        columns[name] = (100 * shown[name]).map("{:.1f}".format)
    columns["seconds"] = shown.seconds.map("{:.2f}".format)
    return _table(pd.DataFrame(columns))


def _pairs(shown: pd.DataFrame) -> Iterable[tuple[float, float]]:
    return zip(shown["tau"], shown["tau_sd"], strict=True)


def _gains(found: pd.DataFrame) -> list[str]:
    """Points of percent, with the interval of 95 %."""
    if found.empty:
        return ["None yet: they need two runs of both sides."]
    wanted = ("space", "split", "table", "labels", "transfer", "row", "over", "runs")
    columns: dict[str, Any] = {name: found[name] for name in wanted if name in found}
    for name in ("tau", "p@1%", "p@5%", "p@10%"):
        spans = zip(found[name], found[f"{name}_low"], found[f"{name}_high"], strict=True)
        columns[name] = [f"{100 * a:+.1f} [{100 * b:+.1f}, {100 * c:+.1f}]" for a, b, c in spans]
    columns["p"] = found["tau_p"].map(lambda p: "" if pd.isna(p) else f"{p:.2g}")
    return _table(pd.DataFrame(columns))


def _table(frame: pd.DataFrame) -> list[str]:
    return table(list(frame.columns), frame.to_numpy(dtype=object).tolist())
