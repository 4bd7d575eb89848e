"""Reads a traced graph by its operations."""


def ops(graph):
    return [node["op"] for node in graph.nodes]


def only(graph, op):
    (node,) = [node for node in graph.nodes if node["op"] == op]
    return node


def sources(graph, op, nth=0):
    """The operations that the nth node of this word reads from."""
    i = [k for k, found in enumerate(ops(graph)) if found == op][nth]
    return [graph.nodes[source]["op"] for source, target in graph.edges if target == i]
