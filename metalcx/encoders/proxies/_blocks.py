"""What the operations of a search space are in an untrained network: convolutions after activations, and pooling."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from metalcx.encoders._batch import GraphBatch
from metalcx.errors import DataError, name_some

#: Operations that hand on what they read.
PASSING = ("input", "output", "skip_connect", "skip", "identity")

_CONVOLUTION = re.compile(r"(?:nor_conv_|lif(?P<threshold>\d+(?:\.\d+)?)_conv)(?P<kernel>[1357])x(?P=kernel)", re.ASCII)
_POOLING = re.compile(r"avg_pool_([357])x\1", re.ASCII)
_BOTTLENECK = re.compile(r"mbconv([357])x\1_e([1-9])", re.ASCII)


class Layer(NamedTuple):
    """A convolution between an activation and a batch normalisation.

    Attributes:
        kernel: Its side, odd.
        reads: Channels that it reads, in multiples of those of the network.
        writes: Channels that it gives, likewise.
        depthwise: Whether each channel is convolved by itself.
        threshold: Of the activation before it, max(0, x - threshold); None where there is none.
    """

    kernel: int
    reads: int = 1
    writes: int = 1
    depthwise: bool = False
    threshold: float | None = 0.0

    def fan_in(self, channels: int) -> int:
        """Numbers of which one that it gives is the weighted sum."""
        return self.kernel**2 * (1 if self.depthwise else self.reads * channels)


class Block(NamedTuple):
    """What an operation does: average over a window, pass through layers, and add what was read.

    Attributes:
        layers: In order.
        pool: Side of the window; 0 without.
        residual: Whether what was read is added.
    """

    layers: tuple[Layer, ...] = ()
    pool: int = 0
    residual: bool = False


@lru_cache(maxsize=1024)
def block_of(word: str) -> Block | None:
    """The block that an operation stands for, None if no network is known for it.

    Operations are those of NAS-Bench-201, read as they are. Those of SpikeNAS-Bench are one step of a spiking network:
    what is written into the word, as in ``lif1.0_conv3x3``, is taken for the threshold of its neurons, which here
    hand on by how much it is exceeded. Blocks of NAS-Bench-Macro, such as ``mbconv3x3_e3``, are inverted bottlenecks
    without a change of size; a graph of them is a network, not a cell.
    """
    if word in PASSING:
        return Block()
    if match := _CONVOLUTION.fullmatch(word):
        return Block((Layer(int(match["kernel"]), threshold=float(match["threshold"] or 0)),))
    if match := _POOLING.fullmatch(word):
        return Block(pool=int(match[1]))
    if match := _BOTTLENECK.fullmatch(word):
        kernel, wide = int(match[1]), int(match[2])
        inner = Layer(kernel, wide, wide, depthwise=True)
        return Block((Layer(1, writes=wide, threshold=None), inner, Layer(1, reads=wide)), residual=True)
    return None


def has_network(words: Iterable[str]) -> bool:
    """Whether networks can be made of graphs of these operations."""
    return all(block_of(word) is not None for word in set(words))


def is_network(words: Iterable[str]) -> bool:
    """Whether a graph of these operations is a whole network, which is not to be stacked."""
    return any(_BOTTLENECK.fullmatch(word) for word in set(words))


def checked(batch: GraphBatch) -> GraphBatch:
    """The batch, if networks can be made of it.

    Raises:
        DataError: If there is an operation for which none is known.
    """
    unknown = sorted(word for word in set(batch.words) if block_of(word) is None)
    if unknown:
        raise DataError(
            f"no network is known for operations {name_some(unknown)}; use parameters or macs as proxy for such graphs"
        )
    return batch
