"""What a function of torch is called in a graph, and which functions leave no node there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from metalcx.graphs._tensors import tensors_in


@dataclass(frozen=True)
class Call:
    """One call of a function of torch.

    Attributes:
        name: Its plain name.
        args: What went in, by position.
        kwargs: What went in, by name.
        result: What came out.
        written: Arguments that were written to in place.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any
    written: tuple[Tensor, ...] = ()

    @property
    def results(self) -> list[Tensor]:
        """Every tensor that carries what was computed."""
        return [*tensors_in(self.result), *self.written]

    def wrote(self, tensor: Tensor) -> bool:
        """Whether this very tensor was written to."""
        return any(tensor is other for other in self.written)

    def arg(self, position: int, keyword: str, default: Any = None) -> Any:
        """An argument, wherever the caller put it; the default also where it was given as None."""
        value = self.args[position] if position < len(self.args) else self.kwargs.get(keyword)
        return default if value is None else value


def plain_name(function: Callable[..., Any]) -> str:
    """``add`` for `torch.add`, `Tensor.add_`, `Tensor.__add__`; ``get`` for the properties of tensors."""
    return str(getattr(function, "__name__", type(function).__name__)).strip("_").removesuffix("_with_indices")


def _each(names: str, to: str = "{}") -> dict[str, str]:
    return {name: to.format(name) for name in names.split()}


def _dimensions(*names: str) -> dict[str, str]:
    return {f"{name}{n}d": name for name in names for n in (1, 2, 3)}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOGIC = "eq ne lt le gt ge and or xor invert logical_and logical_or logical_xor"

# An operation and, after the colon, what the word leaves open.
WORDS: dict[str, str] = {
    **_dimensions("conv", "conv_transpose", "max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"),
    **dict.fromkeys(_dimensions("dropout"), "dropout"),
    **_each("linear batch_norm layer_norm group_norm rms_norm instance_norm embedding dropout interpolate lstm gru"),
    **_each("relu gelu tanh sigmoid silu relu6 hardswish leaky_relu hardsigmoid softplus softmax log_softmax"),
    **_each("alpha_dropout feature_alpha_dropout feature_dropout", "dropout"),
    "special_expit": "sigmoid",
    "special_softmax": "softmax",
    "embedding_bag": "embedding",
    "upsample": "interpolate",
    "lstm_cell": "lstm",
    "gru_cell": "gru",
    **_each("rnn_tanh rnn_tanh_cell", "rnn"),
    **_each("rnn_relu rnn_relu_cell", "rnn:relu"),
    **_each("scaled_dot_product_attention multi_head_attention_forward", "attention"),
    **_each("add radd iadd", "add"),
    **_each("sub rsub isub subtract", "add:sub"),
    **_each("mul rmul imul multiply", "mul"),
    **_each("div rdiv idiv truediv rtruediv itruediv true_divide divide", "mul:div"),
    **_each("cat concat concatenate hstack vstack dstack", "concat"),
    "stack": "concat:stack",
    **_each("matmul mm bmm mv dot einsum addmm baddbmm addbmm addmv tensordot sparse_mm", "matmul"),
    **_each("where masked_fill masked_scatter", "where"),
    **_each(
        "mean sum amax amin max min std var std_mean var_mean prod norm linalg_norm linalg_vector_norm logsumexp "
        "argmax argmin any all median nanmean nansum index_add scatter_add scatter_reduce fold",
        "reduce:{}",
    ),
    **_each(
        "pow rpow square sqrt rsqrt exp expm1 log log1p log2 log10 abs absolute sin cos tan asin acos atan atan2 sinh "
        "cosh erf sign round floor ceil trunc reciprocal clamp clip clamp_min clamp_max remainder fmod floordiv "
        "floor_divide maximum minimum fmax fmin lerp addcmul addcdiv elu selu celu mish prelu rrelu glu hardtanh "
        "logsigmoid softsign softshrink hardshrink tanhshrink threshold softmin normalize local_response_norm logit "
        "cumsum cumprod sinc heaviside hypot logaddexp rfloordiv",
        "elementwise:{}",
    ),
    **_each(_LOGIC, "elementwise:{}"),
}

# A node only where two tensors of the flow meet (or one and a parameter): with a constant they are contracted away.
JOINS = _names(_LOGIC) | {
    name for name, word in WORDS.items() if word.split(":")[0] in ("add", "mul", "concat", "where")
}

# Move, copy or convert; what is computed stays what it was.
CONTRACTED = _names(
    """
    get getitem setitem view view_as reshape reshape_as flatten unflatten ravel permute transpose swapaxes swapdims t
    adjoint movedim moveaxis squeeze unsqueeze expand expand_as broadcast_to broadcast_tensors repeat
    repeat_interleave tile chunk split split_with_sizes tensor_split unbind hsplit vsplit select narrow index_select
    gather take take_along_dim masked_select index_copy index_put index_fill scatter select_scatter
    slice_scatter copy contiguous clone detach alias to type type_as float half double bfloat16 int long bool cpu cuda
    requires_grad pad constant_pad_nd roll flip fliplr flipud rot90 pixel_shuffle pixel_unshuffle channel_shuffle
    native_channel_shuffle unfold diagonal diag tril triu as_strided neg negative positive pos nan_to_num real imag
    view_as_real view_as_complex pack_padded_sequence pad_packed_sequence iter reversed as_tensor atleast_1d
    atleast_2d atleast_3d meshgrid logical_not bitwise_not set as_subclass data
    to_sparse to_dense
    """
)

# What comes out depends on the shape of what goes in, at most.
CONSTANT = _names(
    """
    zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full
    new_tensor zeros ones empty full rand randn randint arange linspace eye zero fill normal uniform exponential random
    resize
    """
)


# Of the second operand only shape, type or device are taken.
OF_FIRST = _names("view_as reshape_as expand_as type_as to resize_as")


def word_of(call: Call, flowing: int) -> tuple[str, str | None] | None:
    """The word of an operation and what it leaves open; None where the call is contracted away.

    Args:
        call: The call.
        flowing: How many of its arguments come from an input or a parameter.
    """
    if call.name in CONTRACTED or (call.name in JOINS and flowing < 2):
        return None
    if call.name == "hardtanh" and (call.arg(1, "min_val", -1.0), call.arg(2, "max_val", 1.0)) == (0.0, 6.0):
        return "relu6", None
    word, _, name = WORDS.get(call.name, f"other:{call.name}").partition(":")
    if name in ("max", "min") and flowing > 1:
        return "elementwise", f"{name}imum"
    return word, name or None
