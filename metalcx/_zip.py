"""What reading a damaged zip archive raises: by zipfile itself, by what unpacks its members, by numpy."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it refuses such members by a RuntimeError
    LZMAError = zlib.error  # type: ignore[assignment,misc]

ZIP_ERRORS = (EOFError, OSError, RuntimeError, LZMAError, zipfile.BadZipFile, zlib.error)

#: Of an archive of arrays as well, whose headers numpy reads as Python.
NPZ_ERRORS = (*ZIP_ERRORS, KeyError, SyntaxError, TypeError, ValueError, tokenize.TokenError)
