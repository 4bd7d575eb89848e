"""Which axis of a tensor counts examples and which one channels, followed through reshapes and permutations."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor

from metalcx.graphs._operations import Call


class Layout(NamedTuple):
    """The axis of examples and the axis of channels; None where there is none."""

    batch: int | None
    channel: int | None


_FIRST = Layout(0, 1)
_USUAL = (Layout(None, None), Layout(None, 0), Layout(0, 1), Layout(0, 2))
_CHANNEL_FIRST = re.compile(
    r"(?:conv|conv_transpose|(?:adaptive_)?(?:avg|max)_pool)([123])d|(?:batch|group|instance)_norm"
)
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_CHANNEL_LAST = ("linear", "layer_norm", "rms_norm", "embedding", "matmul", "mm", "bmm", *_RECURRENT)


def usual(tensor: Tensor) -> Layout:
    """What an axis means where nothing is known: (N, C), (N, T, C), (N, C, H, W)."""
    return _USUAL[tensor.ndim] if tensor.ndim < len(_USUAL) else _FIRST


def asked(call: Call, tensor: Tensor, known: Layout) -> Layout:
    """What the axes of an operand, or of the result, mean to an operation: as known, where it does not care."""
    first = _CHANNEL_FIRST.fullmatch(call.name)
    if first is not None:
        unbatched = first[1] is not None and tensor.ndim == int(first[1]) + 1
        return Layout(None, 0) if unbatched else _FIRST
    if call.name == "multi_head_attention_forward":
        return Layout(1, 2) if tensor.ndim == 3 else Layout(None, 1)
    if call.name in _RECURRENT and tensor.ndim == 3:
        return Layout(0 if call.args[-1] else 1, 2)
    if call.name not in _CHANNEL_LAST or (call.name == "layer_norm" and len(call.arg(1, "normalized_shape")) > 1):
        return known
    last = tensor.ndim - 1
    return Layout(known.batch if known.batch != last else None, last if last >= 0 else None)


def carried(layout: Layout, before: Tensor, after: Tensor) -> Layout:
    """Where the axes of `before` are in `after`.

    A view keeps the strides of the axes that it permutes, slices or leaves alone, so they are found by stride. Where
    examples are put into one axis with something else, that axis counts them, until they are taken apart again. Any
    other tensor of the same number of axes has them where they were.
    """
    if not _share(before, after):
        return layout if before.ndim == after.ndim else _reduced(layout, before, after)
    batch = _whole(layout.batch, before, after, None)
    channel = _whole(layout.channel, before, after, batch)
    channel = _part(layout.channel, before, after, batch) if channel is None else channel
    batch = _merged(layout.batch, before, after, channel) if batch is None else batch
    return usual(after) if channel is None else Layout(batch, channel)


def _reduced(layout: Layout, before: Tensor, after: Tensor) -> Layout:
    """One number an example, where that is what is left; otherwise what is usual."""
    each = after.ndim == 1 and layout.batch is not None and after.shape[0] == before.shape[layout.batch]
    return Layout(0, None) if each else usual(after)


def _whole(axis: int | None, before: Tensor, after: Tensor, taken: int | None) -> int | None:
    """The axis that is as long and has the same stride; that of one, as one example is, means little."""
    if axis is None:
        return None
    size, stride, strides = before.shape[axis], before.stride()[axis], after.stride()
    same = [i for i in range(after.ndim) if i != taken and after.shape[i] == size]
    same = [i for i in same if size == 1 or strides[i] == stride]
    return min(same, key=lambda i: (strides[i] != stride, i != axis), default=None)


def _part(axis: int | None, before: Tensor, after: Tensor, taken: int | None) -> int | None:
    """An axis of the same stride, such as a slice has."""
    if axis is None or before.shape[axis] == 1:
        return None
    strides = after.stride()
    return next((i for i in range(after.ndim) if i != taken and strides[i] == before.stride()[axis]), None)


def _merged(axis: int | None, before: Tensor, after: Tensor, taken: int | None) -> int | None:
    """An axis that ends where this one did; else a part of it."""
    if axis is None:
        return None
    end, strides = before.shape[axis] * before.stride()[axis], after.stride()
    ends = [i for i in range(after.ndim) if i != taken and after.shape[i] * strides[i] == end]
    return ends[0] if ends else _part(axis, before, after, taken)


def _share(a: Tensor, b: Tensor) -> bool:
    """Whether b is a view of what a is, and both have strides (sparse tensors have none)."""
    view = a is b or (b._base is not None and (b._base is a or b._base is a._base))
    return view and a.layout == b.layout == torch.strided


def channels(tensor: Tensor, layout: Layout) -> int:
    """How many channels a tensor has; a single number is one."""
    return 1 if layout.channel is None else int(tensor.shape[layout.channel])


def sizes(tensor: Tensor, layout: Layout) -> dict[str, int]:
    """Attributes of a result: ``out``, then ``height``, ``width`` (and ``depth``) of the axes that remain."""
    rest = [int(n) for axis, n in enumerate(tensor.shape) if axis not in layout][-3:]
    names = {0: (), 1: ("height",), 2: ("height", "width"), 3: ("depth", "height", "width")}[len(rest)]
    return {"out": channels(tensor, layout), **dict(zip(names, rest, strict=True))}
