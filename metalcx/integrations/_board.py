"""Runs of one task as a host reports them: in memory, or in a folder that outlives processes and that they share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metalcx._lines import append_lines, bad_line, read_lines
from metalcx.corpora.importers._settings import flat
from metalcx.curves import Curves, Metric
from metalcx.curves._curves import STATUSES
from metalcx.errors import DataError
from metalcx.integrations._record import Arch, Record, arch_of, of_metric, to_curves

FORMAT = "metalcx-run/1"


class Board:
    """Runs of one task, of which those of this process are written and all are read.

    In a folder each run is a file of JSON lines to which only the process that trains it appends: first
    what it is (``format, run, metric, config``, and ``arch`` where it is known), then ``t, value`` a point, at last its
    ``status``. A run that is started again under its id is taken up where it was.

    Args:
        metric: What the runs measure.
        runs: Finished runs to compare with, or the folder, made if there is none.
        arch: The architecture of the runs that are started here, or what makes it of their hyperparameters.

    Raises:
        DataError: If earlier runs measure something else.
    """

    def __init__(self, metric: Metric, runs: Curves | str | Path | None = None, arch: Arch = None) -> None:
        self.metric, self._arch = metric, arch
        # Absolute, because hosts change the working directory.
        self.folder = Path(runs).expanduser().absolute() if isinstance(runs, str | Path) else None
        self._earlier = of_metric(runs.finished(), metric) if isinstance(runs, Curves) else None
        self._records: dict[str, Record] = {}
        self._own: set[str] = set()
        self._seen: dict[str, tuple[int, int]] = {}
        self._finished: tuple[list[Record], Curves | None] = [], self._earlier
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refresh()

    def start(self, run: str, config: Mapping[str, Any] | None = None) -> Record:
        """Begin a run, or take it up where it was."""
        path = self._path(run)
        if run not in self._own and path is not None and path.exists():
            _cut_last_line(path)
            self._read(path)
        self._own.add(run)
        if run not in self._records:
            known = {k: v for k, v in flat(config or {}).items() if not isinstance(v, list)}
            self._records[run] = Record(run, known, arch=arch_of(self._arch, config))
            head = {"format": FORMAT, "run": run, "metric": self.metric.to_dict(), "config": known}
            arch = self._records[run].arch
            self._write(run, head if arch is None else {**head, "arch": arch})
        return self._records[run]

    def report(self, run: str, t: float, value: float, check_finite: bool = True) -> None:
        """A point of a run that was started; see `Record.add`."""
        record = self._records[run]
        record.add(self.metric, t, value, check_finite)
        # Text, because JSON knows neither NaN nor infinities.
        kept = record.points[t]
        self._write(run, {"t": t, "value": kept if abs(kept) < float("inf") else str(kept)})

    def end(self, run: str, status: str) -> None:
        """A run finished, as `Curves.status` has it."""
        record = self._records[run]
        if record.status != status:
            record.status = status
            self._write(run, {"status": status})

    def curves(self, run: str) -> Curves:
        """All finished runs, and this one last."""
        self._refresh()
        own = to_curves(self.metric, [self._records[run]])
        others = self._others(run)
        return own if others is None else Curves.concat([others, own])

    def _others(self, run: str) -> Curves | None:
        done = [r for r in self._records.values() if r.status != "running" and r.run != run]
        known, curves = self._finished
        if len(done) != len(known) or any(a is not b for a, b in zip(done, known, strict=True)):
            parts = [self._earlier] * (self._earlier is not None) + [to_curves(self.metric, done)]
            curves = Curves.concat([part for part in parts if part is not None])
            self._finished = done, curves
        return curves

    def _path(self, run: str) -> Path | None:
        return None if self.folder is None else self.folder / _file_name(run)

    def _write(self, run: str, line: Mapping[str, Any]) -> None:
        path = self._path(run)
        if path is not None:
            append_lines(path, [line])

    def _refresh(self) -> None:
        """Read what other processes have written since."""
        if self.folder is None:
            return
        own = {_file_name(run) for run in self._own}
        for entry in sorted(os.scandir(self.folder), key=lambda e: e.name):
            if entry.name.endswith(".jsonl") and entry.name not in own:
                state = (entry.stat().st_mtime_ns, entry.stat().st_size)
                if self._seen.get(entry.name) != state:
                    self._read(Path(entry.path))
                    self._seen[entry.name] = state

    def _read(self, path: Path) -> None:
        record: Record | None = None
        for number, line in read_lines(path):
            try:
                if record is None:
                    record = self._begun(line)
                elif "status" in line:
                    record.status = STATUSES[STATUSES.index(line["status"])]
                else:
                    # What was reported as NaN was kept as infinity if it was a divergence.
                    value = float(line["value"])
                    record.add(self.metric, float(line["t"]), value, check_finite=value == value)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise bad_line(path, number, f"is no line of a run ({error!s:.200})") from None
        if record is not None:
            self._records[record.run] = record

    def _begun(self, head: Mapping[str, Any]) -> Record:
        if head.get("format") != FORMAT:
            raise DataError(f"format is {head.get('format')!r}, not {FORMAT!r}")
        theirs, ours = dict(head["metric"], unit=None), self.metric.to_dict() | {"unit": None}
        if theirs != ours:
            raise DataError(f"it measures {Metric(**theirs)}, this training {self.metric}; declare the same metric")
        arch = head.get("arch")
        return Record(str(head["run"]), dict(head["config"]), arch=None if arch is None else str(arch))


def _file_name(run: str) -> str:
    return f"{quote(run, safe='')}.jsonl"


def _cut_last_line(path: Path) -> None:
    """Cut off what a kill left unfinished, so that what follows stands on a line of its own."""
    with path.open("rb+") as file:
        held = file.read()
        file.truncate(held.rfind(b"\n") + 1)
