"""Save a model, or what adaptation added to one. The folder appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx import __version__
from metalcx._resources import bundled
from metalcx._swap import replacing
from metalcx.errors import CorpusError, ModelError, name_some
from metalcx.hub._folder import (
    CARD,
    CONFIG,
    DTYPES,
    FILES,
    FORMAT,
    MAX_WEIGHTS,
    METRICS,
    NAME,
    WEIGHTS,
    declare,
    dump_json,
    is_model,
)
from metalcx.hub._load import DELTA, locate, read_base
from metalcx.hub._registry import Savable, name_of, not_finite
from metalcx.hub._support import pack


def save(
    model: Savable, path: str | Path, *, name: str, card: str | None = None, metrics: Mapping[str, Any] | None = None
) -> None:
    """Write `model` as a folder that `load` opens.

    Args:
        model: A forecaster of a registered class, not adapted.
        path: The folder; an older model there is replaced, in one step.
        name: What the model is called; letters, digits, dot, dash and underscore.
        card: Text of `README.md`: sources with licences, held-out results, limits.
        metrics: JSON values for `metrics.json`.

    Raises:
        ModelError: If the model cannot be saved, holds weights that are not finite, the folder holds
            anything but a model, or it cannot be written. The old folder is then untouched.
    """
    kind = name_of(model)
    if len(model.support):
        raise ModelError("the model is adapted to a support; save it with save_adapted, or save its base")
    tensors = _arrays(model.tensors())
    head = {"name": _checked_name(name), "class": kind, "config": model.config_dict()}
    write_model(Path(path), head, tensors, card or _card(name, kind), metrics)


def save_adapted(
    model: Savable,
    base: str | Path,
    path: str | Path,
    *,
    name: str | None = None,
    card: str | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write what adaptation added to `base`: its support curves and `model.delta()`.

    Args:
        model: The adapted forecaster.
        base: Name or folder of the model that was adapted; the delta names it, with its sha256.
        path: The folder; an older model there is replaced, in one step.
        name: What the model is called; by default the folder's name.
        card: Text of `README.md`.
        metrics: JSON values for `metrics.json`.

    Raises:
        ModelError: If the model has no support, `base` is no model or is itself adapted, or the
            folder holds anything but a model or cannot be written.
    """
    kind = name_of(model)
    source = model.support.source
    if source is None:
        raise ModelError("the model has no support curves, so there is nothing to save; adapt it first")
    path = Path(path)
    stored = read_base(locate(base))
    if stored.config["class"] != kind:
        raise ModelError(f"{base}: is a {stored.config['class']}, but the adapted model is a {kind}; name its base")
    if path.expanduser().resolve() == stored.path:
        raise ModelError(f"{path}: is the base itself; write the adapted model to another folder")
    changes, arrays = model.delta()
    known, support = pack(source)
    name = _checked_name(name or _name_from(path))
    link = {
        "name": stored.config["name"],
        "path": _link(stored.path, path, stored.config["name"]),
        "sha256": stored.sha256,
    }
    head = {"name": name, "class": kind, "config": changes, "base": link, "support": known}
    tensors = {DELTA + key: array for key, array in _arrays(arrays).items()} | support
    text = card or _adapted_card(name, stored.config["name"], len(source), source.metric.name)
    write_model(path, head, tensors, text, metrics)


def write_model(
    path: Path, head: dict[str, Any], tensors: dict[str, npt.NDArray[Any]], card: str, metrics: Mapping[str, Any] | None
) -> None:
    """Write the four files of a model, all of them or none; `head` is what `config.json` says beside its tensors."""
    from safetensors.numpy import save as to_bytes

    weights = to_bytes(dict(sorted(tensors.items())))
    if len(weights) > MAX_WEIGHTS:
        raise ModelError(f"the weights take {len(weights)} bytes, more than the {MAX_WEIGHTS} that are read again")
    config = {"format": FORMAT} | head
    config |= {"tensors": declare(tensors), "sha256": hashlib.sha256(weights).hexdigest(), "metalcx": __version__}
    files = {
        CONFIG: dump_json(config, "the model's configuration"),
        WEIGHTS: weights,
        CARD: (card.rstrip("\n") + "\n").encode("utf-8"),
        METRICS: dump_json(dict(metrics or {}), "metrics"),
    }
    check_target(path)
    try:
        with replacing(path) as fresh:
            for file, content in files.items():
                (fresh / file).write_bytes(content)
    except CorpusError:
        raise ModelError(f"{path}: another process is writing this model; wait for it, or end it") from None
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that you may write to"
        ) from None


def check_target(path: str | Path) -> None:
    """Refuse to replace anything that is not a model.

    Raises:
        ModelError: If `path` is a file, or a folder with other things in it.
    """
    path = Path(path).expanduser()
    try:
        if not path.exists():
            return
        if not path.is_dir():
            raise ModelError(f"{path}: is a file; give a new folder, or a model to replace")
        inside = sorted(p.name for p in path.iterdir())
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    others = [name for name in inside if name not in FILES]
    if others or (inside and not is_model(path)):
        what = f"holds {name_some(others)}" if others else "holds files but no model"
        raise ModelError(f"{path}: {what}; nothing but a model is replaced: give a new folder")


def _arrays(tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Contiguous copies, names, types and values checked."""
    bad = not_finite(tensors)
    if bad:
        raise ModelError(f"weights {name_some(bad)} hold NaN or infinity; the model is broken: train it again")
    odd = [name for name, a in tensors.items() if str(a.dtype) not in DTYPES.values()]
    if odd:
        raise ModelError(
            f"weights {name_some(odd)} have a type that cannot be saved; use one of {name_some(DTYPES.values(), 99)}"
        )
    return {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in tensors.items()}


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ModelError(f"a model cannot be called {name[:60]!r}; use letters, digits, dot, dash and underscore")
    return name


def _name_from(path: Path) -> str:
    stem = path.expanduser().resolve().name
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).lstrip("._-")[:100]
        or "adapted"
    )


def _link(base: Path, path: Path, name: str) -> str | None:
    """How to get from the delta to its base: None for one that ships with metalcx."""
    if bundled("pretrained", name) == base:
        return None
    try:
        return Path(os.path.relpath(base, path.expanduser().resolve())).as_posix()
    except ValueError:  # another drive
        return base.as_posix()


def _card(name: str, kind: str) -> str:
    return f"# {name}\n\nA {kind} of metalcx, saved without a card: sources, held-out results and limits are unknown."


def _adapted_card(name: str, base: str, runs: int, metric: str) -> str:
    return (
        f"# {name}\n\n`{base}`, adapted with metalcx to {runs} finished runs of one task that measure {metric}. "
        "It holds those curves and what adaptation changed; the base is needed beside it, unchanged."
    )
