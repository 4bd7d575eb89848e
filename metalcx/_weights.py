"""Networks of sizes that a file states: held against the weights before room is made for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from metalcx.errors import ModelError, name_some


def check_sizes(make: Callable[[], nn.Module], config: Any, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """See that a network would have just these weights, without making it.

    Args:
        make: Makes it.
        config: The dataclass that says its sizes.
        tensors: The weights.

    Raises:
        ModelError: If names or shapes differ, or a size could not belong to so few numbers.
    """
    numbers = sum(array.size for array in tensors.values())
    for name, size in _sizes(asdict(config)):
        # Every layer has a tensor of its own, and every unit a number.
        if size > (len(tensors) if name in ("depth", "layers") else numbers):
            raise ModelError(
                f"{name} is {size} in config.json, too large for the {numbers} numbers that are stored; copy the model "
                "again"
            )
    with torch.device("meta"):
        own = {name: tuple(value.shape) for name, value in make().state_dict().items()}
    found = {name: tuple(array.shape) for name, array in tensors.items()}
    wrong = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
    if wrong:
        raise ModelError(
            f"tensors {name_some(wrong)} are missing, unknown or of another shape than config.json says; copy "
            "the model again"
        )


def _sizes(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _sizes(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield name, value
