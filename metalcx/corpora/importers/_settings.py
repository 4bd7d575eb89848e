"""Hyperparameters as people's tools write them -> flat, plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metalcx.errors import DataError, MissingDependencyError

#: Bytes of a file of settings, and values that its references unfold to, at most.
MAX_BYTES, MAX_VALUES = 1 << 20, 100_000
_PYTHON_TAG = "tag:yaml.org,2002:python/"
_WHOLE = re.compile(r"[+-]?\d+")


def flat(settings: Mapping[Any, Any], prefix: str = "") -> dict[str, object]:
    """Nested settings as ``outer.inner``; numbers that are not finite, and what JSON does not know, as text."""
    found: dict[str, object] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif value is not None:
            found[name] = _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def from_text(value: str) -> object:
    """A setting that was stored as text, as the number or truth value that it was before."""
    text = value.strip()
    if text in ("True", "true", "False", "false"):
        return text.lower() == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def read_yaml(path: Path) -> dict[Any, Any]:
    """A YAML mapping, read without constructing any object: what Python's own tags mark is read as plain data.

    Raises:
        DataError: If it is no YAML mapping.
        MissingDependencyError: Without PyYAML.
    """
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError(f'{path}: reading it needs PyYAML; run pip install "metalcx[yaml]"') from None

    class Plain(yaml.SafeLoader):
        """Knows Python's tags as what they are written as."""

    Plain.add_multi_constructor(_PYTHON_TAG, _as_written)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is {path.stat().st_size} bytes long, more than {MAX_BYTES}")
        # A subclass of SafeLoader: it makes texts, numbers, lists and mappings, and nothing else.
        loader = Plain(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        _unfolded(node, {})
        found = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError) as error:
        raise DataError(f"{path}: is no whole YAML file ({' '.join(str(error).split())[:120]}); mend it") from None
    if not isinstance(found, dict) and found is not None:
        raise DataError(f"{path}: holds {type(found).__name__}, not settings by name; mend it")
    return found or {}


def _unfolded(node: Any, known: dict[int, int]) -> int:
    """How many values a node stands for once every reference in it is replaced by what it refers to."""
    if id(node) not in known:
        known[id(node)] = MAX_VALUES  # while it is counted: what refers to itself never ends
        value = getattr(node, "value", None)
        inside = value if isinstance(value, list) else []
        parts = [part for item in inside for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in parts)
    if known[id(node)] >= MAX_VALUES:
        raise ValueError(f"references unfold to more than {MAX_VALUES} values")
    return known[id(node)]


def _as_written(loader: Any, suffix: str, node: Any) -> object:
    kind = type(node).__name__
    if kind == "MappingNode":
        return loader.construct_mapping(node, deep=True)
    if kind == "SequenceNode":
        return loader.construct_sequence(node, deep=True)
    return node.value or suffix.partition(":")[2]
