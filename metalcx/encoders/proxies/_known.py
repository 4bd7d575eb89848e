"""Which proxies are known for the graphs of a space: of networks, of counts, or of what the operations are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from metalcx.encoders._batch import Graph, GraphBatch, as_batch
from metalcx.encoders.proxies._activity import nwot, zen
from metalcx.encoders.proxies._blocks import has_network, is_network
from metalcx.encoders.proxies._gradients import fisher, gradient_norm, jacob_cov, snip
from metalcx.encoders.proxies._network import Network, Proxy
from metalcx.encoders.proxies._synflow import synflow
from metalcx.errors import DataError, name_some
from metalcx.graphs import FEATURES

#: Proxies of networks, as they are called.
PROXIES: dict[str, Callable[[GraphBatch, Network | None], Proxy]] = {
    "synflow": synflow,
    "gradient_norm": gradient_norm,
    "snip": snip,
    "fisher": fisher,
    "jacob_cov": jacob_cov,
    "nwot": nwot,
    "zen": zen,
}

#: Kinds of operations that have weights, as `metalcx.graphs.describe` tells them.
WEIGHTED = ("conv", "linear", "attention", "recurrent", "message", "embedding")


def parameters(graphs: Sequence[Graph] | GraphBatch) -> Proxy:
    """Parameters of each graph, shape (graphs,), as its nodes count them."""
    return as_batch(graphs).total("params")


def macs(graphs: Sequence[Graph] | GraphBatch) -> Proxy:
    """Multiply-accumulates of each graph, shape (graphs,), as its nodes count them."""
    return as_batch(graphs).total("macs")


def kernels(graphs: Sequence[Graph] | GraphBatch) -> Proxy:
    """Parameters of each graph were all its channels one, shape (graphs,): sizes of kernels, 1 for any other weights.

    Needs no counts: what has weights, and of which kernel, is read off the words and attributes of operations.
    """
    batch = as_batch(graphs)
    column = {name: i for i, name in enumerate(FEATURES)}
    weighted = batch.features[:, [column[kind] for kind in WEIGHTED]].any(1)
    # `describe` gives the side x of a kernel as log2(1 + x) / 3.
    sides = [np.exp2(3 * batch.features[:, column[name]].astype(np.float64)) - 1 for name in ("kernel", "kernel_width")]
    own = weighted * np.maximum(1, np.rint(sides[0])) * np.maximum(1, np.rint(sides[1]))
    return np.bincount(batch.graph, own, len(batch)).astype(np.float64)


def known_proxies(
    graphs: Sequence[Graph] | GraphBatch, names: Sequence[str] = ("synflow", "nwot", "zen")
) -> tuple[tuple[str, ...], Proxy]:
    """Proxies of graphs of one space: the named ones if networks can be made of the graphs, else what can be counted.

    Args:
        graphs: Graphs.
        names: Of proxies of networks, among `synflow`, `gradient_norm`, `snip`, `fisher`, `jacob_cov`, `nwot`, `zen`.

    Returns:
        Names and values, shape (graphs, names). Counts are those of `parameters`, `macs` and, where neither is known,
        `kernels`, that tell graphs apart; there may be none.

    Raises:
        DataError: If a name is not known.
    """
    unknown = [name for name in names if name not in PROXIES]
    if unknown:
        raise DataError(f"no proxy of networks is called {name_some(unknown)}; there are {name_some(PROXIES, 9)}")
    batch = as_batch(graphs)
    if has_network(batch.words):
        network = Network(cells=1) if is_network(batch.words) else None
        found = {name: PROXIES[name](batch, network) for name in names}
    else:
        found = _counted(batch)
    return tuple(found), np.column_stack([np.zeros((len(batch), 0)), *found.values()])


def _counted(batch: GraphBatch) -> dict[str, Proxy]:
    """Counts that tell graphs apart, and only if none of those in the nodes does, that of kernels."""
    counted = {"parameters": parameters(batch), "macs": macs(batch)}
    for found in (counted, {"kernels": kernels(batch)}):
        if telling := {name: proxy for name, proxy in found.items() if len(np.unique(proxy)) > 1}:
            return telling
    return {}


def known_proxy(graphs: Sequence[Graph] | GraphBatch) -> tuple[str | None, Proxy]:
    """The first of `known_proxies`, by name: synflow, parameters, macs or kernels.

    Returns:
        The name and the proxy, shape (graphs,); None and NaN where no proxy tells the graphs apart.
    """
    names, values = known_proxies(graphs, ["synflow"])
    return (names[0], values[:, 0]) if names else (None, np.full(len(values), np.nan))
