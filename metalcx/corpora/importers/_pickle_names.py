"""The few names that a published pickle may mention, each with a function of ours that makes the plain value.

Nothing that a file names is ever looked up or called: a name that is not in this table is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_DTYPE = re.compile(r"[<>|=]?[biufc](1|2|4|8|16)|[<>|=]?[SU][1-9][0-9]{0,5}")
_MAX_DIMENSIONS = 32


class RefusedError(ValueError):
    """What a file asks for is not one of the plain values that may be read."""


class Name:
    """A name of the table, as it stands in a file: good for nothing but to be called, or to be an argument."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Arguments(tuple[Any, ...]):
    """A tuple that holds a name, a dtype or a storage: it may be passed on to a maker, and be nothing else."""

    __slots__ = ()


class Dtype:
    """A numpy dtype of numbers or text, which a file builds in two steps."""

    __slots__ = ("dtype",)

    def __init__(self, text: object) -> None:
        text = text.decode("latin1") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise RefusedError(f"an array of {_short(text)} is neither numbers nor text")
        try:
            self.dtype = np.dtype(text)
        except TypeError:
            raise RefusedError(f"numpy knows no dtype {_short(text)}") from None

    def build(self, state: object) -> None:
        """Take over the byte order; fields, and whatever else makes a dtype more than numbers, are refused."""
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise RefusedError("a dtype with fields is not plain numbers or text")
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|"):
            raise RefusedError(f"a dtype has no byte order {_short(order)}")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class Storage:
    """Numbers of a torch file that tensors are views of: known by their kind and count, read after the pickle."""

    __slots__ = ("count", "key", "kind")

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.kind, self.key, self.count = kind, key, count


#: What must never be an element of a value that is handed out.
INTERNAL = frozenset((Name, Arguments, Dtype, Storage))


def fill(array: np.ndarray[Any, Any], shape: object, dtype: np.dtype[Any], fortran: object, data: object) -> None:
    """Give an empty array its content, after shape, dtype and the number of bytes were found to agree."""
    count = math.prod(sizes(shape))
    if not isinstance(data, (bytes, bytearray)):
        raise RefusedError(f"the content of an array is {type(data).__name__}, not bytes")
    if dtype.hasobject or count * dtype.itemsize != len(data):
        raise RefusedError(f"an array of shape {_short(shape)} of {dtype} does not fit its {len(data)} bytes")
    array.__setstate__((1, shape, dtype, bool(fortran), bytes(data)))  # type: ignore[arg-type]


def sizes(shape: object) -> tuple[int, ...]:
    ok = isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS
    if not ok or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):  # type: ignore[attr-defined]
        raise RefusedError(f"an array has no shape {_short(shape)}")
    return shape  # type: ignore[return-value]


def _array(kind: object, shape: object, typecode: object) -> Any:
    if not isinstance(kind, Name) or kind.text != "numpy.ndarray":
        raise RefusedError("an array is of a class of its own")
    return np.empty(0)


def _frombuffer(data: object, dtype: object, shape: object, order: object) -> Any:
    array = np.empty(0)
    fill(array, shape, _dtype(dtype), order == "F", data)
    return array


def _scalar(dtype: object, data: object = b"") -> Any:
    array = np.empty(0)
    fill(array, (), _dtype(dtype), False, data)
    return array[()]


def _dtype(value: object) -> np.dtype[Any]:
    if not isinstance(value, Dtype):
        raise RefusedError(f"a dtype is asked for, and {type(value).__name__} is given")
    return value.dtype


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("bytes are written as text in an unknown encoding")
    return text.encode("latin1")


def _bytearray(data: object = b"", encoding: object = "latin1") -> bytearray:
    return bytearray(data if isinstance(data, bytes) else _encode(data, encoding))


def _empty_bytes(*rest: object) -> bytes:
    if rest:
        raise RefusedError("bytes are made of something else than bytes")
    return b""


def _members(kind: type) -> Callable[..., Any]:
    def make(items: object = ()) -> Any:
        if type(items) not in (list, tuple):
            raise RefusedError(f"a {kind.__name__} is made of {type(items).__name__}")
        return kind(map(key, items))  # type: ignore[call-overload]

    return make


def _complex(real: object = 0.0, imaginary: object = 0.0) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise RefusedError("a complex number is made of something else than two numbers")
    return complex(real, imaginary)


def _mapping(*items: object) -> dict[Any, Any]:
    if not items:
        return {}
    if len(items) > 1 or not isinstance(items[0], (list, tuple)) or not all(_is_pair(pair) for pair in items[0]):
        raise RefusedError("an OrderedDict is made of something else than pairs")
    return {key(k): v for k, v in items[0]}


def _default(factory: object = None) -> dict[Any, Any]:
    if factory is not None and not isinstance(factory, Name):
        raise RefusedError("the factory of a defaultdict is no name")
    return {}  # what it would make of a missing key is not data


def _size(items: object = ()) -> tuple[int, ...]:
    return sizes(tuple(items) if isinstance(items, list) else items)


def _is_pair(pair: object) -> bool:
    return type(pair) in (list, tuple) and len(pair) == 2  # type: ignore[arg-type]


def key(value: Any) -> Any:
    """`value` if it may be a key or a member of a set: flat, so that hashing it takes no time to speak of.

    Raises:
        RefusedError: If it may not.
    """
    if type(value) in _FLAT:
        return value
    flat = value if type(value) in (tuple, frozenset) else (value,)
    if all(item is None or type(item) in _FLAT or isinstance(item, np.generic) for item in flat):
        return value
    raise RefusedError(f"a key is {type(value).__name__} of something that is neither number nor text")


def _short(value: object) -> str:
    return repr(value)[:40] if isinstance(value, (str, bytes, int)) or _flat_tuple(value) else type(value).__name__


def _flat_tuple(value: object) -> bool:
    return type(value) is tuple and len(value) < 8 and all(type(v) in (str, bytes, int) for v in value)


_FLAT = frozenset((str, bytes, int, float, bool, complex))

#: Names -> makers. Protocols below 3 write the names of Python 2, numpy 1 those of its older modules.
MAKERS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _default,
    "numpy.dtype": lambda text, align=False, copy=True: Dtype(text),
    "torch.Size": _size,
    **{f"{home}.bytearray": _bytearray for home in ("builtins", "__builtin__")},
    **{f"{home}.bytes": _empty_bytes for home in ("builtins", "__builtin__")},
    **{f"{home}.complex": _complex for home in ("builtins", "__builtin__")},
    **{f"{home}.{kind.__name__}": _members(kind) for home in ("builtins", "__builtin__") for kind in (set, frozenset)},
    **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}

#: Names that are arguments only: the class of an array, factories of a defaultdict.
ARGUMENTS = frozenset(
    ["numpy.ndarray", *(f"{m}.{n}" for m in ("builtins", "__builtin__") for n in ("list", "dict", "int", "float"))]
)
