"""What reading a damaged zip archive raises: by zipfile itself, and by what unpacks its members."""

from __future__ import annotations

import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it refuses such members by a RuntimeError
    LZMAError = zlib.error  # type: ignore[assignment,misc]

ZIP_ERRORS = (EOFError, OSError, RuntimeError, LZMAError, zipfile.BadZipFile, zlib.error)
