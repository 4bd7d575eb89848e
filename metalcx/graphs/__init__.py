"""Architectures as graphs: a DAG of operations, its rules, its hash, what its operations are; parsers of published
search spaces, and tracing a torch module. Knows no curves.
"""

from metalcx.graphs._arch import ArchGraph as ArchGraph
from metalcx.graphs._cells import all_nasbench201 as all_nasbench201
from metalcx.graphs._cells import from_cell_6edge as from_cell_6edge
from metalcx.graphs._cells import from_nasbench201 as from_nasbench201
from metalcx.graphs._cells import to_nasbench201 as to_nasbench201
from metalcx.graphs._chains import all_nasbench_macro as all_nasbench_macro
from metalcx.graphs._chains import from_layers as from_layers
from metalcx.graphs._chains import from_metaqnn as from_metaqnn
from metalcx.graphs._chains import from_nasbench_macro as from_nasbench_macro
from metalcx.graphs._chains import from_rnn as from_rnn
from metalcx.graphs._chains import to_metaqnn as to_metaqnn
from metalcx.graphs._chains import to_nasbench_macro as to_nasbench_macro
from metalcx.graphs._draw import draw as draw
from metalcx.graphs._formats import FORMATS as FORMATS
from metalcx.graphs._formats import parse as parse
from metalcx.graphs._genotype import from_genotype as from_genotype
from metalcx.graphs._graph_nets import all_nasbench_graph as all_nasbench_graph
from metalcx.graphs._graph_nets import from_nasbench_graph as from_nasbench_graph
from metalcx.graphs._graph_nets import to_nasbench_graph as to_nasbench_graph
from metalcx.graphs._nasbench101 import from_nasbench101 as from_nasbench101
from metalcx.graphs._nasbench101 import to_nasbench101 as to_nasbench101
from metalcx.graphs._prune import prune as prune
from metalcx.graphs._recipes import from_nasbench_nlp as from_nasbench_nlp
from metalcx.graphs._recipes import to_nasbench_nlp as to_nasbench_nlp
from metalcx.graphs._rules import graph_problem as graph_problem
from metalcx.graphs._trace import trace as trace
from metalcx.graphs._vocabulary import FEATURES as FEATURES
from metalcx.graphs._vocabulary import describe as describe

__all__ = [
    "FEATURES",
    "FORMATS",
    "ArchGraph",
    "all_nasbench201",
    "all_nasbench_graph",
    "all_nasbench_macro",
    "describe",
    "draw",
    "from_cell_6edge",
    "from_genotype",
    "from_layers",
    "from_metaqnn",
    "from_nasbench101",
    "from_nasbench201",
    "from_nasbench_graph",
    "from_nasbench_macro",
    "from_nasbench_nlp",
    "from_rnn",
    "graph_problem",
    "parse",
    "prune",
    "to_metaqnn",
    "to_nasbench101",
    "to_nasbench201",
    "to_nasbench_graph",
    "to_nasbench_macro",
    "to_nasbench_nlp",
    "trace",
]
