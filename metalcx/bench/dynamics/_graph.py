"""Graphs as the latent dynamics read them: one vector an architecture, learned together or given."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from metalcx.bench.dynamics._fold import Fold
from metalcx.curves._batch import IntArray
from metalcx.encoders import EncoderConfig, GraphBatch, new_encoder
from metalcx.encoders._inputs import Inputs, inputs_of
from metalcx.encoders._layers import summed

#: Rounds of messages, as in the paper's code.
LAYERS = 2

#: What reads architectures without having seen a curve; it ships with metalcx.
ENCODER = "metalcx-encoder"


class LearnedGraph(nn.Module):
    """Gated graph convolutions and attention pooling (the paper's `diff` pooling with one cluster), trained jointly.

    Args:
        graphs: All graphs that will be asked for.
        width: Numbers a graph.
    """

    def __init__(self, graphs: GraphBatch, width: int) -> None:
        super().__init__()
        self.inputs = inputs_of(graphs, walked=False)
        # The seed is that of the model around it.
        seed = int(torch.randint(2**31, (1,)))
        self.messages = new_encoder(EncoderConfig("gated-gcn", hidden=width, layers=LAYERS, dropout=0.0), seed)
        self.score = nn.Linear(width, 1)

    def forward(self, arch: Tensor) -> Tensor:
        """Vectors of some graphs, shape (b, width)."""
        nodes = self.messages.nodes(self.inputs)
        return pooled(nodes, self.score(nodes)[:, 0], self.inputs)[arch]


class GivenGraph(nn.Module):
    """Embeddings of an encoder that stays as it is, in units of the training architectures, and projected.

    All numbers have one unit: of a few architectures some hardly differ, and would put others far away.

    Args:
        embeddings: Of all graphs, shape (graphs, numbers).
        known: Graphs of the training runs.
        width: Numbers a graph.
    """

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, known: IntArray, width: int) -> None:
        super().__init__()
        mine = embeddings[torch.from_numpy(np.unique(known))]
        unit = (mine - mine.mean(0)).square().mean().sqrt()
        self.register_buffer("embeddings", (embeddings - mine.mean(0)) / (unit + 1e-9))
        self.project = nn.Linear(embeddings.shape[1], width)

    def forward(self, arch: Tensor) -> Tensor:
        """Vectors of some graphs, shape (b, width)."""
        return self.project(self.embeddings[arch])


def learned(fold: Fold, width: int) -> LearnedGraph:
    """A reader of a task's graphs that learns with the rest."""
    return LearnedGraph(fold.task.graphs, width)


def given(fold: Fold, width: int) -> GivenGraph:
    """A reader of a task's graphs by the encoder that ships with metalcx."""
    from metalcx import hub

    embeddings = hub.load_encoder(ENCODER).encode(fold.task.graphs)
    return GivenGraph(torch.from_numpy(embeddings), fold.task.arch[fold.train], width)


def pooled(nodes: Tensor, score: Tensor, inputs: Inputs) -> Tensor:
    """Means over each graph's nodes by the softmax of their scores, shape (graphs, width)."""
    n = len(inputs.size)
    top = torch.full((n,), -torch.inf, dtype=score.dtype).scatter_reduce(0, inputs.graph, score.detach(), "amax")
    weight = (score - top[inputs.graph]).exp()[:, None]
    return summed(weight * nodes, inputs.graph, n) / summed(weight, inputs.graph, n)
