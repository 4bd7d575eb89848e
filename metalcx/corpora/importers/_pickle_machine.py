"""An interpreter of pickles that calls nothing a file names and builds plain values only.

Python's own unpickler runs whatever a file asks for, and an allow-list in front of it guards what is *found*, not what
the objects found then do. This one knows the opcodes that plain containers, numbers, text and arrays need. Everything
else is refused with its name and position.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from metalcx.corpora.importers._pickle_limits import Bounded, Limits, check_size
from metalcx.corpora.importers._pickle_names import (
    ARGUMENTS,
    INTERNAL,
    MAKERS,
    Arguments,
    Dtype,
    Name,
    RefusedError,
    fill,
)
from metalcx.corpora.importers._pickle_names import key as checked_key


class Machine:
    """Runs one pickle.

    Args:
        makers: Names beyond those of plain Python and numpy, and the functions that stand for them.
        arguments: Further names that may be arguments.
        persistent: What stands for a persistent id, or None if there may be none.
        limits: What the file may ask for.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[..., Any]] | None = None,
        arguments: frozenset[str] = frozenset(),
        persistent: Callable[[Any], Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._makers = {**MAKERS, **(makers or {})}
        self._names = ARGUMENTS | arguments | self._makers.keys()
        self._persistent, self._limits = persistent, limits or Limits()
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._fresh: dict[int, Any] = {}  # arrays that wait for their content, kept alive so that ids stay theirs
        self._run: dict[str, Callable[[Any], None]] = {**_PUSHES(self), **_OPCODES(self)}

    def run(self, stream: BinaryIO) -> Any:
        """The value of the pickle at the stream's position, and no byte further.

        Raises:
            RefusedError: If it holds anything but plain values, or breaks a limit; with the opcode and its position.
        """
        count, opcode, position = 0, "the first opcode", 0
        try:
            for info, argument, at in pickletools.genops(Bounded(stream, self._limits.text)):  # type: ignore[arg-type]
                opcode, position, count = info.name, at or 0, count + 1
                if opcode == "STOP":
                    return self._result()
                if count > self._limits.opcodes:
                    raise RefusedError(f"more than {self._limits.opcodes} opcodes")
                self._run[opcode](argument)
        except KeyError:
            raise RefusedError(f"{opcode} at byte {position} is not of plain data") from None
        except RefusedError as refused:
            raise RefusedError(f"{opcode} at byte {position}: {refused}") from None
        except (ValueError, IndexError, TypeError, OverflowError, RecursionError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise RefusedError(f"after {opcode} at byte {position}: damaged ({reason})") from None
        raise RefusedError(f"after {opcode} at byte {position}: it ends early")

    def _result(self) -> Any:
        if len(self._stack) != 1 or self._marks:
            raise RefusedError(f"{len(self._stack)} values are left where there must be one")
        value = self._plain(self._stack[0])
        if self._fresh:
            raise RefusedError("an array has no content")
        check_size(value, self._limits)
        return value

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise RefusedError("nothing is left to take")
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0) or type(self._stack[-1]) is not kind:
            raise RefusedError(f"there is no {kind.__name__} to put it into")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise RefusedError("there is no mark")
        at = self._marks.pop()
        items, self._stack[at:] = self._stack[at:], []
        return items

    def _drop(self) -> None:
        """Take the last value away, or the mark if that is last."""
        if len(self._stack) > (self._marks[-1] if self._marks else 0):
            self._pop()
        else:
            self._drop_to_mark()

    def _drop_to_mark(self) -> None:
        self._since_mark()

    @staticmethod
    def _plain(value: Any) -> Any:
        if type(value) in INTERNAL:
            raise RefusedError(f"{type(value).__name__.lower()} is not plain data")
        return value

    def _put(self, number: int) -> None:
        if not self._stack:
            raise RefusedError("there is nothing to remember")
        self._memo[number] = self._stack[-1]

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise RefusedError(f"nothing is remembered as {number}")
        self._stack.append(self._memo[number])

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _list(self, items: list[Any]) -> None:
        self._stack.append([self._plain(item) for item in items])

    def _tuple(self, items: list[Any]) -> None:
        internal = any(type(item) in INTERNAL for item in items)
        self._stack.append(Arguments(items) if internal else tuple(items))

    def _dict(self, items: list[Any]) -> None:
        self._stack.append({})
        self._set_items(items)

    def _set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise RefusedError("a key has no value")
        target = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(value) in INTERNAL:
                raise RefusedError(f"{type(value).__name__.lower()} is not plain data")
            target[checked_key(key)] = value

    def _append(self, items: list[Any]) -> None:
        self._top(list).extend(self._plain(item) for item in items)

    def _add(self, items: list[Any]) -> None:
        self._top(set).update(map(checked_key, items))

    def _global(self, argument: str | None) -> None:
        """Push a name: of two parts in the argument, or of two texts on the stack."""
        if argument is None:
            name, module = self._pop(), self._pop()
        else:
            module, _, name = argument.partition(" ")
        if not isinstance(module, str) or not isinstance(name, str) or f"{module}.{name}" not in self._names:
            raise RefusedError(f"the name {module!s:.60}.{name!s:.60} is not one of plain data")
        self._stack.append(Name(f"{module}.{name}"))

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if not isinstance(name, Name) or name.text not in self._makers:
            raise RefusedError(f"{getattr(name, 'text', type(name).__name__)} is not to be called")
        if not isinstance(arguments, tuple):
            raise RefusedError("the arguments are no tuple")
        made = self._makers[name.text](*arguments)
        if name.text.endswith("multiarray._reconstruct"):
            self._fresh[id(made)] = made
        self._stack.append(made)

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1] if self._stack else None
        if isinstance(target, Dtype):
            target.build(state)
        elif isinstance(target, np.ndarray) and self._fresh.pop(id(target), None) is target:
            if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], Dtype):
                raise RefusedError("the state of an array is not its shape, dtype and bytes")
            fill(target, state[1], state[2].dtype, state[3], state[4])
        else:
            raise RefusedError(f"{type(target).__name__} takes no state")

    def _persist(self) -> None:
        if self._persistent is None:
            raise RefusedError("it refers to something outside of the file")
        self._stack.append(self._persistent(self._pop()))


