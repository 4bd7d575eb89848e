"""What parsers of published formats share: errors that name the text, and which words may be operations."""

from __future__ import annotations

from typing import Any

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph


def refuse(what: str, spec: object, problem: str) -> DataError:
    """An error that names the kind of text, the text and what is wrong with it, in one line."""
    shown = spec if isinstance(spec, str) else repr(spec)
    return DataError(f"{what} {shown if len(shown) <= 100 else shown[:97] + '...'!r}: {problem}")


def operation(word: object, what: str, spec: object) -> str:
    """The word of an operation that a cell may hold.

    Raises:
        DataError: If it is none.
    """
    if not isinstance(word, str) or not word or word in ("input", "output"):
        raise refuse(what, spec, f"{word!r:.40} is no operation")
    return word


def plain_words(graph: ArchGraph, what: str) -> list[Any]:
    """The words of the nodes.

    Raises:
        DataError: If a node has attributes, which `what` could not state.
    """
    more = next((node for node in graph.nodes if len(node) > 1), None)
    if more is not None:
        raise DataError(f"the graph has the operation {more!r:.60}; in {what} it is a word alone")
    return [node["op"] for node in graph.nodes]
