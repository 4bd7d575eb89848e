"""The pieces of work of the encoder benchmark, each written to files of its own, in one process or in several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from metalcx.bench._files import write_whole
from metalcx.bench.encoder._across import judged_across
from metalcx.bench.encoder._fits import judged, seed_of
from metalcx.bench.encoder._pools import Course, Pool, encoder_of, pretrained, seen, teaches
from metalcx.bench.encoder._rows import ALL, HALF, Effort, Row
from metalcx.bench.encoder._spaces import Space, read_space
from metalcx.corpora.build._threads import one_thread
from metalcx.encoders import GraphEncoder


@dataclass(frozen=True)
class Unit:
    """A row on all tables of a space in one run, written to one file."""

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

    @property
    def course(self) -> Course:
        """What its encoder is pre-trained in."""
        return Course.of(self.space, self.by_group, Row.parse(self.row), seed_of(self.run)[1])


@dataclass(frozen=True)
class Study:
    """Everything that work needs, the same in all processes.

    Args:
        data: Folder of the corpora.
        out: Folder of the benchmark.
        effort: Settings.
        union: Corpora whose graphs ``@all`` sees.
        tables: Tables to judge on; all if there are none.
    """

    data: Path
    out: Path
    effort: Effort
    union: tuple[str, ...]
    tables: tuple[str, ...] = ()

    @property
    def encoders(self) -> Path:
        """Where encoders are kept."""
        return self.out / "encoders"

    def part(self, unit: Unit) -> Path:
        """The file of a unit."""
        return self.out / "parts" / unit.file

    def encoder(self, unit: Unit) -> Path:
        """The folder of the encoder that a unit begins with; the same for units that share one."""
        return self.encoders / unit.course.folder(Row.parse(unit.row).lesson, seed_of(unit.run)[0])

    def sees_something(self, unit: Unit) -> bool:
        """Whether there are graphs to pre-train on: not for a space that is not among all."""
        return Row.parse(unit.row).pool != ALL or unit.space in self.union

    def seen(self, unit: Unit) -> list[Space]:
        """The spaces that pre-training sees for a unit."""
        if not self.sees_something(unit):
            return []
        names = self.union if Row.parse(unit.row).pool == ALL else [unit.space]
        return [self.space(name, unit.by_group or len(names) > 1) for name in names]

    def space(self, name: str, by_group: bool = True) -> Space:
        """A space, read once a process."""
        return _space(self.data / name, by_group, self.out / "proxies")

    def courses(self, units: Iterable[Unit]) -> list[list[Unit]]:
        """Of each encoder that is missing one unit that needs it, those together that are of one course."""
        wanted = {self.encoder(u): u for u in units if Row.parse(u.row).pretrained and self.sees_something(u)}
        missing = [unit for folder, unit in sorted(wanted.items()) if not folder.exists()]
        return _grouped(missing, lambda unit: unit.course)


def together(units: Iterable[Unit]) -> list[list[Unit]]:
    """The runs of each row, whose encoders learn together."""
    return _grouped(units, lambda unit: (unit.space, unit.by_group, unit.row, unit.across))


def _grouped(units: Iterable[Unit], key: Callable[[Unit], object]) -> list[list[Unit]]:
    found: dict[object, list[Unit]] = {}
    for unit in units:
        found.setdefault(key(unit), []).append(unit)
    return list(found.values())


def prepare(study: Study, units: Sequence[Unit]) -> str:
    """Pre-train the encoders of some units, of one course, if there is anything to learn."""
    first, course = units[0], units[0].course
    spaces = study.seen(first)
    # Whether proxies stand beside is no matter of what an encoder learns before.
    rows = [(u, Row.parse(u.row)._replace(beside=False)) for u in units]
    members = [(row.lesson, seed_of(unit.run)[0]) for unit, row in rows if teaches(spaces, row)]
    if members:
        half = seen(spaces[0], seed_of(first.run)[1]) if Row.parse(first.row).pool == HALF else None
        pretrained(Pool.of(spaces, half, course.many), course, members, study.effort, study.encoders)
    return f"pre-training {course.name} {course.kind}"


def finish(study: Study, units: Sequence[Unit]) -> str:
    """Measure the runs of a row and write their parts, each whole or not at all."""
    first, row = units[0], Row.parse(units[0].row)
    space = study.space(first.space, first.by_group)
    if teaches(study.seen(first), row) and (not row.beside or space.proxy[0] is not None):
        measure = judged_across if first.across else judged
        runs = [unit.run for unit in units]
        rows = list(measure(space, first.row, runs, study.effort, _encoders(study, units), study.tables))
        study.part(first).parent.mkdir(parents=True, exist_ok=True)
        for unit in units:
            write_whole(study.part(unit), json.dumps([found for found in rows if found["run"] == unit.run]))
    return first.file.removesuffix(f"-{first.run}.json")


def _encoders(study: Study, units: Sequence[Unit]) -> dict[int, GraphEncoder]:
    row = Row.parse(units[0].row)
    if not row.learned:
        return {}
    return {u.run: encoder_of(row, study.effort, seed_of(u.run)[0], study.encoder(u)) for u in units}


def each(work: Callable[[Sequence[Unit]], str], lots: list[list[Unit]], workers: int) -> Iterator[str]:
    """Do some work for every lot, in one thread: two processes share cores better than two times two threads."""
    if min(workers, len(lots)) <= 1:
        with one_thread():
            yield from map(work, lots)
        return
    with one_thread(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(work, lot) for lot in lots]):
            yield future.result()


@lru_cache(maxsize=8)
def _space(folder: Path, by_group: bool, kept: Path) -> Space:
    return read_space(folder, by_group=by_group, kept=kept)