def _PUSHES(machine: Machine) -> dict[str, Callable[[Any], None]]:  # noqa: N802
    """Opcodes that push their argument."""
    texts = "STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"
    data = "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
    numbers = "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT"
    return dict.fromkeys(f"{texts} {data} {numbers}".split(), lambda argument: machine._stack.append(argument))


def _OPCODES(m: Machine) -> dict[str, Callable[[Any], None]]:  # noqa: N802
    """All other opcodes of plain data."""
    push = m._stack.append
    return {
        "PROTO": lambda _: None,
        "FRAME": lambda _: None,
        "NONE": lambda _: push(None),
        "NEWTRUE": lambda _: push(True),
        "NEWFALSE": lambda _: push(False),
        "EMPTY_LIST": lambda _: push([]),
        "EMPTY_DICT": lambda _: push({}),
        "EMPTY_SET": lambda _: push(set()),
        "EMPTY_TUPLE": lambda _: push(()),
        "MARK": lambda _: m._mark(),
        "POP": lambda _: m._drop(),
        "POP_MARK": lambda _: m._drop_to_mark(),
        "LIST": lambda _: m._list(m._since_mark()),
        "TUPLE": lambda _: m._tuple(m._since_mark()),
        "TUPLE1": lambda _: m._tuple([m._pop()]),
        "TUPLE2": lambda _: m._tuple([m._pop(), m._pop()][::-1]),
        "TUPLE3": lambda _: m._tuple([m._pop(), m._pop(), m._pop()][::-1]),
        "DICT": lambda _: m._dict(m._since_mark()),
        "FROZENSET": lambda _: push(frozenset(map(checked_key, m._since_mark()))),
        "APPEND": lambda _: m._append([m._pop()]),
        "APPENDS": lambda _: m._append(m._since_mark()),
        "ADDITEMS": lambda _: m._add(m._since_mark()),
        "SETITEM": lambda _: m._set_items([m._pop(), m._pop()][::-1]),
        "SETITEMS": lambda _: m._set_items(m._since_mark()),
        "MEMOIZE": lambda _: m._put(len(m._memo)),
        **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), m._put),
        **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), m._get),
        "GLOBAL": m._global,
        "STACK_GLOBAL": lambda _: m._global(None),
        "REDUCE": lambda _: m._reduce(),
        "BUILD": lambda _: m._build(),
        "BINPERSID": lambda _: m._persist(),
    }
