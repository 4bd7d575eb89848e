"""Zero-cost proxies: what can be said of an untrained network, for cells like those of NAS-Bench-201 and by counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, sqrt

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from metalcx.encoders._batch import Graph, GraphBatch, as_batch
from metalcx.encoders._layers import summed
from metalcx.errors import DataError, name_some

Proxy = npt.NDArray[np.float64]

#: Side of the kernel of each convolution that a cell may have.
CONVOLUTIONS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
CELL_WORDS = frozenset({"input", "output", "skip_connect", "avg_pool_3x3", *CONVOLUTIONS})

#: A convolution of all nodes of one kind at once: (kernel, nodes, values read) -> values.
Convolve = Callable[[int, Tensor, Tensor], Tensor]


def parameters(graphs: Sequence[Graph] | GraphBatch) -> Proxy:
    """Parameters of each graph, shape (graphs,), as its nodes count them."""
    return as_batch(graphs).total("params")


def macs(graphs: Sequence[Graph] | GraphBatch) -> Proxy:
    """Multiply-accumulates of each graph, shape (graphs,), as its nodes count them."""
    return as_batch(graphs).total("macs")


def known_proxy(graphs: Sequence[Graph] | GraphBatch) -> tuple[str | None, Proxy]:
    """The best proxy that is known for graphs of one space, by name: synflow, parameters or macs.

    Returns:
        The name and the proxy, shape (graphs,); None and NaN where no proxy tells the graphs apart.
    """
    batch = as_batch(graphs)
    if set(batch.words) <= CELL_WORDS:
        return "synflow", synflow(batch)
    for proxy in (parameters, macs):
        values = proxy(batch)
        if len(set(values.tolist())) > 1:
            return proxy.__name__, values
    return None, np.full(len(batch), np.nan)


def synflow(graphs: Sequence[Graph] | GraphBatch, *, cells: int = 5, channels: int = 16, size: int = 8) -> Proxy:
    """Synaptic flow of networks made of each cell (Tanaka et al. 2020): the sum over weights w of |w| dR/d|w|.

    R is what an image of ones sums up to in a network of absolute weights without normalisation: a stem, the cell
    stacked, the mean over the image and a linear head. R is linear in every weight, and a path has each at most
    once; so the expectation over independent weights, which is what is returned, is synaptic flow at the mean
    |w| of Kaiming initialisation. Nothing is drawn, and as all channels are then alike, one is computed.

    Args:
        graphs: Cells of the operations of NAS-Bench-201.
        cells: Cells in a network.
        channels: Of every convolution.
        size: Side of the image.

    Returns:
        Shape (graphs,); 0 for a cell that lets nothing through.

    Raises:
        DataError: If a graph has another operation.
    """
    batch = _checked(as_batch(graphs))
    scale = torch.ones(cells, len(batch.nodes), dtype=torch.float64, requires_grad=True)
    x = torch.ones(len(batch), 1, size, size, dtype=torch.float64)
    for own in scale:

        def convolve(kernel: int, nodes: Tensor, read: Tensor, own: Tensor = own) -> Tensor:
            mean = sqrt(2 / (channels * kernel**2)) * sqrt(2 / pi)
            read = functional.avg_pool2d(read, kernel, 1, kernel // 2) * kernel**2
            return read * (own[nodes] * channels * mean)[:, None, None, None]

        x = _through(batch, x, convolve)
    total = x.mean((1, 2, 3))
    found = 2 * total.detach().numpy()  # the stem and the head, R for each
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total.sum(), scale)
        found += np.bincount(batch.graph, gradient.sum(0).numpy(), len(batch))
    return np.asarray(found)


def gradient_norm(
    graphs: Sequence[Graph] | GraphBatch,
    *,
    cells: int = 3,
    channels: int = 8,
    size: int = 8,
    examples: int = 8,
    seed: int = 0,
    chunk: int = 256,
) -> Proxy:
    """Norms of the gradient of a cross-entropy in each convolution, summed, of untrained networks made of each cell.

    After Abdelfattah et al. 2021. A network is `cells` cells of ReLU, convolution and batch normalisation, the mean
    over the image, and a linear head with ten classes; images, labels and head are drawn once for all networks.
    Convolutions of a network have weights of their own, the nth of a size (by generation, then as numbered) the same in
    every network.

    Args:
        graphs: Cells of the operations of NAS-Bench-201.
        cells: Cells in a network.
        channels: Of every convolution.
        size: Side of the images.
        examples: Images.
        seed: Of weights, images and labels.
        chunk: Networks that are computed at once.

    Returns:
        Shape (graphs,); 0 for a cell that lets nothing through.

    Raises:
        DataError: If a graph has another operation.
    """
    batch = _checked(as_batch(graphs))
    parts = np.array_split(np.arange(len(batch)), max(1, -(-len(batch) // chunk)))
    size_of = (cells, channels, size, examples, seed)
    return np.concatenate([_gradient_norms(batch.take(part), *size_of) for part in parts])


def _gradient_norms(batch: GraphBatch, cells: int, channels: int, size: int, examples: int, seed: int) -> Proxy:
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, examples, size, size, generator=random).relu()
    head = torch.randn(10, channels, generator=random) / sqrt(channels)
    labels = torch.randint(10, (examples,), generator=random)
    slot = torch.from_numpy(_slots(batch))
    used: list[tuple[Tensor, Tensor]] = []
    x = image.expand(len(batch), *image.shape)
    for position in range(cells):

        def convolve(kernel: int, nodes: Tensor, read: Tensor, position: int = position) -> Tensor:
            bank = _weights(int(slot.max()) + 1, kernel, channels, [seed, position, kernel])
            used.append((nodes, bank[slot[nodes]].requires_grad_()))
            return _normalised(used[-1][1] @ _patches(read.relu(), kernel)).reshape(read.shape)

        x = _through(batch, x, convolve)
    scores = torch.einsum("kc,ncb->nbk", head, x.mean((3, 4)))
    loss = functional.cross_entropy(scores.flatten(0, 1), labels.repeat(len(batch)), reduction="sum") / examples
    norms = torch.zeros(len(batch.nodes), dtype=torch.float64)
    if used:
        gradients = torch.autograd.grad(loss, [weights for _, weights in used])
        for (nodes, _), gradient in zip(used, gradients, strict=True):
            norms.index_add_(0, nodes, gradient.double().square().sum((1, 2)).sqrt())
    return np.asarray(np.bincount(batch.graph, norms.numpy(), len(batch)))


def _through(batch: GraphBatch, x: Tensor, convolve: Convolve) -> Tensor:
    """What each graph's output reads when its inputs are given x, shape of x: (graphs, ...)."""
    words = batch.words
    values = x[torch.from_numpy(batch.graph)] * _column(words == "input", x)
    for level in batch.levels():
        nodes, sources = torch.from_numpy(level.nodes), torch.from_numpy(level.sources)
        sizes = torch.from_numpy(level.start).diff(append=torch.tensor([len(sources)]))
        place = torch.repeat_interleave(torch.arange(len(nodes)), sizes)
        read = summed(values[sources].flatten(1), place, len(nodes)).reshape(len(nodes), *x.shape[1:])
        for word in sorted(set(words[level.nodes])):
            here = torch.from_numpy(np.flatnonzero(words[level.nodes] == word))
            values = values.index_copy(0, nodes[here], _operation(word, nodes[here], read[here], convolve))
    return values[torch.from_numpy(np.flatnonzero(words == "output"))]


