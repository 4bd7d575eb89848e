"""Architectures as graphs: a DAG of operations, its rules, its hash, what its operations are, and
tracing a torch module. Knows no curves.
"""

from metalcx.graphs._arch import ArchGraph as ArchGraph
from metalcx.graphs._rules import graph_problem as graph_problem
from metalcx.graphs._trace import trace as trace
from metalcx.graphs._vocabulary import FEATURES as FEATURES
from metalcx.graphs._vocabulary import describe as describe

__all__ = ["FEATURES", "ArchGraph", "describe", "graph_problem", "trace"]
