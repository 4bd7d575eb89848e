"""The suggest benchmark: how many trainings it takes to find one of the best candidates on a dataset never seen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.bench._files import claim, write_whole
from metalcx.bench.suggest._choice import chosen_for
from metalcx.bench.suggest._pools import CORPORA, Pool, pools_of
from metalcx.bench.suggest._searchers import LAST, METHODS, ON_REQUEST, Chosen, Ended, Method, Oracle, transferred
from metalcx.bench.suggest._tables import FEWER, LARGE, write_suggest_tables
from metalcx.corpora import list_corpora
from metalcx.encoders import Encoder
from metalcx.encoders._pretrain import Progress
from metalcx.errors import DataError, name_some
from metalcx.transfer import Trust

#: Evaluations after which regret is told.
AFTER = (10, 50, LAST)

SEEDS = 30


def run_suggest(
    data: Path,
    out: Path,
    *,
    corpora: Sequence[str] | None = None,
    tasks: Sequence[str] = (),
    methods: Sequence[str] | None = None,
    seeds: int = SEEDS,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run what is missing of the benchmark and write its tables; goes on where an earlier call ended.

    A pool holds the candidates of one task with their finals; an evaluation reveals one. Nothing is learned from the
    target's family; where a corpus has many families, a quarter of them is held out together, and the first tasks of
    six of these are searched. Of `suggest`, design and exploring are chosen by searching source tasks.

    Args:
        data: Folder of the corpora; one that is not there may ship with metalcx.
        out: Folder for tables, and for parts from which a later call goes on.
        corpora: Corpora; the protocol's by default.
        tasks: Tasks to search; all by default.
        methods: Rows; the protocol's by default.
        seeds: Of which the median counts.
        encoder: Of architectures; without one, characteristics alone are read.
        progress: Called with (done, total, note).

    Returns:
        Rows of `suggest.csv`: medians over seeds for each task and method.

    Raises:
        DataError: On an unknown method, if a corpus is not there, or `out` holds parts of other settings.
    """
    known = METHODS | ON_REQUEST
    names = list(methods or METHODS)
    if unknown := [name for name in names if name not in known]:
        raise DataError(f"no method {name_some(unknown)}; there are {name_some(list(known), 20)}")
    shipped = {info.name for info in list_corpora()}
    wanted = list(corpora or CORPORA)
    missing = [name for name in wanted if not (data / name).is_dir() and name not in shipped]
    if missing:
        raise DataError(f"{data}: lacks {name_some(missing)}; give the corpora's folder")
    settings = {"seeds": seeds, "embedding": 0 if encoder is None else encoder.width}
    complaint = f"{out}: holds parts of other settings; name another folder, or delete that one"
    claim(out / "settings.json", json.dumps(settings), complaint)
    (out / "parts").mkdir(exist_ok=True)
    done = 0
    for behind, name in zip(reversed(range(len(wanted))), wanted, strict=True):
        pools = list(pools_of(data, name, encoder, tasks))
        # How many pools a corpus has is known once it is read: one that is not read yet counts as one.
        total = done + len(pools) + behind
        for pool in pools:
            _work(pool, names, out, seeds)
            done += 1
            if progress is not None:
                progress(done, total, pool.name)
    return write_suggest_tables(out)


def _work(pool: Pool, names: Sequence[str], out: Path, seeds: int) -> None:
    """Every row that is missing of a pool, each whole or not at all."""
    for name in names:
        part = out / "parts" / f"{pool.name.replace('/', '-')}-{name.replace('/', '-').replace(' ', '-')}.json"
        method = (METHODS | ON_REQUEST)[name]
        if part.exists() or (method.needs_sources and not pool.known_elsewhere):
            continue
        start = time.process_time()
        chosen = _chosen(pool, name, method, out)
        found = _measured(pool, method, chosen, seeds)
        about = {"corpus": pool.corpus, "task": pool.task, "method": name, "n": len(pool), "budget": method.budget}
        about |= {"sources": int(pool.fitter.fits.kept(pool.without).sum()), "cpu": time.process_time() - start}
        write_whole(part, json.dumps(about | found))


def _chosen(pool: Pool, name: str, method: Method, out: Path) -> Chosen:
    """What was chosen for the target on its sources, kept in a file of its own."""
    if name != "suggest" and method.chosen is None:
        return Chosen(Trust(), "bayes", 0.0)
    path = out / "chosen" / f"{pool.corpus}-{pool.without[0].replace('/', '-')}-{len(pool.without)}.json"
    if not path.exists():
        choice, lost = chosen_for(pool.fitter, pool.without)
        said = {"trust": choice.trust.to_dict(), "design": choice.design, "explore": choice.explore, "lost": lost}
        path.parent.mkdir(exist_ok=True)
        write_whole(path, json.dumps(said | {"without": pool.without}))
    said = json.loads(path.read_text(encoding="utf-8"))
    return Chosen(Trust(**said["trust"]), *(method.chosen or (said["design"], said["explore"])))


def _measured(pool: Pool, method: Method, chosen: Chosen, seeds: int) -> dict[str, Any]:
    """Of each seed the evaluations until one of the best is found, and regrets; seconds an evaluation."""
    thresholds = pool.thresholds()
    enough = min(max(thresholds.values()), float(pool.values.max()))
    measures = (*(f"top {name}" for name in thresholds), *(f"regret@{k}" for k in AFTER))
    found: dict[str, list[float]] = {measure: [] for measure in measures}
    seconds, steps = 0.0, 0
    if method.slow and len(pool) > LARGE:
        seeds = min(seeds, FEWER)
    if method.search is transferred and not chosen.explore and chosen.design != "rank":
        seeds = 1  # nothing is drawn
    for seed in range(seeds):
        ask = Oracle(pool.values, method.budget, enough)
        start = time.perf_counter()
        with suppress(Ended):
            method.search(pool, ask, seed, chosen)
        seconds, steps = seconds + time.perf_counter() - start, steps + len(ask.order)
        values = pool.values[ask.order]
        for name, least in thresholds.items():
            hits = np.flatnonzero(values >= least)
            found[f"top {name}"].append(float(hits[0] + 1) if len(hits) else float("inf"))
        best = pool.regret(np.maximum.accumulate(values))
        for k in AFTER:
            if len(pool) > k:
                found[f"regret@{k}"].append(float(best[min(k, len(best)) - 1]))
    plain = {name: [None if np.isinf(v) else v for v in values] for name, values in found.items() if values}
    return plain | {
        "seeds": seeds,
        "seconds": seconds / max(steps, 1),
        "design": chosen.design,
        "explore": chosen.explore,
    }
