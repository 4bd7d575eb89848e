"""Where the data and checkpoints that come with metalcx are found, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["Kind", "bundled", "bundled_names"]

Kind = Literal["datasets", "pretrained"]

# A wheel carries the two folders inside the package (`force-include` in pyproject.toml). A checkout, and
# so an editable install, has them beside the package: there `metalcx.__path__` is the repository.
_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_bundled"
_CHECKOUT = _PACKAGE.parent
# Beside the corpora stand cards of those that do not come with metalcx.
_CARDS = "cards"


def _root(kind: Kind) -> Path | None:
    if (_INSTALLED / kind).is_dir():
        return _INSTALLED / kind
    # Beside a package in site-packages a folder `datasets` would be somebody else's.
    if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / kind).is_dir():
        return _CHECKOUT / kind
    return None


def bundled_names(kind: Kind) -> list[str]:
    """Names of the corpora (``datasets``) or models (``pretrained``) that come with metalcx, sorted."""
    root = _root(kind)
    folders = [] if root is None else [path.name for path in root.iterdir() if path.is_dir()]
    return sorted(name for name in folders if not name.startswith((".", "_")) and name != _CARDS)


def bundled(kind: Kind, name: str) -> Path | None:
    """The folder of one bundled corpus or model, or None where `name` is not among `bundled_names`."""
    root = _root(kind)
    return root / name if root is not None and name in bundled_names(kind) else None
