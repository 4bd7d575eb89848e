"""Encoders of architectures on disk: the same folder as a forecaster's, opened by a function of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalcx.errors import ModelError
from metalcx.hub._folder import CONFIG, read_folder
from metalcx.hub._load import _check_finite, locate
from metalcx.hub._registry import ENCODER
from metalcx.hub._save import _arrays, _card, _checked_name, write_model

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder


def save_encoder(
    encoder: GraphEncoder,
    path: str | Path,
    *,
    name: str,
    card: str | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write `encoder` as a folder that `load_encoder` opens.

    Args:
        encoder: The encoder.
        path: The folder; an older model there is replaced, in one step.
        name: What it is called; letters, digits, dot, dash and underscore.
        card: Text of `README.md`: what it was trained on, with licences, held-out results, limits.
        metrics: JSON values for `metrics.json`.

    Raises:
        ModelError: If its weights are not finite, the folder holds anything but a model, or it cannot be written. The
            old folder is then untouched.
    """
    head = {"name": _checked_name(name), "class": ENCODER, "config": encoder.config_dict()}
    write_model(Path(path), head, _arrays(encoder.tensors()), card or _card(name, ENCODER), metrics)


def load_encoder(name_or_path: str | Path) -> GraphEncoder:
    """Open an encoder, verified to the last byte. Nothing is fetched, unpickled or imported by a name from the folder.

    Args:
        name_or_path: A name that ships with metalcx, or a folder.

    Raises:
        ModelError: If the folder is no model, damaged, of another format, or no encoder.
    """
    from metalcx.encoders import GraphEncoder

    stored = read_folder(locate(name_or_path))
    where = stored.path / CONFIG
    if stored.config["class"] != ENCODER:
        raise ModelError(f"{where}: a {stored.config['class'][:60]} is no encoder of architectures; open it with load")
    _check_finite(stored)
    try:
        return GraphEncoder.build(dict(stored.config["config"]), dict(stored.tensors))
    except ValueError as error:
        raise ModelError(f"{where}: {error}") from None
