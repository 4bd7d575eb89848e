"""Hyperparameters as people's tools write them -> flat, plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metalcx.errors import DataError, MissingDependencyError

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
        # A subclass of SafeLoader: it makes texts, numbers, lists and mappings, and nothing else.
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=Plain)
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise DataError(f"{path}: is no whole YAML file ({' '.join(str(error).split())[:120]}); mend it") from None
    if not isinstance(found, dict) and found is not None:
        raise DataError(f"{path}: holds {type(found).__name__}, not settings by name; mend it")
    return found or {}


def _as_written(loader: Any, suffix: str, node: Any) -> object:
    kind = type(node).__name__
    if kind == "MappingNode":
        return loader.construct_mapping(node, deep=True)
    if kind == "SequenceNode":
        return loader.construct_sequence(node, deep=True)
    return node.value or suffix.partition(":")[2]
