"""Networks for sequences of shape (batch, length, channels): recurrent, attention, temporal convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metalcx.corpora.build._layers import activation_of, dropped, normed

#: Gates of each cell.
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class RecurrentLayer(nn.Module):
    """One layer of a recurrent network, written out: torch's own cannot be stacked.

    Args:
        cell: ``rnn`` (tanh), ``gru`` (Cho et al. 2014, as in torch) or ``lstm`` (forget bias 1).
        n_in: Channels in.
        hidden: Channels out.
    """

    def __init__(self, cell: str, n_in: int, hidden: int) -> None:
        super().__init__()
        self.cell, self.hidden = cell, hidden
        self.into = nn.Linear(n_in, GATES[cell] * hidden)
        self.again = nn.Linear(hidden, GATES[cell] * hidden)
        # Read by the tracer: one operation, however many steps it takes.
        self.graph_node: dict[str, Any] = {"op": cell, "hidden": hidden, "layers": 1}

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, n_in) -> states (batch, length, hidden)."""
        given: Tensor = self.into(x)
        h = torch.zeros_like(given[:, 0, : self.hidden])
        c = h
        states = []
        # `unbind`, because the gradient of one index a step would fill the whole sequence with zeros each time.
        for step in given.unbind(1):
            h, c = self._step(step, h, c)
            states.append(h)
        return torch.stack(states, 1)

    def _step(self, given: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        again = self.again(h)
        if self.cell == "rnn":
            return torch.tanh(given + again), c
        if self.cell == "gru":
            (a, b, n), (p, q, m) = given.chunk(3, -1), again.chunk(3, -1)
            reset, update = torch.sigmoid(a + p), torch.sigmoid(b + q)
            return (1 - update) * torch.tanh(n + reset * m) + update * h, c
        i, f, g, o = (given + again).chunk(4, -1)
        c = torch.sigmoid(f + 1.0) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Last(nn.Module):
    """The last step, or the mean over steps."""

    def __init__(self, mean: bool) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, channels) -> (batch, channels)."""
        return x.mean(1) if self.mean else x[:, -1]


def recurrent(
    shape: tuple[int, ...], n_out: int, *, cell: str, hidden: int, layers: int, mean: bool, dropout: float
) -> nn.Module:
    """Recurrent layers, the last state or the mean of all, linear read-out."""
    sizes = [shape[-1], *[hidden] * layers]
    parts: list[nn.Module] = [RecurrentLayer(cell, n, hidden) for n in sizes[:-1]]
    return nn.Sequential(*parts, Last(mean), *dropped(dropout), nn.Linear(hidden, n_out))


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.graph_node: dict[str, Any] = {"op": "attention", "heads": heads}

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width), the same out."""
        b, n, width = x.shape
        q, k, v = self.project(x).reshape(b, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weight = functional.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, -1)
        mixed: Tensor = self.out((weight @ v).transpose(1, 2).reshape(b, n, width))
        return mixed


class AttentionBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), SelfAttention(width, heads))
        wide = [nn.LayerNorm(width), nn.Linear(width, 2 * width), activation_of(activation)]
        self.feed = nn.Sequential(*wide, nn.Linear(2 * width, width), *dropped(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width), the same out."""
        x = x + self.attend(x)
        return x + self.feed(x)


class Embedding(nn.Module):
    """Linear map of each step, plus a learned vector for its place."""

    def __init__(self, length: int, n_in: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(n_in, width)
        self.place = nn.Parameter(torch.zeros(length, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, n_in) -> (batch, length, width)."""
        placed: Tensor = self.into(x) + self.place
        return placed


def attention(
    shape: tuple[int, ...], n_out: int, *, width: int, heads: int, blocks: int, activation: str, dropout: float
) -> nn.Module:
    """A small transformer encoder, mean over steps, linear read-out."""
    body = [AttentionBlock(width, heads, activation, dropout) for _ in range(blocks)]
    return nn.Sequential(
        Embedding(shape[0], shape[1], width), *body, nn.LayerNorm(width), Last(mean=True), nn.Linear(width, n_out)
    )


class ChannelsFirst(nn.Module):
    """(batch, length, channels) -> (batch, channels, length)."""

    def forward(self, x: Tensor) -> Tensor:
        """Transpose."""
        return x.transpose(1, 2)


def temporal_conv(
    shape: tuple[int, ...],
    n_out: int,
    *,
    channels: int,
    blocks: int,
    kernel: int,
    activation: str,
    norm: str,
    dropout: float,
) -> nn.Module:
    """Convolutions over time whose reach doubles with each block, mean over steps, linear read-out."""
    layers: list[nn.Module] = [ChannelsFirst()]
    n_in = shape[1]
    for i in range(blocks):
        reach = min(2**i, max(1, (shape[0] - 1) // (kernel - 1)))
        conv = nn.Conv1d(n_in, channels, kernel, padding=reach * (kernel // 2), dilation=reach)
        # GroupNorm stands for layer norm here, over channels and time.
        layers += [conv, *normed(norm, channels, 2 if norm == "layer" else 1), activation_of(activation)]
        n_in = channels
    pooled: list[nn.Module] = [nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pooled, *dropped(dropout), nn.Linear(channels, n_out))
