"""Files of `torch.save`, both the zip and the older format, as plain values; tensors become numpy arrays. No torch."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from metalcx._zip import ZIP_ERRORS
from metalcx.corpora.importers._pickle_limits import Bounded, Limits
from metalcx.corpora.importers._pickle_machine import Machine
from metalcx.corpora.importers._pickle_names import Arguments, Name, RefusedError, Storage, fill, sizes

#: First value of the older format, and the only version of it.
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001

_KINDS = {
    "Double": "f8",
    "Float": "f4",
    "Half": "f2",
    "BFloat16": "u2",
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}
_STORAGES = {f"torch.{kind}Storage": kind for kind in _KINDS}


class _Tensors:
    """Makes an empty array for each tensor, and fills all of them when the storages have been read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: list[tuple[npt.NDArray[Any], Storage, int, tuple[int, ...], tuple[int, ...]]] = []
        self.storages: dict[str, Storage] = {}

    def read(self, stream: BinaryIO) -> Any:
        """The value of the pickle that mentions the tensors."""
        makers: dict[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": lambda data, *_: data,
        }
        return Machine(makers, frozenset(_STORAGES), self._storage, self._limits).run(stream)

    def _storage(self, reference: Any) -> Storage:
        if not isinstance(reference, Arguments) or len(reference) < 5 or reference[0] != "storage":
            raise RefusedError("what is outside of the pickle is no storage of numbers")
        kind, key, count = reference[1], reference[2], reference[4]
        if not isinstance(kind, Name) or kind.text not in _STORAGES or not isinstance(key, str):
            raise RefusedError("a storage is of a kind that is not known")
        if type(count) is not int or not 0 <= count <= self._limits.text:
            raise RefusedError("a storage has no sensible length")
        storage = self.storages.setdefault(key, Storage(_STORAGES[kind.text], key, count))
        if (storage.kind, storage.count) != (_STORAGES[kind.text], count):
            raise RefusedError(f"storage {key!r:.40} is described in two ways")
        return storage

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> npt.NDArray[Any]:
        if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
            raise RefusedError("a tensor is not a view of a storage")
        size, stride = sizes(size), sizes(stride)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        count = math.prod(size)
        # A view that repeats its numbers would be as large as it likes.
        if count and (last >= storage.count or count > storage.count):
            raise RefusedError(f"a tensor of shape {size!s:.40} reaches beyond its storage of {storage.count}")
        array = np.empty(0)
        self._waiting.append((array, storage, offset, size, stride))
        return array

    def fill(self, read: Callable[[Storage, int], bytes]) -> None:
        """Fill the arrays; `read` gives the bytes of a storage of so many bytes."""
        known = {key: self._numbers(storage, read) for key, storage in self.storages.items()}
        for array, storage, offset, size, stride in self._waiting:
            flat = known[storage.key]
            steps = [step * flat.itemsize for step in stride]
            view = np.lib.stride_tricks.as_strided(flat[offset:], size, steps) if math.prod(size) else flat[:0]
            fill(array, size, flat.dtype, False, view.tobytes())

    @staticmethod
    def _numbers(storage: Storage, read: Callable[[Storage, int], bytes]) -> npt.NDArray[Any]:
        dtype = np.dtype(_KINDS[storage.kind]).newbyteorder("<")
        data = read(storage, storage.count * dtype.itemsize)
        if len(data) != storage.count * dtype.itemsize:
            raise RefusedError(f"storage {storage.key!r:.40} has {len(data)} bytes, not {storage.count} numbers")
        flat = np.frombuffer(data, dtype)
        if storage.kind == "BFloat16":
            return (flat.astype(np.uint32) << 16).view(np.float32)
        return flat


def read_legacy(stream: BinaryIO, limits: Limits) -> Any:
    """The value of a file of the older format, from the value after the magic number on.

    Raises:
        RefusedError: If it holds anything but plain values, or is damaged.
    """
    if Machine(limits=limits).run(stream) != VERSION:
        raise RefusedError("it is a torch file of an unknown version")
    system = Machine(limits=limits).run(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("it was written on a machine of another byte order")
    tensors = _Tensors(limits)
    value = tensors.read(stream)
    keys = Machine(limits=limits).run(stream)
    if not isinstance(keys, list) or set(map(str, keys)) != set(tensors.storages):
        raise RefusedError("its list of storages is not that of its tensors")
    tensors.fill(_in_order(Bounded(stream, limits.text), keys, tensors.storages))
    if stream.read(1):
        raise RefusedError("there is more after its end")
    return value


def _in_order(stream: Bounded, keys: list[Any], storages: dict[str, Storage]) -> Callable[[Storage, int], bytes]:
    """Storages stand one after another, each after the count of its numbers."""
    data = {}
    for key in map(str, keys):
        storage = storages[key]
        count = int.from_bytes(stream.read(8), "little", signed=True)
        if count != storage.count:
            raise RefusedError(f"storage {key!r:.40} has {count} numbers, not {storage.count}")
        data[key] = stream.read(count * np.dtype(_KINDS[storage.kind]).itemsize)
    return lambda storage, _: data[storage.key]


def read_zip(path: Path, limits: Limits, unpacked: int) -> Any:
    """The value of a file of the zip format; nothing is unpacked to disk, and no more than `unpacked` bytes at all.

    Raises:
        RefusedError: If it holds anything but plain values, is damaged, or is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_archive(archive, limits, unpacked)
    except ZIP_ERRORS as error:
        raise RefusedError(f"its zip archive is damaged ({error!s:.100})") from None


def _from_archive(archive: zipfile.ZipFile, limits: Limits, unpacked: int) -> Any:
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(set(names)) != len(names) or len(pickles) != 1:
        raise RefusedError("it is a zip archive, but not one that torch wrote")
    if sum(entry.file_size for entry in archive.infolist()) > unpacked:
        raise RefusedError(f"it would unpack to more than {unpacked} bytes")
    home = pickles[0].removesuffix("data.pkl")
    if f"{home}byteorder" in names and archive.read(f"{home}byteorder") != b"little":
        raise RefusedError("it was written on a machine of another byte order")
    tensors = _Tensors(limits)
    with archive.open(pickles[0]) as stream:
        value = tensors.read(stream)  # type: ignore[arg-type]

    def read(storage: Storage, size: int) -> bytes:
        name = f"{home}data/{storage.key}"
        if name not in names or archive.getinfo(name).file_size != size:
            raise RefusedError(f"storage {storage.key!r:.40} is missing, or not of {size} bytes")
        return archive.read(name)

    tensors.fill(read)
    return value
