"""TensorBoard's event files, each read on from where it ended the last time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from metalcx.corpora.importers._event_file import DamagedFileError, EventFile
from metalcx.corpora.importers._tensorboard import _begun, _Log, _series, _take
from metalcx.corpora.live._run import LiveOptions, LiveRun, absent


class EventFolder:
    """The event files of one run.

    Args:
        options: What is followed.
    """

    def __init__(self, options: LiveOptions) -> None:
        self.options = options
        self.run: LiveRun | None = None
        self.config: dict[str, object] = {}
        self._files: dict[Path, tuple[str, EventFile, tuple[int, int]]] = {}
        self._log, self._damaged = _Log(), ""

    def poll(self, files: dict[Path, str]) -> bool:
        """Read what was appended to these files (path -> what their tags begin with); whether anything changed."""
        states = {}
        for path in files:
            try:
                found = os.stat(path)
            except OSError:
                continue
            states[path] = (found.st_ino, found.st_size)
        if states == {path: state for path, (_, _, state) in self._files.items()}:
            return False
        if self._damaged or any(
            path not in states or _cut(known, states[path]) for path, (_, _, known) in self._files.items()
        ):
            # Which points came from which file is not kept: a run of which one is gone or was cut is read anew.
            self._files, self._log, self.run, self._damaged = {}, _Log(), None, ""
        for path in sorted(states, key=_begun):
            self._read(path, files[path], states[path])
        self.config = self._log.config
        self._settle()
        return True

    def notes(self) -> Iterator[str]:
        """What is not as it should be."""
        if self._damaged:
            yield self._damaged

    @property
    def tags(self) -> list[str]:
        """Every scalar's name."""
        return list(self._log.tags)

    def _read(self, path: Path, prefix: str, state: tuple[int, int]) -> None:
        _, reader, known = self._files.get(path) or (prefix, EventFile(path), None)
        if known == state:
            return
        try:
            _take(reader.fresh(), self._log, prefix, [self.options.metric.name])
        except DamagedFileError as error:
            self._damaged = f"{path}: {error}"
        except OSError:
            return
        self._files[path] = (prefix, reader, state)

    def _settle(self) -> None:
        points = self._log.points.get(self.options.metric.name)
        if not points:
            self.run = None
            return
        series = _series(points, self._log.start, self.options.time or "step")
        # An event's own clock says when it was written.
        self.run = LiveRun.of(series.t, series.y, float(points[-1][2]))
        self.run.config = self.config


def _cut(known: tuple[int, int], now: tuple[int, int]) -> bool:
    return known[0] != now[0] or now[1] < known[1]


def nothing_logged(folders: dict[str, EventFolder], options: LiveOptions) -> Iterator[str]:
    """A note where no folder holds the metric."""
    if not any(folder.run for folder in folders.values()):
        yield from absent(options.metric.name, (tag for folder in folders.values() for tag in folder.tags))
