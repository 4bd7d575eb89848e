"""What models there are, and what is known of one without building it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metalcx._resources import bundled_names
from metalcx.errors import ModelError
from metalcx.hub._folder import CARD, MAX_JSON, METRICS, _bytes, n_numbers, parse_json, read_folder
from metalcx.hub._load import locate
from metalcx.hub._support import PREFIX


def describe(name_or_path: str | Path) -> dict[str, Any]:
    """What a model folder says of itself, after verifying it.

    Returns:
        JSON values: ``name, class, path, format, sha256, bytes, parameters, config, base, support,
        metrics, card``; base and support are None for a model that is not adapted.

    Raises:
        ModelError: As `load`, save that the class is not built.
    """
    stored = read_folder(locate(name_or_path))
    config = stored.config
    known = config.get("support")
    return {
        "name": config["name"],
        "class": config["class"],
        "path": str(stored.path),
        "format": config["format"],
        "sha256": stored.sha256,
        "bytes": stored.n_bytes,
        "parameters": n_numbers({n: a for n, a in stored.tensors.items() if known is None or not n.startswith(PREFIX)}),
        "config": config["config"],
        "base": config.get("base"),
        "support": None if known is None else _summary(known),
        "metrics": parse_json(_bytes(stored.path / METRICS, MAX_JSON), stored.path / METRICS),
        "card": _bytes(stored.path / CARD, MAX_JSON).decode("utf-8", "replace"),
    }


def list_models() -> list[dict[str, Any]]:
    """The models that ship with metalcx, each as `describe` without card and config.

    One that is damaged is listed with its ``problem`` instead.
    """
    return [_entry(name) for name in bundled_names("pretrained")]


def _entry(name: str) -> dict[str, Any]:
    try:
        known = describe(name)
    except ModelError as error:
        return {"name": name, "problem": str(error)}
    return {key: value for key, value in known.items() if key not in ("card", "config", "base", "support")}


def _summary(known: dict[str, Any]) -> dict[str, Any]:
    ids, metric = known.get("ids"), known.get("metric")
    return {"runs": len(ids) if isinstance(ids, list) else None, "metric": metric}
