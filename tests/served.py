"""A server on this machine that hands out bytes the way good and bad servers of the world do."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = hashlib.shake_256(b"curves").digest(900_000)


class Site(ThreadingHTTPServer):
    """What it serves, how it behaves, and what it was asked.

    Attributes:
        body: The file, under every path that has no answer of its own.
        etag: Its version, None where the server names none.
        ranges: Whether it keeps to `Range`.
        keeps_if_range: False for a server that sends the rest of whatever it has now.
        cuts: Bytes after which it drops the connection, one an answer, until they are used up.
        failures: Statuses that it answers with before anything else.
        hold: What every answer waits for, after `held_after` bytes of its body or before it begins.
        answers: Path -> (status, headers, body) in place of the file.
        asked: (path, headers) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body, self.etag, self.ranges, self.keeps_if_range = BODY, '"one"', True, True
        self.cuts: list[int] = []
        self.failures: list[int] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.hold: threading.Event | None = None
        self.held_after: int | None = None

    def address(self, path: str = "/file.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: object) -> None:
        pass  # clients that leave are part of the tests


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.server
        site.asked.append((self.path, dict(self.headers)))
        if site.hold is not None and site.held_after is None:
            site.hold.wait(10)
        if self.path in site.answers:
            self._send(*site.answers[self.path])
        elif site.failures:
            self._send(site.failures.pop(0), {}, b"")
        else:
            self._file(site)

    def _file(self, site: Site) -> None:
        headers = {"ETag": site.etag} if site.etag else {}
        asked = self.headers.get("Range")
        same = not site.keeps_if_range or self.headers.get("If-Range") == site.etag
        if not (asked and site.ranges and same):
            self._send(200, headers, site.body)
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-"))
        if begin >= len(site.body):
            self._send(416, {"Content-Range": f"bytes */{len(site.body)}"}, b"")
            return
        span = f"bytes {begin}-{len(site.body) - 1}/{len(site.body)}"
        self._send(206, {**headers, "Content-Range": span}, site.body[begin:])

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        cut = self.server.cuts.pop(0) if self.server.cuts and status in (200, 206) else len(body)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        begun = self.server.held_after or 0
        self.wfile.write(body[: min(begun, cut)])
        if self.server.hold is not None and begun:
            self.server.hold.wait(10)
        self.wfile.write(body[begun:cut])
        self.close_connection = True


@contextlib.contextmanager
def serving() -> Iterator[Site]:
    """A `Site` that answers until the block ends."""
    site = Site()
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
        thread.join()
