"""JSON objects read member by member, so that a file of gigabytes is never wholly in memory as Python objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metalcx.errors import DataError

_SPACE = re.compile(r"[ \t\n\r]*")


class JsonCursor:
    """A place in the text of a JSON file. The text is held, what it says is not.

    Args:
        path: The file.

    Raises:
        DataError: If it cannot be read as text.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        self._decoder = json.JSONDecoder()
        try:
            self._text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no text"
            raise DataError(f"{path}: cannot be read ({reason}); give the published JSON file") from None

    def value(self) -> Any:
        """The value at this place; moves behind it."""
        self._skip()
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:
            raise self._damaged(str(error)) from None
        return value

    def members(self) -> Iterator[str]:
        """Keys of the object at this place; whoever takes a key must then take its value, or its members."""
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._damaged("a key is no text")
            self._take(":")
            yield key
            if self._peek() == "}":
                break
            self._take(",")
        self._take("}")

    def finish(self) -> None:
        """Complain unless the text ends here."""
        if self._peek():
            raise self._damaged("there is more after its end")

    def _peek(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _take(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._damaged(f"expecting {sign!r}")
        self._at += 1

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _damaged(self, why: str) -> DataError:
        return DataError(f"{self._path}: is not the JSON of this format ({why:.80}, at character {self._at})")
