"""The encoder benchmark: how well architectures are ranked from a hundredth of the labels, and how fast."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.bench._encoder_methods import KINDS, METHODS, Effort, measures, pretrained, scores
from metalcx.bench._encoder_spaces import SPACES, Space, Table, read_space, split
from metalcx.encoders import CountTable, EncoderConfig, FlowSurrogate, new_encoder
from metalcx.encoders._pretrain import Progress
from metalcx.errors import DataError, name_some

#: Of weights and training, as published; each with as many permutations of the architectures.
SEEDS = (21, 2021, 202121)
PERMUTATIONS = 3

#: Architectures that are encoded against the clock.
TIMED = 10_000


def run_encoder(
    data: Path,
    out: Path,
    *,
    spaces: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    effort: Effort | None = None,
    by_group: bool = True,
    runs: int = 9,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run what is missing of the benchmark and write its tables; goes on where an earlier call ended.

    Each run has a seed of three and a permutation of three: run i the i % 3rd seed and the i // 3rd permutation.

    Args:
        data: Folder of the corpora.
        out: Folder for tables, encoders, and for parts from which a later call goes on.
        spaces: Corpora; those of the protocol that are there by default.
        methods: Rows; all by default.
        effort: Settings of training; those of one call must be those of the next.
        by_group: Whether isomorphic architectures stay on one side of a split.
        runs: Runs, at most nine.
        progress: Called with (done, total, note).

    Returns:
        Rows of `encoder.csv`: one for each table and method, means over runs.

    Raises:
        DataError: On an unknown method, if no corpus is there, or `out` holds parts of other settings.
    """
    chosen, effort = tuple(methods or METHODS), effort or Effort()
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise DataError(f"no row is called {name_some(unknown)}; there is {', '.join(METHODS)}")
    names = [name for name in spaces or SPACES if (data / name).is_dir()]
    if not names or (spaces and len(names) < len(spaces)):
        raise DataError(
            f"{data}: lacks {name_some(sorted(set(spaces or SPACES) - set(names)))}; give the corpora's folder"
        )
    _claim(out, effort, by_group)
    found = []
    for name in names:
        space = read_space(data / name, by_group=by_group)
        for number, (method, run) in enumerate((method, run) for method in chosen for run in range(runs)):
            found += _part(space, method, run, effort, out, progress)
            if progress is not None:
                progress(number + 1, len(chosen) * runs, f"{name}, {method}")
    rows = list(summary(found))
    _write(out / "encoder.csv", rows)
    return rows


def _part(
    space: Space, method: str, run: int, effort: Effort, out: Path, progress: Progress | None
) -> list[dict[str, Any]]:
    """Measures of a row on every table of a space in one run, measured or read."""
    name = f"{space.name}-{method.replace('/', '-')}-{run}"
    path = out / "parts" / f"{name}.json"
    if path.exists():
        return list(json.loads(path.read_text(encoding="utf-8")))
    seed, permutation = SEEDS[run % len(SEEDS)], run // len(SEEDS)
    seen = _seen(space, effort, permutation)
    called = f"{space.name}-{method.replace('/', '-')}-{seed}" + (f"-half{permutation}" if effort.inductive else "")
    encoder = pretrained(space, method, effort, seed, out / "encoders" / called, seen, progress)
    rows = []
    for table in space.tables:
        parts = split(space, table, permutation)
        start = time.perf_counter()
        score = scores(space, table, parts, method, encoder, effort, seed)
        known = {"space": space.name, "table": table.name, "method": method, "run": run}
        spent = {"labels": len(parts.train), "test": len(parts.test), "seconds": time.perf_counter() - start}
        rows.append({**known, **measures(score, table.values[parts.test]), **spent})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    os.replace(partial, path)
    return rows


def _seen(space: Space, effort: Effort, permutation: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Graphs that pre-training may see: all, or the half of the groups that come first in this permutation."""
    everything = np.arange(len(space.batch))
    if not effort.inductive:
        return everything
    whole = Table("", everything, np.zeros(len(everything)))
    parts = split(space, whole, permutation, labels=len(everything) // 2)
    return np.sort(parts.train)


def summary(found: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Means over runs, and against the same encoder without pre-training the paired difference of tau.

    The p-value is that of Student's paired test over runs, two-sided.
    """
    from scipy.stats import ttest_rel

    taus: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in found:
        taus.setdefault((row["space"], row["table"], row["method"]), []).append(row)
    for (space, table, method), rows in taus.items():
        numbers = [key for key, value in rows[0].items() if isinstance(value, (int, float)) and key != "run"]
        row = {"space": space, "table": table, "method": method, "runs": len(rows)}
        row |= {name: float(np.mean([r[name] for r in rows])) for name in numbers}
        row["tau_sd"] = float(np.std([r["tau"] for r in rows]))
        plain = taus.get((space, table, f"{method.split('/')[0]}/none"), [])
        if "/" in method and not method.endswith("/none") and len(plain) == len(rows) > 1:
            pair = [[r["tau"] for r in sorted(side, key=lambda r: r["run"])] for side in (rows, plain)]
            row["tau_gain"] = float(np.mean(pair[0]) - np.mean(pair[1]))
            row["p"] = float(ttest_rel(*pair).pvalue)
        yield row


def time_encoders(folder: Path, hidden: int = 128, repeat: int = 3) -> list[dict[str, Any]]:
    """Seconds to encode the first 10,000 architectures of a corpus, all encoders in one run, least of `repeat`.

    Graphs are in memory; `cold` begins with `ArchGraph`, `warm` with a batch that knows its descriptions.
    """
    from metalcx.corpora import Corpus
    from metalcx.encoders import GraphBatch
    from metalcx.graphs import ArchGraph

    texts = Corpus.open(folder).architectures["graph"].dropna().head(TIMED)
    graphs = [ArchGraph.from_json(text) for text in texts]
    encoders = {kind: new_encoder(EncoderConfig(kind, hidden)).encode for kind in KINDS}
    every: dict[str, Callable[[Any], Any]] = {**encoders, "counts": CountTable.of(graphs).encode}
    every["surrogate"] = FlowSurrogate(k=7, std=0.1)
    warm = GraphBatch.from_graphs(graphs)
    rows = []
    for name, encode in every.items():
        encode(warm)
        spent = {"cold": float("inf"), "warm": float("inf")}
        for _ in range(repeat):
            for key, given in (("cold", graphs), ("warm", warm)):
                start = time.perf_counter()
                encode(given)
                spent[key] = min(spent[key], time.perf_counter() - start)
        rows.append({"encoder": name, "graphs": len(graphs), **spent})
    return rows


def _claim(out: Path, effort: Effort, by_group: bool) -> None:
    """Write down which settings the parts in `out` are of, or refuse to mix."""
    path, settings = out / "settings.json", {**asdict(effort), "by_group": by_group}
    text = json.dumps(settings, sort_keys=True)
    out.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DataError(f"{out}: holds parts of other settings; name another folder, or delete that one")
    path.write_text(text, encoding="utf-8")


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    fields = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
