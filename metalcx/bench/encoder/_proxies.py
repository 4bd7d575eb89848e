"""Zero-cost proxies of a space: those of one graph for all that are the same, kept where they take minutes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metalcx.bench._files import write_whole
from metalcx.encoders import GraphBatch, known_proxies, known_proxy

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def best_proxy(graphs: GraphBatch, same: IntArray) -> tuple[str | None, FloatArray]:
    """Name and values of the proxy that the space is ranked by, shape (m,).

    Args:
        graphs: Of networks, so without what does nothing, m of them.
        same: The same number for those that differ in their numbering alone, shape (m,).
    """
    first, place = first_of(same)
    name, values = known_proxy(graphs.take(first))
    return name, values[place]


def several_proxies(graphs: GraphBatch, same: IntArray, path: Path | None) -> tuple[tuple[str, ...], FloatArray]:
    """Names and values of all proxies that are tried, shape (m, p); see `best_proxy`.

    Args:
        graphs: The graphs.
        same: Which are the same.
        path: A file to read them from if it is there and of these graphs, and to write them to.
    """
    first, place = first_of(same)
    asked = graphs.take(first)
    of = hashlib.sha256(asked.edges.tobytes() + asked.features.tobytes()).hexdigest()
    if path is not None and path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["of"] == of:
            return tuple(known["names"]), np.array(known["values"])[place]
    names, values = known_proxies(asked)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"of": of, "names": names, "values": values.tolist()}))
    return names, values[place]


def first_of(same: IntArray) -> tuple[IntArray, IntArray]:
    """The first of all that share a number, shape (u,), and for each its place among those, shape of `same`."""
    first, place = np.unique(same, return_index=True, return_inverse=True)[1:]
    return np.asarray(first, dtype=np.int64), np.asarray(place, dtype=np.int64)
