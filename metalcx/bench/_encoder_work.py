"""The pieces of work of the encoder benchmark, each written to a file of its own, in one process or in several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from metalcx.bench._encoder_across import judged_across
from metalcx.bench._encoder_fits import Known, inputs, judged, seed_of
from metalcx.bench._encoder_pools import Pool, encoder_of, folder_name, pretrained, seen, teaches
from metalcx.bench._encoder_rows import ALL, HALF, LOOKUP, Effort, Row
from metalcx.bench._encoder_spaces import Space, read_space
from metalcx.bench._files import write_whole
from metalcx.corpora.build._threads import one_thread


@dataclass(frozen=True)
class Unit:
    """One piece of work, written to one file: a row on all tables of a space in one run."""

    space: str
    by_group: bool
    row: str
    run: int
    across: bool

    @property
    def file(self) -> str:
        """Name of its part."""
        about = ("across-" if self.across else "") + self.space + ("" if self.by_group else "-by-row")
        return f"{about}-{self.row.replace('/', '-')}-{self.run}.json"


@dataclass(frozen=True)
class Study:
    """Everything that a unit needs, the same in all processes.

    Args:
        data: Folder of the corpora.
        out: Folder of the benchmark.
        effort: Settings.
        union: Corpora whose graphs ``@all`` sees.
    """

    data: Path
    out: Path
    effort: Effort
    union: tuple[str, ...]

    def part(self, unit: Unit) -> Path:
        """The file of a unit."""
        return self.out / "parts" / unit.file

    def encoder(self, unit: Unit) -> Path:
        """The folder of the encoder that a unit begins with; the same for units that share one."""
        return self.out / "encoders" / folder_name(unit.space, unit.by_group, Row.parse(unit.row), *seed_of(unit.run))

    def seen(self, unit: Unit) -> list[Space]:
        """The spaces that pre-training sees for a unit; of a space that is not among all, nothing."""
        if Row.parse(unit.row).pool == ALL:
            return [_space(self.data / name, True) for name in self.union] if unit.space in self.union else []
        return [_space(self.data / unit.space, unit.by_group)]


def prepare(study: Study, unit: Unit) -> str:
    """Pre-train the encoder of a unit, if there is anything to learn."""
    row, (seed, permutation), folder = Row.parse(unit.row), seed_of(unit.run), study.encoder(unit)
    spaces = study.seen(unit)
    if teaches(spaces, row):
        graphs = Pool.of(spaces, seen(spaces[0], permutation) if row.pool == HALF else None)
        pretrained(graphs, row, study.effort, seed, folder)
    return f"pre-training {folder.name}"


def finish(study: Study, unit: Unit) -> str:
    """Measure a unit and write its part, whole or not at all."""
    if teaches(study.seen(unit), Row.parse(unit.row)):
        space = _space(study.data / unit.space, unit.by_group)
        measure = judged_across if unit.across else judged
        path = study.part(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = list(measure(space, unit.row, unit.run, study.effort, _known(study, unit, space)))
        write_whole(path, json.dumps(rows))
    return unit.file.removesuffix(".json")


def _known(study: Study, unit: Unit, space: Space) -> Known:
    row = Row.parse(unit.row)
    if row.learned:
        return encoder_of(row, study.effort, seed_of(unit.run)[0], study.encoder(unit))
    return np.zeros((len(space.batch), 0)) if unit.row == LOOKUP else inputs(space, row, study.effort)


def each(work: Callable[[Unit], str], units: list[Unit], workers: int) -> Iterator[str]:
    """Do some work for every unit, in one thread: two processes share cores better than two times two threads."""
    if min(workers, len(units)) <= 1:
        with one_thread():
            yield from map(work, units)
        return
    with one_thread(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, unit) for unit in units]):
            yield future.result()


@lru_cache(maxsize=8)
def _space(folder: Path, by_group: bool) -> Space:
    """A space, read once a process."""
    return read_space(folder, by_group=by_group)
