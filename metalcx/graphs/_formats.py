"""The formats in which corpora and people state an architecture, by name."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._cells import from_cell_6edge, from_nasbench201
from metalcx.graphs._chains import from_layers, from_metaqnn, from_nasbench_macro, from_rnn
from metalcx.graphs._genotype import from_genotype
from metalcx.graphs._graph_nets import from_nasbench_graph
from metalcx.graphs._nasbench101 import from_nasbench101_json
from metalcx.graphs._recipes import from_nasbench_nlp

FORMATS: MappingProxyType[str, Callable[[str], ArchGraph]] = MappingProxyType(
    {
        "nasbench101": from_nasbench101_json,
        "nasbench201": from_nasbench201,
        "cell-6edge": from_cell_6edge,
        "genotype": from_genotype,
        "nasbench-nlp": from_nasbench_nlp,
        "nas-bench-graph": from_nasbench_graph,
        "nas-bench-macro": from_nasbench_macro,
        "metaqnn": from_metaqnn,
        "rnn": from_rnn,
        "layers": from_layers,
        "graph": ArchGraph.from_json,
    }
)
"""From the name of a format, as in the column ``format`` of a corpus, to what reads its texts."""


def parse(spec: str, format: str) -> ArchGraph:
    """The functional graph of an architecture that is stated in a published format.

    Args:
        spec: The text, as in the column ``spec`` of a corpus.
        format: One of `FORMATS`.

    Raises:
        DataError: If the format is not known, or the text is not of it; one line that says what is wrong where.
    """
    if format not in FORMATS:
        raise DataError(f"the format {format!r:.40} is not known; known are {', '.join(FORMATS)}")
    if not isinstance(spec, str):
        raise DataError(f"an architecture of the format {format} is a text, not {type(spec).__name__}")
    return FORMATS[format](spec)
