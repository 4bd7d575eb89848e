"""Architectures as graphs: a DAG of operations, its rules, its hash, and tracing a torch module. Knows no curves."""

from metalcx.graphs._arch import ArchGraph as ArchGraph
from metalcx.graphs._rules import graph_problem as graph_problem
from metalcx.graphs._trace import trace as trace

__all__ = ["ArchGraph", "graph_problem", "trace"]
