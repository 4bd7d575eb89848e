"""Candidates: architectures with or without hyperparameters, the same one known by the same key everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import IntArray
from metalcx.encoders import GraphBatch
from metalcx.errors import DataError, name_some
from metalcx.graphs import FORMATS, ArchGraph, parse

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a table of candidates that are no hyperparameters.
ARCH, FORMAT, RUN = "arch", "format", "run"


@dataclass(frozen=True, eq=False)
class Candidates:
    """n things to train.

    Attributes:
        graphs: Architectures, each once, m of them.
        arch: Which one each candidate has, -1 for none, shape (n,).
        config: Hyperparameters, one row a candidate; no columns where there are none.
        key: The same text for candidates that are the same architecture with the same hyperparameters, shape (n,).
    """

    graphs: GraphBatch
    arch: IntArray
    config: pd.DataFrame
    key: npt.NDArray[np.object_]

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.arch)

    @classmethod
    def of(cls, graphs: Sequence[ArchGraph | None], config: pd.DataFrame | None = None) -> Candidates:
        """Candidates of graphs and hyperparameters, one of each a candidate.

        Raises:
            DataError: If there are not as many rows as graphs.
        """
        import pandas as pd

        config = pd.DataFrame(index=range(len(graphs))) if config is None else config.reset_index(drop=True)
        config = config.rename(columns=str)
        if len(config) != len(graphs):
            raise DataError(f"{len(config)} rows of hyperparameters for {len(graphs)} candidates; give as many")
        number: dict[str, int] = {}
        unique: list[ArchGraph] = []
        arch = np.full(len(graphs), -1, dtype=np.int64)
        for i, graph in enumerate(graphs):
            if graph is not None:
                arch[i] = number.setdefault(graph.hash, len(unique))
                if arch[i] == len(unique):
                    unique.append(graph)
        hashes = [*number, ""]
        texts = _texts(config)
        key = np.empty(len(graphs), dtype=object)
        key[:] = [hashes[a] + text for a, text in zip(arch, texts, strict=True)]
        return cls(GraphBatch.from_graphs(unique), arch, config, key)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, source: str = "candidates") -> Candidates:
        """Candidates of a table: ``arch``, ``format`` and hyperparameters, all optional; ``run`` is an id.

        Args:
            frame: One row a candidate. Without ``format`` that of an architecture is found out.
            source: What the table is called in complaints.

        Raises:
            DataError: If the table is empty, has no column that says anything, or an architecture cannot be read.
        """
        if not len(frame):
            raise DataError(f"{source}: holds no candidates; give one row for each")
        told = [column for column in frame.columns if column not in (FORMAT, RUN)]
        if not told:
            raise DataError(f"{source}: has neither a column {ARCH!r} nor hyperparameters; give one of them")
        config = frame[[column for column in told if column != ARCH]]
        odd = [str(c) for c in config.columns if config[c].map(lambda v: isinstance(v, (list, dict, set))).any()]
        if odd:
            raise DataError(f"{source}: column {odd[0]!r} holds lists; a hyperparameter is a number or a word")
        return cls.of(_graphs_of(frame, source), config)

    def take(self, rows: IntArray) -> Candidates:
        """The candidates at `rows`."""
        return Candidates(self.graphs, self.arch[rows], self.config.iloc[rows].reset_index(drop=True), self.key[rows])


def _texts(config: pd.DataFrame) -> list[str]:
    """Hyperparameters of each row in one canonical spelling; what is missing is left out."""
    if not config.shape[1]:
        return ["{}"] * len(config)
    names = sorted(config.columns)
    rows = zip(*(config[name].tolist() for name in names), strict=True)
    return [_text(dict(zip(names, row, strict=True))) for row in rows]


def _text(row: Mapping[str, Any]) -> str:
    said = {}
    for name, value in row.items():
        if isinstance(value, (bool, int, float)):
            if not math.isnan(value):
                said[name] = f"{float(value):.9g}"
        elif isinstance(value, str):
            said[name] = value
    return json.dumps(said)


def _graphs_of(frame: pd.DataFrame, source: str) -> list[ArchGraph | None]:
    if ARCH not in frame.columns:
        return [None] * len(frame)
    formats = frame[FORMAT].tolist() if FORMAT in frame.columns else [None] * len(frame)
    known: dict[tuple[Any, Any], ArchGraph | None] = {}
    found = []
    for row, pair in enumerate(zip(frame[ARCH].tolist(), formats, strict=True)):
        if pair not in known:
            known[pair] = _graph_of(*pair, where=f"{source}: row {row + 1}, column {ARCH!r}")
        found.append(known[pair])
    return found


def _graph_of(spec: Any, form: Any, where: str) -> ArchGraph | None:
    """The graph that a cell of a table states, None where it is empty."""
    if spec is None or (isinstance(spec, float) and math.isnan(spec)) or spec == "":
        return None
    text = str(spec)
    if isinstance(form, str) and form:
        try:
            return parse(text, form)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
    graphs = _readings(text)
    if len({graph.hash for graph in graphs.values()}) == 1:
        return next(iter(graphs.values()))
    if graphs:
        raise DataError(f"{where}: {text!r:.60} can be read as {name_some(graphs)}; say which in a column {FORMAT!r}")
    raise DataError(
        f"{where}: {text!r:.60} is in no known format; give graph JSON, or one of {name_some(list(FORMATS), 20)}"
    )


def _readings(text: str) -> dict[str, ArchGraph]:
    """The graphs that a text may state, by format."""
    found = {}
    for form in ("graph",) if text.lstrip().startswith('{"nodes"') else FORMATS:
        try:
            found[form] = parse(text, form)
        except (DataError, ValueError, KeyError, TypeError, IndexError):
            continue
    return found


def concat(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several, one after another."""
    import pandas as pd

    start = np.cumsum([0, *(len(part.graphs) for part in parts)])[:-1]
    arch = [np.where(p.arch >= 0, p.arch + s, -1) for p, s in zip(parts, start, strict=True)]
    config = pd.concat([part.config for part in parts], ignore_index=True)
    graphs = GraphBatch.joined([part.graphs for part in parts])
    return Candidates(graphs, np.concatenate(arch), config, np.concatenate([part.key for part in parts]))


def joined(parts: Sequence[Candidates]) -> tuple[Candidates, list[IntArray]]:
    """All candidates of several, each once, and the rows of each part in them."""
    whole = concat(parts)
    _, first, code = np.unique(whole.key.astype(str), return_index=True, return_inverse=True)
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    kept = whole.take(first)
    used = np.unique(kept.arch[kept.arch >= 0])
    place = np.where(kept.arch >= 0, np.searchsorted(used, kept.arch), -1)
    return Candidates(whole.graphs.take(used), place, kept.config, kept.key), np.split(code, cuts)
