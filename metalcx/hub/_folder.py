"""The four files of a model folder, read with distrust: whatever is wrong becomes a `ModelError` that says so."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx._json import loads
from metalcx._swap import readable
from metalcx.errors import ModelError, name_some

FORMAT = "metalcx-model/1"
CONFIG, WEIGHTS, CARD, METRICS = FILES = ("config.json", "model.safetensors", "README.md", "metrics.json")
MAX_JSON = 64 << 20
MAX_WEIGHTS = 1 << 30
MAX_HEADER = 16 << 20

#: What a model may be called: nothing that a file system reads as more than one plain name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

#: Types that the tensor file and numpy agree on.
DTYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BOOL": "bool",
}


@dataclass(frozen=True)
class Stored:
    """A model folder, read and verified.

    Attributes:
        path: The folder.
        config: What `config.json` says.
        tensors: All arrays of `model.safetensors`, writable.
        sha256: Fingerprint of the whole: over `config.json`, which holds the sha256 of the tensors.
        n_bytes: Size of the tensor file.
    """

    path: Path
    config: dict[str, Any]
    tensors: dict[str, npt.NDArray[Any]]
    sha256: str
    n_bytes: int


def read_folder(path: Path) -> Stored:
    """Read and verify `config.json` and `model.safetensors`.

    Raises:
        ModelError: If the folder is no model, of another format, damaged or incomplete.
    """
    config = read_config(path)
    folder = readable(path)
    raw = _bytes(folder / WEIGHTS, MAX_WEIGHTS)
    tensors = _tensors(raw, config, folder / WEIGHTS)
    return Stored(folder, config, tensors, fingerprint(config), len(raw))


def read_config(path: Path) -> dict[str, Any]:
    """`config.json` of the model at `path`, its keys checked."""
    try:
        folder = readable(path)
    except (OSError, ValueError):  # a name that no file system takes
        raise ModelError(f"{str(path)[:200]!r}: is no path; give a model's folder") from None
    if not folder.exists():
        raise ModelError(f"{path}: there is no such folder; give a model's folder, or a name of `metalcx models list`")
    if not folder.is_dir():
        raise ModelError(f"{path}: is a file and not a model; give the folder in which {CONFIG} is")
    if not os.path.lexists(folder / CONFIG):
        raise ModelError(f"{path}: holds no {CONFIG}, so it is not a model; give the folder in which that file is")
    config = parse_json(_bytes(folder / CONFIG, MAX_JSON), folder / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("format"), str):
        raise ModelError(f"{folder / CONFIG}: names no format, so this is not a metalcx model; give another folder")
    if config["format"] != FORMAT:
        raise ModelError(
            f"{folder / CONFIG}: format {config['format'][:60]!r} is not the one that this version of metalcx reads "
            f"({FORMAT}); use the metalcx that wrote it, or save the model again"
        )
    kinds = {"name": str, "class": str, "config": dict, "tensors": dict, "sha256": str}
    if "base" in config:
        kinds |= {"base": dict, "support": dict}
    for key, kind in kinds.items():
        if not isinstance(config.get(key), kind):
            raise ModelError(f"{folder / CONFIG}: {key!r} is missing or no {kind.__name__}; save the model again")
    return config


def is_model(path: Path) -> bool:
    """Whether `path` is a folder with a readable `config.json` of this format."""
    try:
        read_config(path)
    except ModelError:
        return False
    return True


def parse_json(raw: bytes, where: Path) -> Any:
    """JSON without NaN or infinity, and no key twice."""
    try:
        return loads(raw.decode("utf-8"))
    except ValueError as error:
        raise ModelError(f"{where}: is not whole, plain JSON ({str(error)[:80]}); save the model again") from None


def dump_json(value: Any, where: str) -> bytes:
    """JSON, indented, without NaN or infinity.

    Raises:
        ModelError: If `value` holds what JSON has no word for.
    """
    try:
        return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{where} cannot be written as JSON ({error}); use finite numbers, text, lists and dicts"
        ) from None


def fingerprint(config: dict[str, Any]) -> str:
    """The sha256 of `config` in one canonical spelling, so that white space does not matter."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _bytes(path: Path, limit: int | None = None) -> bytes:
    """All of a regular file. A link or a pipe in a folder from elsewhere could lead anywhere, or nowhere."""
    try:
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            raise ModelError(f"{path}: is a symbolic link; a model folder holds its own files: copy the file there")
        if not stat.S_ISREG(info.st_mode):
            raise ModelError(f"{path}: is no regular file; copy the model again")
        if limit is not None and info.st_size > limit:
            raise ModelError(f"{path}: is {info.st_size} bytes long, more than the {limit} of any model; copy it again")
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: the file is missing; copy the whole folder again") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); mend its permissions") from None


def _tensors(raw: bytes, config: dict[str, Any], where: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header = _header(raw, where)
    if hashlib.sha256(raw).hexdigest() != config["sha256"]:
        raise ModelError(f"{where}: its sha256 is not the one in {CONFIG}: changed or damaged; copy the folder again")
    _compare(header, config["tensors"], where)
    try:
        return {name: np.array(array) for name, array in load(raw).items()}
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{where}: is no valid tensor file ({str(error)[:80]}); copy the folder again") from None


def _header(raw: bytes, where: Path) -> dict[str, tuple[str, list[int]]]:
    """Type and shape of each tensor; also tells a file that was cut off from one that is something else."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) >= 8 and length > MAX_HEADER:
        raise ModelError(
            f"{where}: is no tensor file, or its header of {length} bytes is damaged; copy the folder again"
        )
    if len(raw) < 8 or len(raw) < 8 + length:
        raise ModelError(f"{where}: is cut short: {len(raw)} bytes end within its header; copy the file again")
    header = parse_json(raw[8 : 8 + length], where)
    try:
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        found = {str(name): (str(e["dtype"]), [int(s) for s in e["shape"]]) for name, e in entries.items()}
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        raise ModelError(f"{where}: the header is not that of a tensor file; copy the folder again") from None
    if len(raw) < 8 + length + end:
        raise ModelError(f"{where}: is cut short: {len(raw)} of {8 + length + end} bytes; copy the file again")
    return found


def _compare(header: dict[str, tuple[str, list[int]]], declared: dict[str, Any], where: Path) -> None:
    """Hold the tensors found against those that `config.json` declares."""
    for what, names in (("lacks", declared.keys() - header.keys()), ("must not hold", header.keys() - declared.keys())):
        if names:
            raise ModelError(f"{where}: {what} tensor {name_some(sorted(names))} by {CONFIG}; copy the folder again")
    for name, (dtype, shape) in header.items():
        wanted = declared[name]
        found = {"dtype": DTYPES.get(dtype, dtype), "shape": shape}
        if found != wanted:
            raise ModelError(
                f"{where}: tensor {name!r} is {found}, but {CONFIG} declares {wanted!r:.80}; copy the folder again"
            )


def declare(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Types and shapes for `config.json`."""
    return {name: {"dtype": str(a.dtype), "shape": list(a.shape)} for name, a in sorted(tensors.items())}


def n_numbers(tensors: dict[str, npt.NDArray[Any]]) -> int:
    """How many numbers the tensors hold."""
    return sum(math.prod(a.shape) for a in tensors.values())
