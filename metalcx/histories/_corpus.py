"""Recorded histories beside a corpus of curves: traits and predictions of every run, in `histories.parquet`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.corpora import Corpus, open_corpus, read_table
from metalcx.curves import Curves
from metalcx.errors import CorpusError, DataError
from metalcx.histories._calibration import Calibration, Kernel
from metalcx.histories._forecaster import peak_so_far
from metalcx.histories._history import FloatArray, IntArray
from metalcx.histories._inputs import CHANCE, Lessons, inputs_of, stretched
from metalcx.histories._traits import SKILLS, TRAITS, TraitTable, skill

if TYPE_CHECKING:
    import pandas as pd

HISTORIES, LABELS, FEATURES = "histories.parquet", "labels.parquet", "features.safetensors"

#: Whose predicted classes of the validation part are kept, a byte an example.
PREDICTED = ("own", "probe", "concat", "mean", "consensus")

#: Shares of the whole budget by which lessons ask for the peak.
HORIZONS = (0.5, 1.0)


@dataclass(frozen=True, eq=False)
class HistoryCorpus:
    """A corpus whose runs have histories. Use `HistoryCorpus.open`.

    Attributes:
        corpus: Curves, configurations, architectures.
        rows: One row a run and time: ``run, t``, the traits, ``recording`` and ``proxies`` (seconds), and
            predicted classes by `PREDICTED` (bytes; empty where they are not kept).
    """

    corpus: Corpus
    rows: pd.DataFrame = field(repr=False)

    @classmethod
    def open(cls, path: str | Path | None = None) -> HistoryCorpus:
        """Open a folder or a named corpus; by default the one that comes with metalcx.

        Raises:
            CorpusError: If it is no corpus, or lacks histories.
        """
        corpus = open_corpus("histories" if path is None else path)
        file = corpus.path / HISTORIES
        rows = _read(file)
        missing = [name for name in ("run", "t", *TRAITS) if name not in rows]
        if missing:
            raise CorpusError(f"{file}: column {missing[0]!r} is missing; record the histories again")
        return cls(corpus, rows)

    @cached_property
    def table(self) -> TraitTable:
        """Traits by run name."""
        names = self.corpus.runs["name"].to_numpy()
        found: dict[Any, tuple[FloatArray, FloatArray]] = {}
        kept = self.rows[self.rows["chance"].notna()].sort_values(["run", "t"])
        for run, part in kept.groupby("run"):
            found[names[int(str(run))]] = part["t"].to_numpy(np.float64), part[list(TRAITS)].to_numpy(np.float64)
        return TraitTable(found)

    def votes(self, task: str, runs: IntArray, t: float) -> FloatArray:
        """Validation accuracy of the majority of each run's own checkpoints after training began, shape (n,)."""
        labels = dict(_read(self.corpus.path / LABELS)[["task", "val"]].to_numpy())
        y = np.frombuffer(labels[task], np.uint8)
        kept = self.rows[(self.rows["t"] <= t) & (self.rows["t"] > 0) & self.rows["run"].isin(runs)]
        votes = {
            run: _majority(np.stack([np.frombuffer(c, np.uint8) for c in part.sort_values("t")["own_classes"]]))
            for run, part in kept.groupby("run")
        }
        return np.array([(votes[run] == y).mean() for run in runs])

    def lessons(self, tasks: Iterable[str] | None = None) -> Lessons:
        """What became of the runs of tasks, all by default: at each time with traits, by each of `HORIZONS`.

        Raises:
            CorpusError: If no run of a task has a history.
        """
        parts = [self._lessons(name) for name in (self.corpus.task_names if tasks is None else tasks)]
        return Lessons(
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.z for part in parts]),
            np.concatenate([part.family for part in parts]),
            np.concatenate([part.task for part in parts]),
        )

    def calibration(self, *, holdout: Iterable[str] = (), kernel: Kernel | None = None, seed: int = 0) -> Calibration:
        """Learn from all families but those held out; see `Calibration.learn`."""
        out = set(holdout)
        kept = [str(t["task"]) for _, t in self.corpus.tasks.iterrows() if t["family"] not in out]
        return Calibration.learn(self.lessons(kept), kernel, seed=seed)

    def _lessons(self, name: str) -> Lessons:
        task = self.corpus.task(name)
        curves = task.curves()
        whole = peak_so_far(curves).padded()
        end = float(whole.t_last.max())
        blocks, targets = [], []
        for t in sorted({float(t) for i in curves.ids if i in self.table.rows for t in self.table.rows[i][0]}):
            rows, traits = self._known(curves, t)
            if not len(rows):
                continue
            for horizon in (h * end for h in HORIZONS if h * end > t):
                seen = whole.take(rows)
                best, peak = (seen.at(np.minimum(at, seen.t_last)[:, None])[:, 0] for at in (t, horizon))
                chance = traits[:, CHANCE]
                own = chance + (1.0 - chance) * traits[:, TRAITS.index(SKILLS[0])]
                blocks.append(inputs_of(traits, own, best, np.full(len(rows), t / horizon)))
                targets.append(stretched(skill(peak, chance)))
        if not targets:
            raise CorpusError(f"{self.corpus.path / HISTORIES}: no run of task {name!r} is in it; leave the task out")
        z = np.concatenate(targets)
        return Lessons(np.concatenate(blocks), z, np.full(len(z), task.family, object), np.full(len(z), name, object))

    def _known(self, curves: Curves, t: float) -> tuple[IntArray, FloatArray]:
        """Positions of runs that were alive at `t` and have traits of that time, and the traits."""
        alive = (curves.status != "diverged") | (curves.t_last > t)
        rows, traits = [], []
        for i in np.flatnonzero(alive):
            times, values = self.table.rows.get(curves.ids[i], (np.empty(0), np.empty((0, 0))))
            place = np.flatnonzero(times == t)
            if len(place):
                rows.append(i)
                traits.append(values[place[0]])
        return np.array(rows, dtype=np.int64), np.array(traits, dtype=np.float64)


def _read(file: Path) -> pd.DataFrame:
    """A table of the corpus, whose pages are looked at before room is made for them."""
    try:
        return read_table(file)
    except DataError as error:
        raise CorpusError(f"{error}; the corpus needs its histories") from None


def _majority(classes: np.ndarray) -> np.ndarray:
    """The class that most of k checkpoints say, the latest of equals; (k, n) -> (n,)."""
    counts = (classes[:, None] == classes[None]).sum(0)
    return classes[len(classes) - 1 - counts[::-1].argmax(0), np.arange(classes.shape[1])]
