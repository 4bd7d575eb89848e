"""How long encoders need for many architectures."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from metalcx.bench.encoder._rows import KINDS
from metalcx.encoders import CountTable, EncoderConfig, FlowSurrogate, GraphBatch, new_encoder

#: Where the page of the benchmark finds the seconds.
TIMING = "timing.csv"

#: Architectures that are encoded against the clock.
TIMED = 10_000


def time_encoders(folder: Path, hidden: int = 128, repeat: int = 3, out: Path | None = None) -> list[dict[str, Any]]:
    """Seconds to encode the first 10,000 architectures of a corpus, all encoders in one run, least of `repeat`.

    Graphs are in memory; `cold` begins with `ArchGraph`, `warm` with a batch that knows its descriptions.

    Args:
        folder: The corpus.
        hidden: Width of the encoders.
        repeat: How often each is timed.
        out: Folder of the benchmark whose page is to show it.
    """
    from metalcx.corpora import Corpus
    from metalcx.graphs import ArchGraph

    texts = Corpus.open(folder).architectures["graph"].dropna().head(TIMED)
    graphs = [ArchGraph.from_json(text) for text in texts]
    encoders = {kind: new_encoder(EncoderConfig(kind, hidden)).encode for kind in KINDS}
    every: dict[str, Callable[[Any], Any]] = {**encoders, "counts": CountTable.of(graphs).encode}
    every["surrogate"] = FlowSurrogate(k=7, std=0.1)
    warm = GraphBatch.from_graphs(graphs)
    rows = []
    for name, encode in every.items():
        encode(warm)
        spent = {"cold": float("inf"), "warm": float("inf")}
        for _ in range(repeat):
            for key, given in (("cold", graphs), ("warm", warm)):
                start = time.perf_counter()
                encode(given)
                spent[key] = min(spent[key], time.perf_counter() - start)
        rows.append({"encoder": name, "graphs": len(graphs), **spent})
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(out / TIMING, index=False)
    return rows
