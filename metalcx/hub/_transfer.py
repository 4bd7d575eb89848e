"""Priors over candidates on disk: the same folder as a forecaster's, opened by a function of its own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from metalcx.errors import MetalcxError, ModelError
from metalcx.hub._folder import CONFIG, read_folder
from metalcx.hub._load import _MISFITS, _check_finite, _misfit, locate
from metalcx.hub._registry import TRANSFER
from metalcx.hub._save import _arrays, _card, _checked_name, write_model

#: Where the class lives: above the hub's own floor, and so loaded by name when it is asked for.
_WHERE = "metalcx.transfer._transfer_model"


class Priors(Protocol):
    """What the hub asks of a `metalcx.transfer.TransferModel`."""

    def config_dict(self) -> dict[str, Any]:
        """JSON values."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays, finite."""
        ...


def save_priors(
    model: Priors,
    path: str | Path,
    *,
    name: str,
    card: str | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write priors as a folder that `load_priors` opens.

    Args:
        model: A `metalcx.transfer.TransferModel`.
        path: The folder; an older model there is replaced, in one step.
        name: What it is called; letters, digits, dot, dash and underscore.
        card: Text of `README.md`: sources with licences, held-out results, limits.
        metrics: JSON values for `metrics.json`.

    Raises:
        ModelError: If its arrays are not finite, the folder holds anything but a model, or it cannot be written. The
            old folder is then untouched.
    """
    head = {"name": _checked_name(name), "class": TRANSFER, "config": model.config_dict()}
    write_model(Path(path), head, _arrays(model.tensors()), card or _card(name, TRANSFER), metrics)


def load_priors(name_or_path: str | Path) -> Any:
    """Open priors, verified to the last byte. Nothing is fetched, unpickled or imported by a name from the folder.

    Args:
        name_or_path: A name that ships with metalcx, or a folder.

    Returns:
        A `metalcx.transfer.TransferModel`.

    Raises:
        ModelError: If the folder is no model, damaged, of another format, or holds no priors.
    """
    stored = read_folder(locate(name_or_path))
    if stored.config["class"] != TRANSFER:
        raise ModelError(
            f"{stored.path / CONFIG}: a {stored.config['class'][:60]} is no prior over candidates; make one with "
            "`metalcx fit-prior`"
        )
    _check_finite(stored)
    kind = getattr(importlib.import_module(_WHERE), TRANSFER)
    try:
        return kind.build(dict(stored.config["config"]), dict(stored.tensors))
    except MetalcxError as error:
        raise ModelError(f"{stored.path / CONFIG}: {error}") from None
    except _MISFITS as error:
        raise _misfit(stored, error) from error
