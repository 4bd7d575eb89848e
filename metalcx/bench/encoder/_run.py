"""The encoder benchmark: how well architectures are ranked from a hundredth of the labels, and how fast."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from metalcx._device import check_device
from metalcx.bench._files import claim
from metalcx.bench.encoder._rows import ACROSS, METHODS, ON_REQUEST, Effort, chosen
from metalcx.bench.encoder._spaces import CORPORA, SPACES, folder_of
from metalcx.bench.encoder._work import Study, Unit, each, finish, prepare, together
from metalcx.encoders._pretrain import Progress
from metalcx.errors import DataError, name_some

#: Where labels on one dataset follow those on others.
SEVERAL = ("nas-bench-graph",)


def run_encoder(
    data: Path,
    out: Path,
    *,
    spaces: Sequence[str] | None = None,
    tables: Sequence[str] = (),
    methods: Sequence[str] | None = None,
    effort: Effort | None = None,
    by_group: bool = True,
    across: bool = False,
    further: Sequence[str] = (),
    runs: int = 9,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run what is missing of the benchmark and write its tables; goes on where an earlier call ended.

    Each run has a seed of three and a permutation of three: run i the i % 3rd seed and the i // 3rd permutation.
    Encoders of one kind are trained together; which are left to train decides their draws of dropout.
    A row is left out on a space that lacks what it is about, such as a zero-cost proxy. The tables are of all that
    `out` holds, so that several calls, each of some rows or by another split, make one page.

    Args:
        data: Folder of the corpora.
        out: Folder for tables, encoders, and for parts from which a later call goes on.
        spaces: Corpora, with ``-unpruned`` behind it one of cells as they were published; those of the protocol that
            are there by default.
        tables: Tables to judge on, such as ``cifar10@200``; all by default. A space that has none of them is left out.
        methods: Rows; the protocol's by default. ``gin/both@half`` has seen half of the graphs in pre-training, those
            with labels among them, and ``gin/both@all`` those of all spaces. ``gin/many`` has ranked by several
            proxies, and ``gin+proxies/both`` reads them beside its embedding.
        effort: Settings of training; those of one call must be those of the next.
        by_group: Whether isomorphic architectures stay on one side of a split.
        across: Judge on few labels on one dataset after many on the others instead, by default on NAS-Bench-Graph.
        further: Corpora whose graphs ``@all`` sees beside those of the protocol.
        runs: Runs, at most nine.
        workers: Processes; the result does not depend on it.
        progress: Called with (done, total, note).

    Returns:
        Rows of `encoder.csv`, or of `across.csv`: means over runs for each table and method.

    Raises:
        DataError: On an unknown method, table or device, if a corpus is not there, or `out` holds parts of other
            settings.
    """
    from metalcx.bench.encoder._tables import write_encoder_tables

    rows = chosen(methods, ACROSS) if across else chosen(methods, METHODS, ON_REQUEST)
    default = SEVERAL if across else SPACES
    names = [name for name in spaces or default if folder_of(data / name).is_dir()]
    needed = {*(spaces or (() if names else default)), *further}
    missing = sorted(name for name in needed if not folder_of(data / name).is_dir())
    if missing:
        raise DataError(f"{data}: lacks {name_some(missing)}; give the corpora's folder")
    check_device((effort or Effort()).device)
    union = tuple(name for name in (*CORPORA, *further) if (data / name).is_dir())
    study = Study(data, out, effort or Effort(), union, tuple(tables))
    names = [name for name in names if _has_tables(study, name)] if tables else names
    if not names:
        raise DataError(f"no space has a table called {name_some(tables)}; the page of an earlier call names them")
    _claim(study)
    units = [Unit(name, by_group, row, run, across) for name in names for row in rows for run in range(runs)]
    _work(study, [unit for unit in units if not study.part(unit).exists()], workers, progress)
    return write_encoder_tables(study, across)


def _has_tables(study: Study, name: str) -> bool:
    return any(table.name in study.tables for table in study.space(name).tables)


def _work(study: Study, units: list[Unit], workers: int, progress: Progress | None) -> None:
    """First every encoder that some unit needs, each once, then the units."""
    courses, rows = study.courses(units), together(units)
    total, done = len(courses) + len(rows), 0
    for work, lots in ((partial(prepare, study), courses), (partial(finish, study), rows)):
        for note in each(work, lots, workers):
            done += 1
            if progress is not None:
                progress(done, total, note)


def _claim(study: Study) -> None:
    """Write down which settings the parts are of, or refuse to mix."""
    settings = {**asdict(replace(study.effort, device="")), "union": study.union, "tables": study.tables}
    text = json.dumps(settings, sort_keys=True)
    complaint = f"{study.out}: holds parts of other settings; name another folder, or delete that one"
    claim(study.out / "settings.json", text, complaint)
