"""Graphs of architectures that a source states as text."""

from __future__ import annotations

from typing import Any

from metalcx.errors import DataError
from metalcx.graphs import parse


def stated_graph(spec: str, format: str) -> dict[str, Any] | None:
    """The functional graph that `CorpusWriter.add_architecture` takes; None where the text has another form.

    Args:
        spec: The text.
        format: One of `metalcx.graphs.FORMATS`.
    """
    try:
        graph = parse(spec, format)
    except DataError:
        return None
    return {"nodes": list(graph.nodes), "edges": [list(edge) for edge in graph.edges]}
