"""NAS-Bench-NLP: recurrent cells as recipes (Klyuchnikov et al., IEEE Access 2022)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from metalcx._json import loads
from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import prune
from metalcx.graphs._rules import neighbours
from metalcx.graphs._words import operation, plain_words, refuse

_WHAT = "the recipe of NAS-Bench-NLP"
_NEW_STATE = re.compile(r"h_new_\d+")


def from_nasbench_nlp(recipe: Mapping[str, Any] | str) -> ArchGraph:
    """The graph of a recipe ``{name: {"op": word, "input": [names]}}``, or of such an object as JSON.

    Names that are read but not computed (``x``, ``h_prev_0``) are inputs; the new states, ``h_new_0`` and so on, lead
    to the output, and may be read as well. Which input is which, and the order of operands, the graph leaves open.

    Raises:
        DataError: If it is no such object, has no new state, or computes a name from itself.
    """
    found = _from_json(recipe) if isinstance(recipe, str) else recipe
    if not isinstance(found, Mapping) or not any(_NEW_STATE.fullmatch(str(name)) for name in found):
        raise refuse(_WHAT, recipe, "is no object of operations with a new state, such as h_new_0")
    inputs = {str(name): _inputs(name, node, recipe) for name, node in found.items()}
    states = list(dict.fromkeys(source for sources in inputs.values() for source in sources if source not in inputs))
    if not states:
        raise refuse(_WHAT, recipe, "reads nothing that it does not compute itself, such as x")
    number = {name: i for i, name in enumerate([*states, *inputs])}
    nodes = [{"op": "input"}] * len(states) + [{"op": operation(node["op"], _WHAT, recipe)} for node in found.values()]
    edges = [(number[source], number[name]) for name, sources in inputs.items() for source in sources]
    edges += [(number[name], len(nodes)) for name in inputs if _NEW_STATE.fullmatch(name)]
    try:
        return prune([*nodes, {"op": "output"}], edges)
    except DataError as error:
        raise refuse(_WHAT, recipe, str(error)) from error


def _from_json(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise refuse(_WHAT, text, f"is not JSON ({error})") from error


def _inputs(name: object, node: Any, recipe: object) -> list[str]:
    sources = node.get("input") if isinstance(node, Mapping) and "op" in node else None
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise refuse(_WHAT, recipe, f'{name!r:.40} is {node!r:.40}, not {{"op": word, "input": [names]}}')
    return sources


def to_nasbench_nlp(graph: ArchGraph) -> dict[str, dict[str, Any]]:
    """A recipe that `from_nasbench_nlp` makes this graph of, under new names.

    Raises:
        DataError: If an input leads to the output by itself, or operations have attributes.
    """
    before, after = neighbours(len(graph.nodes), graph.edges)
    words = plain_words(graph, _WHAT)
    output = words.index("output")
    inputs = [i for i, word in enumerate(words) if word == "input"]
    if not before[output] or any(output in after[i] for i in inputs):
        raise DataError(f"the graph hands an input to the output; in {_WHAT} operations compute what goes there")
    names = dict(zip(inputs, ["x", *(f"h_prev_{k}" for k in range(len(inputs) - 1))], strict=True))
    names |= {i: f"h_new_{k}" for k, i in enumerate(before[output])}
    rest = [i for i in range(len(words)) if i not in inputs and i != output]
    names |= {i: f"node_{i}" for i in rest if i not in names}
    return {names[i]: {"op": words[i], "input": [names[source] for source in before[i]]} for i in rest}
