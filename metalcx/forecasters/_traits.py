"""What is known of runs beside their curves: architectures, hashed configurations, further metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import BoolArray, FloatArray
from metalcx.errors import DataError
from metalcx.forecasters._configurations import REACH, ConfigurationSpace, numeric, relative

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.encoders import Encoder
    from metalcx.graphs import ArchGraph

#: Numbers into which names and values of hyperparameters are hashed, relative and absolute values apart.
HASHED = 32

#: Further metrics that are read, the first that are declared.
COMPANIONS = 2


@dataclass(frozen=True)
class Traits:
    """n runs beside their curves.

    Attributes:
        arch: Embeddings, shape (n, width), 0 where the architecture is not known.
        known: Where it is, shape (n,).
        config: Hashed hyperparameters, shape (n, 2 HASHED); 0 where there are none.
        points: Place in the space that the support's configurations span, shape (n, columns).
        placed: Whether a run has one, shape (n,).
        companions: Curves of up to `COMPANIONS` further metrics, oriented, n each.
    """

    arch: FloatArray
    known: BoolArray
    config: FloatArray
    points: FloatArray
    placed: BoolArray
    companions: tuple[PaddedCurves, ...] = ()

    def take(self, rows: npt.NDArray[np.int64]) -> Traits:
        """The runs at `rows`."""
        own = {name: getattr(self, name)[rows] for name in ("arch", "known", "config", "points", "placed")}
        return replace(self, **own, companions=tuple(curves.take(rows) for curves in self.companions))


class Architectures:
    """Embeddings of architectures, each graph encoded once however many runs have it.

    Args:
        encoder: From graphs to vectors; None if architectures are not read.
    """

    def __init__(self, encoder: Encoder | None) -> None:
        self.encoder = encoder
        self._known: dict[str, FloatArray | None] = {}

    @property
    def width(self) -> int:
        """Numbers an architecture."""
        return 0 if self.encoder is None else self.encoder.width

    def embed(self, arch: Iterable[Any] | None, n: int) -> tuple[FloatArray, BoolArray]:
        """Embeddings of n runs, shape (n, width), and which are known, shape (n,).

        Args:
            arch: A text each: graph JSON, or a cell of NAS-Bench-201. Any other, such as a name, is not known.
            n: How many runs.
        """
        if arch is None or self.encoder is None:
            return np.zeros((n, self.width)), np.zeros(n, dtype=bool)
        texts = ["" if text is None else str(text) for text in arch]
        self._learn(sorted({text for text in texts if text not in self._known}))
        found = [self._known[text] for text in texts]
        nothing: FloatArray = np.zeros(self.width)
        vectors: FloatArray = np.array([nothing if v is None else v for v in found], dtype=np.float64).reshape(
            n, self.width
        )
        return vectors, np.array([v is not None for v in found], dtype=bool)

    def _learn(self, texts: list[str]) -> None:
        assert self.encoder is not None
        graphs = {text: graph for text in texts if (graph := graph_of(text)) is not None}
        vectors: Iterable[FloatArray] = self.encoder.encode(list(graphs.values())).astype(np.float64) if graphs else ()
        self._known |= dict.fromkeys(texts) | dict(zip(graphs, vectors, strict=True))


def counting(arch: Iterable[Any] | None) -> Architectures:
    """Architectures as counts of the operations that some of them have: what needs no encoder."""
    from metalcx.encoders import CountTable

    graphs = [
        graph_of(str(text))
        for text in sorted({str(text) for text in (() if arch is None else arch) if text is not None})
    ]
    known = [graph for graph in graphs if graph is not None]
    return Architectures(CountTable.of(known) if known else None)


def graph_of(text: str) -> ArchGraph | None:
    """The graph that a text states, or None where it is a name, or something that is read in no unique way."""
    from metalcx.graphs import parse

    form = "graph" if text.lstrip().startswith("{") else "nasbench201" if text.startswith("|") else None
    if form is None:
        return None
    try:
        return parse(text, form)
    except (DataError, json.JSONDecodeError):
        return None


def traits(curves: Curves, space: ConfigurationSpace, architectures: Architectures, hashes: bool = True) -> Traits:
    """Describe runs.

    Args:
        curves: The runs.
        space: What the support's configurations span.
        architectures: What reads their architectures.
        hashes: Whether hyperparameters are hashed; they are 0 otherwise.
    """
    n = len(curves)
    arch, known = architectures.embed(curves.arch, n)
    points, placed = space.encode(curves.config, n)
    config = hashed(curves.config if hashes else None, space, n)
    return Traits(arch, known, config, points, placed, companions_of(curves))


def companions_of(curves: Curves) -> tuple[PaddedCurves, ...]:
    """Curves of the first further metrics, oriented; points that are not finite are gone."""
    further = [metric for metric in curves.metrics if metric.name != curves.metric.name][:COMPANIONS]
    own = ((metric.sign, curves.padded(metric.name)) for metric in further)
    return tuple(padded.with_values(sign * padded.y) for sign, padded in own)


def hashed(config: pd.DataFrame | None, space: ConfigurationSpace, n: int) -> FloatArray:
    """Named hyperparameters, whichever there are, as vectors of one length (Weinberger et al. 2009).

    Where a name is hashed to says nothing by itself; the same name is hashed to the same place in every dataset. The
    first half has numbers in units of the support's spread, the second their sizes, log10 of those above 0; categories
    are names of their own. What is missing adds nothing.

    Args:
        config: A row a run, or None.
        space: The support's centre and spread of each number.
        n: How many runs.
    """
    found = np.zeros((n, 2, HASHED))
    centres = {name: (log, centre, spread) for name, log, centre, spread in space.numbers}
    if config is None:
        return found.reshape(n, 2 * HASHED)
    for column in config.columns:
        values, place = numeric(config[column]), place_of(str(column))
        found[:, 1] += _size(values)[:, None] * place
        if str(column) in centres:
            found[:, 0] += relative(values, *centres[str(column)])[:, None] * place
        text = config[column][~np.isfinite(values) & config[column].notna().to_numpy()].astype(str)
        for level, rows in text.groupby(text).groups.items():
            found[np.asarray(rows), 1] += place_of(f"{column}={level}")
    return np.clip(found.reshape(n, 2 * HASHED), -REACH, REACH)


@lru_cache(maxsize=4096)
def place_of(name: str) -> FloatArray:
    """Where a name is hashed to, shape (HASHED,): 1 or -1 in one place."""
    from sklearn.feature_extraction import FeatureHasher

    return np.asarray(FeatureHasher(HASHED).transform([{name: 1.0}]).toarray()[0])


def _size(values: FloatArray) -> FloatArray:
    """log10 of positive numbers, arsinh of others, 0 where there is none."""
    values = np.where(np.isfinite(values), values, 0.0)
    positive = values > 0
    return np.where(positive, np.log10(np.where(positive, values, 1.0)), np.arcsinh(values))
