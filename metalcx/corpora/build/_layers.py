"""Layers that networks of all kinds share."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "leaky-relu": nn.LeakyReLU,
}

#: Channels in one group of group normalisation.
GROUP = 4


def activation_of(name: str) -> nn.Module:
    """A fresh activation."""
    return ACTIVATIONS[name]()


def normed(norm: str, width: int, dimensions: int) -> list[nn.Module]:
    """No layer, or one that normalises `width` channels.

    Args:
        norm: ``none``, ``batch``, ``layer`` or ``group``.
        width: Channels.
        dimensions: 1 for (batch, width), 2 for (batch, width, height, width).
    """
    if norm == "none":
        return []
    if norm == "batch":
        return [nn.BatchNorm2d(width) if dimensions == 2 else nn.BatchNorm1d(width)]
    if norm == "layer":
        return [nn.LayerNorm(width) if dimensions == 1 else nn.GroupNorm(1, width)]
    return [nn.GroupNorm(max(1, width // GROUP), width)]


def dropped(share: float) -> list[nn.Module]:
    """No layer, or dropout of `share`."""
    return [nn.Dropout(share)] if share else []
