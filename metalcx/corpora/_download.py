"""One file over HTTP into a part file: goes on where it was cut, starts again where the file has changed.

The part file stands beside a note of what identifies the version that it is a part of (`ETag`, `Last-Modified`), which
a server is asked to confirm before anything is appended. Where the server names no version, nothing is appended.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from metalcx.errors import CorpusError

#: Of each wait for the network, in seconds.
TIMEOUT = 30.0
TRIES = 4
#: Seconds before the second try; doubled before each further one.
PAUSE = 1.0
_CHUNK = 1 << 18
#: Answers after which another try may do.
_PASSING = {408, 425, 429, 500, 502, 503, 504}

Progress = Callable[[int, int | None], None]


class _AgainError(Exception):
    """What may go better at the next try."""


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to another scheme, nor one that gives up encryption."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_scheme(newurl)
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise CorpusError(f"is redirected to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_scheme(address: str) -> None:
    """Refuse what is neither http nor https.

    Raises:
        CorpusError: On any other scheme, such as ``file``.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise CorpusError(f"leads to {address}, and only http and https are fetched")


def note_of(part: Path) -> Path:
    """Where the version of a part file is noted."""
    return part.with_name(part.name + ".json")


def download(address: str, part: Path, size: int | None = None, progress: Progress | None = None) -> None:
    """Fetch all of `address` into `part`, going on with what is there.

    Args:
        address: http or https.
        part: The part file; its folder is there. It stays when this fails.
        size: Bytes that the file has to have, where known.
        progress: Called with the bytes that are there and those that there will be, None where unknown.

    Raises:
        CorpusError: What failed, without the address, which the caller knows.
        OSError: If `part` cannot be written.
    """
    check_scheme(address)
    for attempt in range(1, TRIES + 1):
        try:
            _attempt(address, part, size, progress or (lambda done, total: None))
            return
        except _AgainError as error:
            if attempt == TRIES:
                raise CorpusError(f"{error} ({TRIES} tries)") from None
            time.sleep(PAUSE * 2 ** (attempt - 1))


def _attempt(address: str, part: Path, size: int | None, progress: Progress) -> None:
    have, version = _resumable(address, part)
    if have and have == size:
        return  # whole: whoever fetched it was stopped before giving it its name
    with _open(address, have, version, part) as response:
        there = _accepted(response, have, version, part)
        total = _total(response, there)
        if size is not None and total is not None and total != size:
            raise CorpusError(f"has {total:,} bytes there now, and not the {size:,} that are stated")
        if not there:
            _note(part, address, _version(response))
        with part.open("ab" if there else "wb") as file:
            done = _copy(response, file, there, total, progress)
    if total is not None and done != total:
        raise _AgainError(f"the connection was cut after {done:,} of {total:,} bytes")


def _open(address: str, have: int, version: str, part: Path) -> Any:
    headers = {"User-Agent": "metalcx", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        request = urllib.request.Request(address, headers=headers)
        return urllib.request.build_opener(_HttpOnly).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _AgainError("the server has less than what is here already") from None
        said = f"HTTP {error.code} {error.reason}"
        raise (_AgainError(said) if error.code in _PASSING else CorpusError(said)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _AgainError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _accepted(response: Any, have: int, version: str, part: Path) -> int:
    """Bytes that stay: all that are here if the answer goes on with them, none if it begins anew."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise CorpusError("is sent compressed, though the plain file was asked for")
    if response.headers.get_content_type() == "text/html" and not part.name.endswith((".html.part", ".htm.part")):
        raise CorpusError("leads to a web page instead of the file")
    if response.status != 206:
        return 0
    begins = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    if begins != str(have) or _version(response) not in ("", version):
        part.unlink(missing_ok=True)
        raise _AgainError("the file has changed on the server")
    return have


def _total(response: Any, there: int) -> int | None:
    length = response.headers.get("Content-Length")
    return there + int(length) if length and length.isdecimal() else None


def _copy(response: Any, file: IO[bytes], done: int, total: int | None, progress: Progress) -> int:
    while total is None or done < total:
        try:
            piece = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _AgainError(f"the connection was cut after {done:,} bytes ({error})") from None
        if not piece:
            break
        file.write(piece)
        done += len(piece)
        progress(done, total)
    return done


def _version(response: Any) -> str:
    """What `If-Range` may name: a strong ETag, else a date; empty where the server gives neither."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _note(part: Path, address: str, version: str) -> None:
    # Before the first byte: a part whose note is missing or of another version is thrown away, never used wrongly.
    part.unlink(missing_ok=True)
    note_of(part).write_text(json.dumps({"address": address, "version": version}), encoding="utf-8")


def _resumable(address: str, part: Path) -> tuple[int, str]:
    """Bytes that are here and may be gone on with, and of which version; (0, "") if there are none."""
    try:
        said = json.loads(note_of(part).read_text(encoding="utf-8"))
        if said["address"] == address and said["version"]:
            return part.stat().st_size, said["version"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""
