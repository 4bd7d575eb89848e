"""Pools of candidates with known finals, and what may be learned from other families before searching one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.corpora import Corpus, families, open_corpus
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError
from metalcx.transfer import PriorFitter, finals_of, sources_of

if TYPE_CHECKING:
    from metalcx.encoders import Encoder

#: Corpora that are searched.
CORPORA = ("nas-bench-graph", "nb201-finals", "smallnets")

#: Shares of a pool whose first member is looked for, and from which size of the pool on; the last is no measure of the
#: protocol, and for the small pools alone.
TOP = {"1%": (0.01, 500), "0.1%": (0.001, 5000)}
SMALL = "5%"

#: From how many families on a corpus is held out in folds, in how many, and of how many families of each a task is
#: searched.
MANY, FOLDS, EACH = 20, 4, 6

#: Neighbours where no word of an architecture can be exchanged.
NEAREST = 8

_WORD = re.compile(r"\d(?=\d*\|)|[A-Za-z_]\w*|\d+")


@dataclass(frozen=True, eq=False)
class Pool:
    """One task, searched.

    Attributes:
        corpus: Its corpus.
        task: Its name.
        without: Families that nothing is learned from: its own, and others that are held out with it.
        rows: Its candidates among those of the fitter, shape (n,).
        values: What they reach, higher is better, shape (n,).
        words: What their architectures are written in, of equal length, shape (n, w); w is 0 where they are not.
        fitter: Knows all tasks of the corpus.
    """

    corpus: str
    task: str
    without: tuple[str, ...]
    rows: IntArray
    values: FloatArray
    words: npt.NDArray[np.int64]
    fitter: PriorFitter = field(repr=False)

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.rows)

    @property
    def name(self) -> str:
        """Corpus and task."""
        return f"{self.corpus}/{self.task}"

    @cached_property
    def elsewhere(self) -> FloatArray:
        """Normal scores of the candidates on the sources, NaN where they were not tried, shape (n, k)."""
        kept = self.fitter.fits.kept(self.without)
        return np.asarray(self.fitter.looked_up[self.rows][:, kept], dtype=np.float64)

    @property
    def known_elsewhere(self) -> bool:
        """Whether most candidates were tried on a source."""
        return bool(np.isfinite(self.elsewhere).any(1).mean() > 0.5)

    @cached_property
    def x(self) -> npt.NDArray[np.float32]:
        """Characteristics, shape (n, p)."""
        return self.fitter.map.standardised(self.fitter.x[self.rows]).astype(np.float32)

    @cached_property
    def by_trees(self) -> FloatArray:
        """What boosted trees that learned from the sources say of the candidates, by characteristics, shape (n,)."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        tasks = [task for task in self.fitter.sources.tasks if task.family not in self.without]
        rows, score = (np.concatenate([getattr(task, name) for task in tasks]) for name in ("rows", "score"))
        model = HistGradientBoostingRegressor(random_state=0).fit(self.fitter.x[rows], score)
        return np.asarray(model.predict(self.fitter.x[self.rows]), dtype=np.float64)

    @cached_property
    def neighbours(self) -> list[IntArray]:
        """Candidates that one change away from each: one word of an architecture, else the nearest."""
        return _by_word(self.words) if self.words.shape[1] else _nearest(self.x)

    def thresholds(self) -> dict[str, float]:
        """The least value of each share of the best that is looked for in a pool of this size."""
        ordered = np.sort(self.values)[::-1]
        shares = {name: share for name, (share, least) in TOP.items() if len(self) >= least} or {SMALL: 0.05}
        return {name: float(ordered[max(int(share * len(self)), 1) - 1]) for name, share in shares.items()}

    def regret(self, best: FloatArray) -> FloatArray:
        """How far below the best of the pool values are, in its spread between the 5th and the 95th hundredth."""
        finite = self.values[np.isfinite(self.values)]
        low, high = np.quantile(finite, [0.05, 0.95])
        return np.asarray((finite.max() - np.maximum(best, low)) / max(high - low, 1e-12), dtype=np.float64)


def pools_of(data: Path, name: str, encoder: Encoder | None, tasks: Sequence[str] = ()) -> Iterator[Pool]:
    """The tasks of a corpus as pools; where it has many families, one task of some of them.

    Args:
        data: Folder of the corpora; one that is not there may ship with metalcx.
        name: The corpus.
        encoder: Of architectures.
        tasks: Names of tasks to keep; all if there are none.
    """
    corpus = Corpus.open(data / name) if (data / name).is_dir() else open_corpus(name)
    fitter = PriorFitter(sources_of(list(corpus)), encoder)
    of_task = dict(zip(corpus.task_names, families(tuple(corpus)), strict=True))
    known = sorted(set(of_task.values()))
    folds, chosen = [[family] for family in known], list(corpus.task_names)
    if len(known) >= MANY:
        order = np.random.default_rng(0).permutation(len(known))
        folds = [[known[i] for i in part] for part in np.array_split(order, FOLDS)]
        chosen = [next(t for t, f in of_task.items() if f == family) for fold in folds for family in fold[:EACH]]
    together = {family: tuple(sorted(fold)) for fold in folds for family in fold}
    for task in chosen:
        if not tasks or task in tasks:
            yield _pool(corpus, task, together[of_task[task]], fitter)


def _pool(corpus: Corpus, task: str, without: tuple[str, ...], fitter: PriorFitter) -> Pool:
    candidates, values = finals_of(corpus.task(task))
    place = {key: row for row, key in enumerate(fitter.sources.candidates.key)}
    missing = [key for key in candidates.key if key not in place]
    if missing:
        raise DataError(f"{corpus.name}: {task} has fewer runs than a source needs; leave it out")
    rows = np.array([place[key] for key in candidates.key], dtype=np.int64)
    curves = corpus.task(task).curves()
    usable = ~np.isnan(curves.final)
    alone = candidates.config.shape[1] == 0
    words = _words(np.asarray(curves.arch, dtype=object)[usable]) if alone and curves.arch is not None else None
    empty = np.zeros((len(rows), 0), dtype=np.int64)
    return Pool(corpus.name, task, without, rows, values, empty if words is None else words, fitter)


def _words(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.int64] | None:
    """Numbers of the words of each text; None if texts are not all of one length."""
    found = [_WORD.findall(str(text)) for text in texts]
    if len({len(words) for words in found}) != 1:
        return None
    codes = np.unique(np.array(found, dtype=str), return_inverse=True)[1]
    return np.asarray(codes.reshape(len(texts), -1), dtype=np.int64)


def _by_word(words: npt.NDArray[np.int64]) -> list[IntArray]:
    """Of each row those that differ in exactly one place."""
    found: list[list[IntArray]] = [[] for _ in words]
    for place in range(words.shape[1]):
        code = np.unique(np.delete(words, place, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(code, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            for row in members:
                found[row].append(members[members != row])
    return [np.concatenate(parts) for parts in found]


def _nearest(x: npt.NDArray[np.float32]) -> list[IntArray]:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(NEAREST + 1, len(x))).fit(x)
    return [row[row != i][:NEAREST] for i, row in enumerate(index.kneighbors(x, return_distance=False))]
