"""Encoders: from graphs to vectors, learned, behind one protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx._weights import check_sizes
from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._inputs import Inputs, inputs_of
from metalcx.encoders._layers import FlowLayer, GatedLayer, GINLayer, summed
from metalcx.errors import DataError, ModelError, name_some
from metalcx.graphs import FEATURES

#: Nodes that are encoded at once: few enough for the cache, many enough for the matrix products.
CHUNK = 8192


@runtime_checkable
class Encoder(Protocol):
    """Whatever turns graphs into vectors."""

    @property
    def width(self) -> int:
        """Numbers a graph."""
        ...

    def encode(self, graphs: Sequence[Graph] | GraphBatch) -> FloatArray:
        """Embeddings of float32, shape (graphs, width).

        Neither the numbering of a graph's nodes nor which other graphs there are matters, but for rounding.
        """
        ...


@dataclass(frozen=True)
class EncoderConfig:
    """What a learned encoder is made of.

    Args:
        kind: ``gin``, ``gated-gcn`` or ``flow``.
        hidden: Width of the values of nodes.
        layers: Rounds of messages.
        dropout: After each layer, in training.

    Raises:
        DataError: If there is no such kind, or a size that cannot be.
    """

    kind: str = "gated-gcn"
    hidden: int = 128
    layers: int = 3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"no encoder of kind {self.kind!r:.40}; there are {name_some(sorted(KINDS))}")
        if self.hidden < 1 or self.layers < 1 or not 0 <= self.dropout < 1:
            raise DataError(
                "hidden and layers are at least 1, dropout from 0 to less than 1; "
                f"got {self.hidden}, {self.layers}, {self.dropout}"
            )


class GraphEncoder(nn.Module):
    """A network over graphs whose nodes come in as `metalcx.graphs.describe` has them; an `Encoder`.

    Args:
        config: Kind and sizes.
    """

    #: Whether it walks along the edges, level by level.
    walks: ClassVar[bool] = False

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)

    @property
    def width(self) -> int:
        """Numbers a graph."""
        return self.config.hidden

    def forward(self, graphs: GraphBatch | Inputs) -> Tensor:
        """Embeddings as the training sees them, shape (graphs, width): the mean over each graph's nodes."""
        inputs = inputs_of(graphs, self.walks) if isinstance(graphs, GraphBatch) else graphs
        return summed(self.nodes(inputs), inputs.graph, len(inputs.size)) / inputs.size[:, None]

    def nodes(self, inputs: Inputs) -> Tensor:
        """Values of all nodes, shape (N, width), from their descriptions."""
        raise NotImplementedError

    def encode(self, graphs: Sequence[Graph] | GraphBatch) -> FloatArray:
        """Embeddings without dropout and gradients, of float32, shape (graphs, width)."""
        batch, training = as_batch(graphs), self.training
        found = [np.zeros((0, self.width), np.float32)]
        with torch.inference_mode():
            self.eval()
            found += [self(batch.take(part)).numpy() for part in chunks(batch)]
            self.train(training)
        return np.concatenate(found)

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values, and what the columns of its input mean."""
        return {**asdict(self.config), "features": list(FEATURES)}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}

    @staticmethod
    def build(config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> GraphEncoder:
        """The encoder of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If it was made for other descriptions of operations, or the tensors do not fit.
        """
        known = dict(config)
        if known.pop("features", None) != list(FEATURES):
            raise ModelError("the encoder was made for other descriptions of operations than this version has; retrain")
        try:
            size = EncoderConfig(**known)
            check_sizes(lambda: new_encoder(size), size, tensors)
            encoder = new_encoder(size)
            encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
        except (TypeError, RuntimeError) as error:
            raise ModelError(f"configuration and tensors do not make an encoder: {error!s:.200}") from None
        return encoder.eval()


class GIN(GraphEncoder):
    """Graph isomorphism network on undirected edges; the values after every layer stand side by side."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        widths = [len(FEATURES), *[config.hidden] * config.layers]
        self.layers = nn.ModuleList(GINLayer(a, b) for a, b in pairwise(widths))

    @property
    def width(self) -> int:
        """Numbers a graph."""
        return self.config.hidden * self.config.layers

    def nodes(self, inputs: Inputs) -> Tensor:
        """Values of all nodes, shape (N, width)."""
        x, found = inputs.x, []
        for layer in self.layers:
            x = self.dropout(torch.relu(layer(x, inputs.edges)))
            found.append(x)
        return torch.cat(found, dim=1)


class GatedGCN(GraphEncoder):
    """Residual gated convolutions on undirected edges, a fifth of the first values kept in every layer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.first = nn.Linear(len(FEATURES), config.hidden)
        self.layers = nn.ModuleList(GatedLayer(config.hidden) for _ in range(config.layers))

    def nodes(self, inputs: Inputs) -> Tensor:
        """Values of all nodes, shape (N, width)."""
        x = first = self.first(inputs.x)
        for layer in self.layers:
            x = self.dropout(torch.relu(0.2 * first + 0.8 * layer(x, inputs.edges)))
        return x


class FlowEncoder(GraphEncoder):
    """Recurrent along the edges, there and back in every layer: what the others learn from the flow surrogate.

    As many steps as the graph is deep, in which a batch is walked generation by generation: the slow yardstick.
    """

    walks = True

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.first = nn.Linear(len(FEATURES), config.hidden)
        self.layers = nn.ModuleList(FlowLayer(config.hidden) for _ in range(config.layers))

    def nodes(self, inputs: Inputs) -> Tensor:
        """Values of all nodes, shape (N, width)."""
        x = self.first(inputs.x)
        for layer in self.layers:
            x = self.dropout(layer(x, inputs.there, inputs.back))
        return x


KINDS: dict[str, type[GraphEncoder]] = {"gin": GIN, "gated-gcn": GatedGCN, "flow": FlowEncoder}


def new_encoder(config: EncoderConfig, seed: int = 0) -> GraphEncoder:
    """An untrained encoder; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return KINDS[config.kind](config)


def chunks(batch: GraphBatch) -> list[npt.NDArray[np.int64]]:
    """Numbers of graphs, side by side, of about `CHUNK` nodes together."""
    cuts = np.flatnonzero(np.diff(batch.offsets[1:] // CHUNK)) + 1
    return [part for part in np.split(np.arange(len(batch)), cuts) if len(part)]
