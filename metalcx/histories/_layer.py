"""Which layer of a classifier has the features as its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from metalcx.errors import DataError, name_some


def named_layer(model: nn.Module, name: str) -> nn.Module:
    """The submodule of that name.

    Raises:
        DataError: If there is none.
    """
    modules = dict(model.named_modules())
    if name not in modules:
        linear = [n for n, m in modules.items() if isinstance(m, nn.Linear)]
        raise DataError(f"the model has no layer {name!r}; its linear layers are {name_some(linear, 8)}")
    return modules[name]


def last_linear(model: nn.Module, call: Callable[[], Any]) -> str:
    """Name of the linear layer that is used last when the model is called.

    Order of use, not of definition: a head may be defined first.

    Raises:
        DataError: If no linear layer is used.
    """
    used: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, args, output, name=name: used.append(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    if not used:
        raise DataError("the model uses no linear layer; name the layer whose input are the features (layer=...)")
    return used[-1]


def as_logits(output: Any) -> Tensor:
    """Class scores out of what a model returns: a tensor, an object with ``logits``, or the first of a sequence.

    Raises:
        DataError: If it is something else, or has not one row of scores an example.
    """
    found = output
    if not isinstance(found, Tensor):
        found = getattr(output, "logits", None)
    if found is None and isinstance(output, dict):
        found = output.get("logits")
    if found is None and isinstance(output, (tuple, list)) and output:
        found = output[0]
    if not isinstance(found, Tensor) or found.ndim != 2:
        raise DataError(
            f"the model returned {type(output).__name__}, which holds no scores of shape (examples, classes); "
            "return them, or name them logits"
        )
    return found
