"""`metalcx bench histories`: peak accuracy from a few epochs, by history of features and by everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx import __version__
from metalcx.bench._files import write_whole
from metalcx.bench._study import Progress
from metalcx.bench._tau import tau
from metalcx.bench.histories._scores import (
    CURVES,
    DRAWS,
    OURS,
    SUPPORT,
    JudgedTask,
    calibrations,
    estimates,
    history_forecasters,
    judged_tasks,
    scores,
)
from metalcx.bench.histories._tables import histories_page
from metalcx.corpora import open_corpus
from metalcx.curves._batch import FloatArray
from metalcx.histories import HistoryCorpus
from metalcx.protocol import Forecaster

#: Resamples of the queries behind an interval.
RESAMPLES = 200


def run_histories(
    path: str | Path | None,
    out: Path,
    *,
    sources: str | Path | None = None,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge on every task with all tasks of other families as sources, and write the tables.

    Args:
        path: A corpus with histories; the one that comes with metalcx by default.
        out: Folder of the tables.
        sources: The corpus with histories that is learned from; the same one by default.
        draws: Supports drawn a task.
        progress: Called with (done, total, what).

    Returns:
        The summary: mean tau by cut and method, and on how many tasks ours is ahead of all others.
    """
    data = HistoryCorpus.open(path)
    taught = data if sources is None else HistoryCorpus.open(sources)
    judged = list(judged_tasks(data))
    rows: list[dict[str, Any]] = []
    ahead: list[dict[str, Any]] = []
    kernels: dict[str, Any] = {}
    learned = calibrations(taught)
    for family in dict.fromkeys(j.family for j in judged):
        calibration = learned(family)
        kernels[family] = calibration.kernel
        others = _curve_forecasters(family)
        ours = history_forecasters(data, calibration, others["med5"])
        for j in (j for j in judged if j.family == family):
            found = [estimates(j, ours, others, draw) for draw in range(draws)]
            for draw, by_method in enumerate(found):
                head = {"task": j.name, "family": family, "cut": j.cut, "draw": draw}
                rows += [
                    head | {"method": m} | scores(value, j.peaks[asked], fc)
                    for m, (asked, value, fc) in by_method.items()
                ]
            ahead += _ahead(j, found)
            if progress is not None:
                progress(len({(r["task"], r["cut"]) for r in rows}), len(judged), f"{j.name} at {j.cut:g}")
    table, versus, cost = pd.DataFrame(rows), pd.DataFrame(ahead), _costs(judged)
    mean = table.groupby(["cut", "task", "method"], as_index=False).mean(numeric_only=True).drop(columns="draw")
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in (("scores", mean), ("versus", versus), ("cost", cost)):
        write_whole(out / f"{name}.csv", frame.to_csv(index=False, float_format="%.4g"))
    page = histories_page(mean, versus, cost, _head(data, taught, draws, kernels))
    write_whole(out / "tables.md", page)
    return {"out": str(out), "tau": mean.groupby(["cut", "method"])["tau"].mean().unstack("cut").to_dict("index")}


def _curve_forecasters(family: str) -> dict[str, Forecaster]:
    """Forecasters of curves that never saw the family."""
    from metalcx import hub
    from metalcx.forecasters import Baseline

    found: dict[str, Forecaster] = {name: Baseline(name) for name in CURVES[:2]}
    # Of what metalcx-base learned from, this corpus alone has families in common with tasks that have histories.
    learned = set(open_corpus("smallnets").tasks["family"])
    return found if family in learned else found | {CURVES[2]: hub.load(CURVES[2])}


def _ahead(judged: JudgedTask, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tau of ours less that of each other method, with a 95 % interval by redrawing queries, the same for both."""
    rng = np.random.default_rng(0)
    names = [name for name in found[0] if name != OURS[0]]
    differences: FloatArray = np.empty((RESAMPLES, len(names)))
    for i in range(RESAMPLES):
        # One draw of a support a resample, so that the interval holds the draw's chance as well.
        by_method = found[i % len(found)]
        asked = by_method[OURS[0]][0]
        again = rng.integers(0, len(asked), len(asked))
        peak = judged.peaks[asked][again]
        by_name = {name: tau(by_method[name][1][again], peak) for name in (OURS[0], *names)}
        differences[i] = [by_name[OURS[0]] - by_name[name] for name in names]
    low, high = np.quantile(differences, [0.025, 0.975], axis=0)
    full = [{name: tau(value, judged.peaks[asked]) for name, (asked, value, _) in f.items()} for f in found]
    mean = [float(np.mean([one[OURS[0]] - one[name] for one in full])) for name in names]
    head = {"task": judged.name, "cut": judged.cut}
    return [head | {"over": name, "tau": mean[i], "low": low[i], "high": high[i]} for i, name in enumerate(names)]


def _costs(judged: Sequence[JudgedTask]) -> pd.DataFrame:
    """What recording and proxies cost beside training, in epochs and as a share of the whole training."""
    rows = []
    for j in judged:
        seconds = j.curves.padded("seconds")
        whole, epoch = seconds.last, seconds.last / seconds.t_last
        spent = j.rows["recording"].to_numpy(np.float64), j.rows["proxies"].to_numpy(np.float64)
        row = {"task": j.name, "cut": j.cut, "runs": len(whole), "seconds": float(np.median(whole))}
        for name, part in zip(("recording", "proxies"), spent, strict=True):
            row |= {f"{name}_epochs": float(np.median(part / epoch)), f"{name}_share": float(np.median(part / whole))}
        rows.append(row)
    return pd.DataFrame(rows)


def _head(data: HistoryCorpus, taught: HistoryCorpus, draws: int, kernels: Mapping[str, Any]) -> str:
    tasks, other = data.corpus.tasks, taught is not data
    options = f" --data {data.corpus.name} --sources {taught.corpus.name}" if other else ""
    held = f"judged by what learned from {taught.corpus.name}" if other else "each family held out in turn"
    chosen = "; ".join(f"{name}: length {k.length:g}, noise {k.noise:g}, own {k.own:g}" for name, k in kernels.items())
    return (
        f"Made by `metalcx bench histories --out DIR{options}`, metalcx {__version__}: {data.corpus.n_runs} networks "
        f"on {len(tasks)} tasks of {tasks['family'].nunique()} families, {held}; {SUPPORT} finished runs as support, "
        f"{draws} draws, all other runs as queries, the same for all methods. Kernels, chosen on the sources: "
        f"{chosen}.\n"
    )
