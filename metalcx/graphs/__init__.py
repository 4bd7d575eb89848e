"""Architectures as graphs: a DAG of operations, the rules that hold for it, and its hash. Knows nothing of curves."""

from metalcx.graphs._arch import ArchGraph as ArchGraph
from metalcx.graphs._rules import graph_problem as graph_problem

__all__ = ["ArchGraph", "graph_problem"]
