"""TensorBoard event directories. Every point is read: nothing is sampled, restarts are merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._event_file import DamagedFileError, events, hyperparameters, scalar_tag, scalar_value
from metalcx.corpora.importers._log_cells import relative_name
from metalcx.corpora.importers._logs import LoggedRun, Series, chosen_time, declared, from_runs
from metalcx.errors import DataError

#: Folders of one run in which Keras and TensorFlow put what belongs to a split of the data.
_SPLITS = ("train", "validation", "eval")
_TIMES = ("step", "seconds")


@dataclass
class _Log:
    """What the event files of one run hold; a point is (step, value, wall time)."""

    points: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)
    start: float | None = None


def read_tensorboard(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Event files below `src`: each folder that has some is a run, called by its path.

    Scalars are read from both forms (simple values, and tensors of one number), the configuration from the hparams
    plugin. `train`, `validation` and `eval` folders belong to the run above them, and their tags begin with the
    folder's name, as in ``validation/epoch_loss``. The folder that `SummaryWriter.add_hparams` makes gives its
    configuration to the run above it. Times are ``step`` (the default) or ``seconds`` since the run's first event.

    Raises:
        DataError: If there is no event file, or the metric was not logged.
        MissingDependencyError: Without tensorboard.
    """
    metrics = [m.name for m in declared(options, "tensorboard")]
    time = chosen_time(options, _TIMES, src)
    logs: dict[str, _Log] = {}
    for folder, files in _folders(src).items():
        name, prefix = _home(src, folder)
        log = logs.setdefault(name, _Log())
        try:
            for file in files:
                _take(events(file), log, prefix, metrics)
        except DamagedFileError as error:
            tally.skip(f"{name}: {error}", "a damaged event file")
            del logs[name]
    runs = _with_configurations([_run(name, log, time) for name, log in logs.items()], metrics[0])
    return from_runs(src, runs, options, tally, "tensorboard", "second" if time == "seconds" else "step")


def _folders(src: Path) -> dict[Path, list[Path]]:
    """Folder -> its event files in the order in which they were begun."""
    found: dict[Path, list[Path]] = {}
    for path in [src] if src.is_file() else src.rglob("*tfevents*"):
        if path.is_file():
            found.setdefault(src if src.is_file() else path.parent, []).append(path)
    if not found:
        raise DataError(f"{src}: holds no event file (events.out.tfevents...); give the log directory")
    return {folder: sorted(found[folder], key=_begun) for folder in sorted(found)}


def _begun(path: Path) -> list[tuple[int, str]]:
    """Sorts ``tfevents.<time>.<host>.<process>.<count>`` by its numbers: file 9 of a second comes before file 10."""
    words = re.split(r"(\d+)", path.name.partition("tfevents.")[2])
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def _home(src: Path, folder: Path) -> tuple[str, str]:
    """The run to which a folder belongs, and what its tags begin with."""
    if folder != src and folder.name in _SPLITS:
        return relative_name(src, folder.parent), f"{folder.name}/"
    return relative_name(src, folder), ""


def _take(found: Iterable[Any], log: _Log, prefix: str, wanted: list[str]) -> None:
    for event in found:
        log.start = event.wall_time if log.start is None else min(log.start, event.wall_time)
        if event.HasField("session_log") and event.session_log.status == event.session_log.START:
            _purge(log, event.step)
        for value in event.summary.value:
            log.config = log.config or hyperparameters(value)
            tag = scalar_tag(value)
            if tag is not None:
                log.tags[prefix + tag] = None
                if prefix + tag in wanted:
                    point = (event.step, scalar_value(value), event.wall_time)
                    log.points.setdefault(prefix + tag, []).append(point)


def _purge(log: _Log, step: int) -> None:
    """A writer says that it starts again at `step`: what was logged from there on is void."""
    for tag, points in log.points.items():
        log.points[tag] = [point for point in points if point[0] < step]


def _run(name: str, log: _Log, time: str) -> LoggedRun:
    return LoggedRun(name, {tag: _series(p, log.start, time) for tag, p in log.points.items()}, log.tags, log.config)


def _series(points: list[Any], start: float | None, time: str) -> Series:
    step, value, wall = np.asarray(points, dtype=np.float64).reshape(-1, 3).T
    seconds = wall - (start or 0.0)
    return Series(step if time == "step" else seconds, value, seconds)


def _with_configurations(runs: list[LoggedRun], metric: str) -> Iterator[LoggedRun]:
    """Folders that hold hyperparameters, and not the metric, give them to the run above them."""
    named = {run.name: run for run in runs}
    given: set[str] = set()
    for run in runs:
        above = named.get(str(PurePosixPath(run.name).parent))
        if run.config and metric not in run.series and above is not None:
            named[above.name] = replace(named[above.name], config=named[above.name].config or run.config)
            given.add(run.name)
    yield from (run for name, run in named.items() if name not in given)
