"""Tensors wherever they are in arguments and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def tensors_in(found: Any) -> Iterator[Tensor]:
    """Every tensor of nested tuples, lists, dicts and dataclasses, in their order."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, Mapping):
        yield from tensors_in(list(found.values()))
    elif isinstance(found, (list, tuple)):
        for item in found:
            yield from tensors_in(item)
    elif is_dataclass(found) and not isinstance(found, type):
        yield from tensors_in([getattr(found, field.name) for field in fields(found)])
