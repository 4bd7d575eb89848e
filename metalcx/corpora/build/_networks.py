"""Networks that a recipe can ask for, by kind and settings; ordinary torch modules, so that many train stacked.

Every network takes (batch, ...) and gives (batch, n_out). Nothing in them depends on the values that flow through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from metalcx.corpora.build._convolutional import cell_network, cnn
from metalcx.corpora.build._layers import activation_of, dropped, normed
from metalcx.corpora.build._sequential import attention, recurrent, temporal_conv
from metalcx.errors import DataError, name_some


class Residual(nn.Module):
    """Adds its input to what `body` makes of it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width) -> (batch, width)."""
        return x + self.body(x)


def mlp(
    shape: tuple[int, ...],
    n_out: int,
    *,
    widths: tuple[int, ...],
    activation: str,
    norm: str,
    dropout: float,
    residual: bool,
) -> nn.Module:
    """A perceptron; with `residual`, each layer between equal widths adds its input to its output.

    Args:
        shape: Of one example; flattened.
        n_out: Outputs.
        widths: Of the hidden layers.
        activation: See `ACTIVATIONS`.
        norm: ``none``, ``batch`` or ``layer``.
        dropout: Share dropped after each hidden layer.
        residual: Whether layers are skipped.
    """
    n_in = int(torch.Size(shape).numel())
    layers: list[nn.Module] = [nn.Flatten()] if len(shape) > 1 else []
    for width in widths:
        parts = [nn.Linear(n_in, width), *normed(norm, width, 1), activation_of(activation)]
        body = nn.Sequential(*parts, *dropped(dropout))
        layers.append(Residual(body) if residual and width == n_in else body)
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "cell-cnn": cell_network,
    "recurrent": recurrent,
    "attention": attention,
    "temporal-conv": temporal_conv,
}


def build_network(kind: str, settings: Mapping[str, Any], shape: tuple[int, ...], n_out: int) -> nn.Module:
    """The network of a kind; its weights are not to be used as they are, see `initialised`.

    Args:
        kind: A key of `NETWORKS`.
        settings: Its keyword arguments.
        shape: Of one example.
        n_out: Outputs.

    Raises:
        DataError: If there is no such kind.
    """
    if kind not in NETWORKS:
        raise DataError(f"no network is called {kind!r}; there are {name_some(NETWORKS, len(NETWORKS))}")
    return NETWORKS[kind](shape, n_out, **settings)
