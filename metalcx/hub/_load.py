"""Load a model by name or folder, verified to the last byte."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy.typing as npt

from metalcx._resources import bundled, bundled_names
from metalcx.errors import MetalcxError, ModelError, name_some
from metalcx.hub._folder import CONFIG, NAME, WEIGHTS, Stored, read_folder
from metalcx.hub._registry import Savable, class_named, not_finite
from metalcx.hub._support import PREFIX, unpack
from metalcx.protocol import Forecaster

DELTA = "delta."

#: What building a model from a folder that lies about itself can raise.
_MISFITS = (
    TypeError,
    KeyError,
    ValueError,
    IndexError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)


def load(name_or_path: str | Path, *, base: str | Path | None = None) -> Forecaster:
    """Open a model. Nothing is fetched, unpickled or imported by a name from the folder.

    Args:
        name_or_path: A name that ships with metalcx (`list_models`), or a folder. A name wins over a
            folder that is called the same; ``./name`` means the folder.
        base: For an adapted model: where its base is, if it is no longer where it was.

    Returns:
        The forecaster; an adapted one knows its support.

    Raises:
        ModelError: If the folder is no model, damaged, of another format, or its base is missing or
            not the one that was adapted.
    """
    stored = read_folder(locate(name_or_path))
    _check_finite(stored)
    if "base" not in stored.config:
        return cast(Forecaster, _build(stored))
    return cast(Forecaster, _apply(stored, _base_of(stored, base)))


def load_base(name_or_path: str | Path) -> Forecaster:
    """The model from which an adapted one was made, as it was before; one that is not adapted, itself.

    Raises:
        ModelError: As `load`.
    """
    stored = read_folder(locate(name_or_path))
    if "base" not in stored.config:
        _check_finite(stored)
    return cast(Forecaster, _build(_base_of(stored, None) if "base" in stored.config else stored))


def locate(name_or_path: str | Path) -> Path:
    """The folder of a shipped model, or the path as given."""
    shipped = bundled("pretrained", name_or_path) if isinstance(name_or_path, str) else None
    if shipped is not None:
        return shipped
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and NAME.fullmatch(name_or_path) and not path.exists():
        shelf = bundled_names("pretrained")
        known = f"shipped are {name_some(shelf, 20)}" if shelf else "none ships with this installation"
        raise ModelError(
            f"{name_or_path}: no model of that name ({known}) and no folder; give a name or a model's folder"
        )
    return path


def read_base(path: Path) -> Stored:
    """A stored model that is whole in itself.

    Raises:
        ModelError: If it is none, or an adapted one.
    """
    stored = read_folder(path)
    if "base" in stored.config:
        raise ModelError(
            f"{path}: is itself adapted, from {str(stored.config['base'].get('name'))[:100]!r}; "
            "adapt that one, with all the curves"
        )
    _check_finite(stored)
    return stored


def _check_finite(stored: Stored) -> None:
    # Curves of a support may hold NaN and infinity: there they are data.
    adapted = "base" in stored.config
    bad = not_finite({n: a for n, a in stored.tensors.items() if not (adapted and n.startswith(PREFIX))})
    if bad:
        raise ModelError(
            f"{stored.path / WEIGHTS}: weights {name_some(bad)} hold NaN or infinity; train the model again"
        )


def _build(stored: Stored) -> Savable:
    kind = class_named(stored.config["class"], stored.path / CONFIG)
    try:
        return kind.build(dict(stored.config["config"]), dict(stored.tensors))
    except MetalcxError as error:
        raise ModelError(f"{stored.path / CONFIG}: {error}") from None
    except _MISFITS as error:
        raise _misfit(stored, error) from error


def _misfit(stored: Stored, error: BaseException) -> ModelError:
    return ModelError(
        f"{stored.path / CONFIG}: configuration and tensors do not make a {stored.config['class']} "
        f"({type(error).__name__}: {str(error)[:120]}); save the model again with this version of metalcx"
    )


def _base_of(stored: Stored, given: str | Path | None) -> Stored:
    """The base that the delta names, found and verified."""
    link, where = stored.config["base"], stored.path / CONFIG
    name, path, sha256 = link.get("name"), link.get("path"), link.get("sha256")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ModelError(f"{where}: {str(name)[:60]!r} is no name of a base model; adapt the base again")
    if not isinstance(sha256, str) or not (path is None or isinstance(path, str)):
        raise ModelError(f"{where}: says neither which base it belongs to nor where that is; adapt the base again")
    base = read_base(locate(given) if given is not None else _find(stored.path, name, path))
    if base.sha256 != sha256:
        raise ModelError(
            f"{base.path}: is not the model that {stored.path} was adapted from (its sha256 is {base.sha256[:12]}, not "
            f"{sha256[:12]}); put that one back, or adapt again"
        )
    if base.config["class"] != stored.config["class"]:
        raise ModelError(
            f"{where}: a {stored.config['class'][:60]} cannot stand on a {base.config['class']}; adapt again"
        )
    return base


def _find(delta: Path, name: str, path: str | None) -> Path:
    if path is not None and _is_folder(delta / PurePosixPath(path)):
        return delta / PurePosixPath(path)
    shipped = bundled("pretrained", name)
    if shipped is None:
        place = "among those that ship" if path is None else f"at {path[:200]!r} from there"
        raise ModelError(f"{delta}: its base {name!r} is not {place}; put it back, or load(..., base=its folder)")
    return shipped


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file system takes
        return False


def _apply(stored: Stored, base: Stored) -> Savable:
    support = unpack(stored.config["support"], stored.tensors)
    arrays: dict[str, npt.NDArray[Any]] = {
        name.removeprefix(DELTA): array for name, array in stored.tensors.items() if name.startswith(DELTA)
    }
    model = _build(base)
    try:
        return model.with_delta(support, dict(stored.config["config"]), arrays)
    except MetalcxError as error:
        raise ModelError(f"{stored.path / CONFIG}: {error}") from None
    except _MISFITS as error:
        raise _misfit(stored, error) from error
