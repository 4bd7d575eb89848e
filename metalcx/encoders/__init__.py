"""Architectures as vectors: the flow surrogate of a graph, encoders, their pre-training. Knows no curves or tasks."""

from metalcx.encoders._batch import Graph as Graph
from metalcx.encoders._batch import GraphBatch as GraphBatch
from metalcx.encoders._flow import FlowSurrogate as FlowSurrogate
from metalcx.encoders._flow import words_of as words_of

__all__ = ["FlowSurrogate", "Graph", "GraphBatch", "words_of"]
