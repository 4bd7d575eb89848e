"""Eight hours of `metalcx watch`, by a simulated clock: a folder of logs, and what follows it.

Twenty runs are trained at once, each writes a point every half minute, and two hundred that ended stay until they are
deleted, the oldest first. Some diverge, some are killed, some are cut and begun anew, some are deleted as they run.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HOURS, PARTS = 8, 8
AT_ONCE, KEPT = 20, 200
EPOCHS, EPOCH_S = 40, 30.0
IDLE_S = 300.0


@dataclass
class Training:
    """A run that writes a log of TensorBoard, or a CSV one of Lightning."""

    number: int
    folder: Path
    format: str
    begun: float
    epoch: int = 0
    redone: bool = False
    _level: float = field(init=False)

    def __post_init__(self) -> None:
        self._level = float(np.random.default_rng(self.number).uniform(0.1, 0.5))
        self.folder.mkdir(parents=True)

    @property
    def log(self) -> Path:
        return self.folder / ("metrics.csv" if self.format == "lightning-csv" else "events.out.tfevents.1.m.1.0")

    def until(self, clock: float) -> bool:
        """Write what is due by now; whether the run goes on."""
        while self.begun + (self.epoch + 1) * EPOCH_S <= clock:
            self.epoch += 1
            at = self.begun + self.epoch * EPOCH_S
            fate = self.number % 20
            if fate == 3 and self.epoch == 20 and not self.redone:
                # A restart that writes the same file from its beginning.
                self.log.write_bytes(b"")
                self.begun, self.epoch, self.redone = at, 0, True
                continue
            value = self._level + self.epoch**-0.7 if fate != 7 or self.epoch < 15 else float("nan")
            self._write(at, value)
            if self.epoch == EPOCHS or value != value or (fate == 11 and self.epoch == 10):
                return False
            if fate == 17 and self.epoch == 10:
                shutil.rmtree(self.folder)
                return False
        return True

    def _write(self, at: float, value: float) -> None:
        if self.format == "lightning-csv":
            head = "" if self.log.exists() and self.log.stat().st_size else "epoch,step,val_loss\n"
            with self.log.open("a") as file:
                file.write(f"{head}{self.epoch},{self.epoch},{value}\n")
            return
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        scalar = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="val_loss", simple_value=value)])
        event = event_pb2.Event(wall_time=at, step=self.epoch, summary=scalar)
        with self.log.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())


class Day:
    """The folder: its runs as the clock goes on."""

    def __init__(self, folder: Path, format: str, clock: float) -> None:
        self.folder, self.format = folder, format
        self.number = 0
        # So that the first hour is like the last one.
        self.over = [self._start(clock - EPOCHS * EPOCH_S * 2 - i) for i in range(KEPT)]
        self.running = [self._start(clock - EPOCHS * EPOCH_S * i / AT_ONCE) for i in range(AT_ONCE)]
        for training in self.over:
            training.until(clock)

    def _start(self, begun: float) -> Training:
        self.number += 1
        return Training(self.number, self.folder / f"run-{self.number}", self.format, begun)

    def until(self, clock: float) -> None:
        """What happens by then."""
        going = [training for training in self.running if training.until(clock)]
        self.over += [training for training in self.running if training not in going]
        self.running = going + [self._start(clock) for _ in range(AT_ONCE - len(going))]
        for training in self.over[:-KEPT]:
            shutil.rmtree(training.folder, ignore_errors=True)
        self.over = self.over[-KEPT:]


def follow(folder: Path, format: str, model: Any, every: float) -> Iterator[tuple[int, float]]:
    """Polls, and the processor seconds that they took, at the end of each eighth of the day; a page asks after each."""
    from metalcx.corpora.live import LiveOptions, open_live
    from metalcx.curves import Metric
    from metalcx.reports import Bulletin, LiveTask, Watch

    clock = 1.7e9
    # What is read says when it was written by this clock, too.
    time.time = lambda: clock
    metric = Metric("val_loss", "min", 0.0)
    day = Day(folder, format, clock)
    task = LiveTask(model, horizon=float(EPOCHS))
    watch = Watch(
        open_live(str(folder), LiveOptions(metric), format), metric, task, Bulletin("day", "logs", 2.0), IDLE_S
    )
    polls, took, known = 0, 0.0, 0
    for part in range(1, PARTS + 1):
        end = 1.7e9 + HOURS * 3600 * part / PARTS
        while clock < end:
            clock += every
            day.until(clock)
            begun = time.process_time()
            watch.update()
            told = json.loads(json.dumps(watch.bulletin.since(watch.bulletin.epoch, known)))
            took += time.process_time() - begun
            known, polls = told["version"], polls + 1
        if told["notes"]:
            raise SystemExit(f"the page complains: {told['notes']}")
        yield polls, took