def _operation(word: str, nodes: Tensor, read: Tensor, convolve: Convolve) -> Tensor:
    if word in CONVOLUTIONS:
        return convolve(CONVOLUTIONS[word], nodes, read)
    if word == "avg_pool_3x3":
        images = read.flatten(0, -4)
        return functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False).reshape(read.shape)
    return read


def _column(mask: npt.NDArray[np.bool_], x: Tensor) -> Tensor:
    return torch.from_numpy(mask).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def _patches(read: Tensor, kernel: int) -> Tensor:
    """Of (nodes, channels, examples, height, width): what a kernel sees at each place, (nodes, -1, places)."""
    half, side = kernel // 2, read.shape[-1]
    padded = functional.pad(read, [half] * 4)
    shifts = [padded[..., i : i + side, j : j + side] for i in range(kernel) for j in range(kernel)]
    return torch.stack(shifts, 1).reshape(len(read), kernel**2 * read.shape[1], -1)


def _normalised(values: Tensor) -> Tensor:
    variance, mean = torch.var_mean(values, dim=2, correction=0, keepdim=True)
    return (values - mean) / (variance + 1e-5).sqrt()


def _weights(n: int, kernel: int, channels: int, seed: Sequence[int]) -> Tensor:
    """N convolutions by Kaiming, shape (n, channels, kernel² channels); the first do not depend on n."""
    shape = (channels, kernel**2 * channels)
    drawn = [np.random.default_rng([*seed, i]).normal(0.0, sqrt(2 / shape[1]), shape) for i in range(n)]
    return torch.from_numpy(np.stack(drawn).astype(np.float32))


def _slots(batch: GraphBatch) -> npt.NDArray[np.int64]:
    """How many nodes of the same operation come before each node in its graph."""
    _, word = np.unique(batch.words.astype(str), return_inverse=True)
    order = np.lexsort((batch.generation, word, batch.graph))
    key = (batch.graph * (word.max(initial=0) + 1) + word)[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    slots = np.empty(len(order), dtype=np.int64)
    slots[order] = np.arange(len(order)) - np.repeat(begins, np.diff([*begins, len(order)]))
    return slots


def _checked(batch: GraphBatch) -> GraphBatch:
    unknown = sorted(set(batch.words) - CELL_WORDS)
    if unknown:
        raise DataError(
            f"no network is known for operations {name_some(unknown)}; use parameters or macs as proxy for such graphs"
        )
    return batch
