"""Attributes of an operation beside its sizes: kernel, stride, groups, heads, layers; and what it multiplies."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor

from metalcx.graphs._layout import Layout
from metalcx.graphs._operations import Call
from metalcx.graphs._tensors import tensors_in

_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
_SUMMED = ("addmm", "baddbmm", "addbmm", "addmv")  # the first operand is added to the product of the others


def attributes(word: str, call: Call) -> dict[str, Any]:
    """What the word leaves open about the call; these override the sizes read off the tensors."""
    if word in ("conv", "conv_transpose"):
        return _convolution(call, transposed=word == "conv_transpose")
    if word in ("max_pool", "avg_pool"):
        kernel = call.arg(1, "kernel_size")
        return {**_sides("kernel", kernel), **_sides("stride", call.arg(2, "stride") or kernel)}
    if word == "group_norm":
        return {"groups": call.arg(1, "num_groups")}
    if word == "embedding":
        # `torch.embedding` has the weight first, the function of torch.nn second.
        weight = next(t for t in tensors_in((call.args, call.kwargs)) if t.is_floating_point())
        return {"in": int(weight.shape[0])}
    if call.name == "scaled_dot_product_attention":
        return _attention(call)
    if call.name == "multi_head_attention_forward":
        return {"heads": call.arg(4, "num_heads")}
    return _recurrence(call) if call.name in _RECURRENT else {}


def pools_everything(call: Call, result: Tensor, layout: Layout, tensor: Tensor) -> bool:
    """Whether the call averages over all axes but those of examples and channels."""
    rest = {axis for axis in range(tensor.ndim) if axis not in layout}
    if call.name.startswith("adaptive_avg_pool"):
        return all(result.shape[axis] == 1 for axis in rest)
    dim = call.arg(1, "dim") if call.name == "mean" else None
    dims = [dim] if isinstance(dim, int) else list(dim or ())
    return bool(rest) and None not in layout and {axis % tensor.ndim for axis in dims} == rest


def _convolution(call: Call, transposed: bool) -> dict[str, Any]:
    """(input, weight, bias, stride, padding, dilation, groups); transposed, dilation comes last."""
    weight, groups = call.arg(1, "weight"), call.arg(6, "groups", 1)
    dilation = _sides("dilation", call.arg(7 if transposed else 5, "dilation", 1))
    return {
        **({} if transposed else {"op": _convolution_word(groups, weight)}),
        **_sides("kernel", list(weight.shape[2:])),
        **_sides("stride", call.arg(3, "stride", 1)),
        **(dilation if set(dilation.values()) != {1} else {}),
        "groups": groups,
    }


def _convolution_word(groups: int, weight: Tensor) -> str:
    """One group, one for each channel, or in between."""
    if groups == 1:
        return "conv"
    return "depthwise_conv" if weight.shape[1] == 1 else "grouped_conv"


def _sides(name: str, value: Any) -> dict[str, int]:
    """The side of the first axis; the last axis has its own where it differs."""
    sides = [int(side) for side in value] if isinstance(value, (list, tuple)) else [int(value)]
    return {name: sides[0]} | ({f"{name}_width": sides[-1]} if sides[-1] != sides[0] else {})


def _attention(call: Call) -> dict[str, Any]:
    """Queries are (..., heads, length, width of a head); without an axis of heads there is one."""
    query, value = call.arg(0, "query"), call.arg(2, "value")
    heads = int(query.shape[-3]) if query.ndim > 3 else 1
    width = {"in": heads * int(query.shape[-1]), "out": heads * int(value.shape[-1])}
    return {**width, "height": int(query.shape[-2]), "heads": heads}


def _recurrence(call: Call) -> dict[str, Any]:
    if call.name.endswith("_cell"):
        return {"layers": 1}
    # (input, state, weights, biased, layers, dropout, training, bidirectional, batch_first); packed: without the
    # last, and with the batch sizes as second.
    packed = isinstance(call.args[3], (list, tuple))
    layers, bidirectional = call.args[5 if packed else 4], call.args[8 if packed else 7]
    return {"layers": int(layers)} | ({"directions": 2} if bidirectional else {})


def macs(call: Call) -> int:
    """Multiply-accumulates of a call, over the batch; 0 for what is no product of matrices."""
    result = next(tensors_in(call.result), None)
    if result is None:
        return 0
    if call.name.startswith("conv") and call.name[-1] == "d":
        base = call.arg(0, "input") if "transpose" in call.name else result
        return int(base.numel() * prod(call.arg(1, "weight").shape[1:]))
    if call.name == "linear":
        return int(result.numel() * call.arg(1, "weight").shape[-1])
    if call.name in ("matmul", "mm", "bmm", "mv", "dot", *_SUMMED):
        return _product(call, result)
    if call.name == "einsum":
        return _einsum(call)
    if call.name.endswith("attention") or call.name == "multi_head_attention_forward":
        return _attention_macs(call, result)
    return _recurrence_macs(call) if call.name in _RECURRENT else 0


def _product(call: Call, result: Tensor) -> int:
    operands = list(tensors_in((call.args, call.kwargs)))
    left = operands[1 if call.name in _SUMMED else 0]
    repeats = int(left.shape[0]) if call.name == "addbmm" else 1
    return int(result.numel() * left.shape[-1] * repeats)


def _einsum(call: Call) -> int:
    """Every letter once; what an ellipsis stands for is in the operand that has the most of it."""
    if not isinstance(call.args[0], str):
        return 0
    terms = call.args[0].replace(" ", "").split("->")[0].split(",")
    letters: dict[str, int] = {}
    hidden = 1
    for term, operand in zip(terms, tensors_in(call.args), strict=True):
        head, dots, tail = term.partition("...")
        letters.update(zip(head, operand.shape, strict=False))
        letters.update(zip(reversed(tail), reversed(operand.shape), strict=False))
        if dots:
            hidden = max(hidden, prod(operand.shape[len(head) : operand.ndim - len(tail)]))
    return int(hidden * prod(letters.values())) if len(terms) > 1 else 0


def _attention_macs(call: Call, result: Tensor) -> int:
    query, key, value = (call.arg(i, name) for i, name in enumerate(("query", "key", "value")))
    if call.name == "scaled_dot_product_attention":
        return int((query.numel() + result.numel()) * key.shape[-2])
    width = query.shape[-1]
    projected = (query.numel() + key.numel() + value.numel() + query.numel()) * width
    return int(projected + 2 * query.numel() * key.shape[0])


def _recurrence_macs(call: Call) -> int:
    """Every step goes through every matrix once."""
    steps = call.args[0].numel() // max(1, call.args[0].shape[-1])
    matrices = [w for w in tensors_in(call.args[2:]) if w.ndim == 2]
    return int(steps * sum(w.numel() for w in matrices))
