"""The live page, served to one machine by what comes with Python."""

from __future__ import annotations

import gzip
import ipaddress
import json
import socket
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from metalcx.errors import DataError
from metalcx.reports._live import Bulletin
from metalcx.reports._page import live_document, script, style

#: A page of ours loads its own script and style, talks to its own server, and is framed by nobody.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

#: From so many bytes on an answer is compressed.
LARGE = 4096


class PageServer(ThreadingHTTPServer):
    """Answers GET for the page and what it needs; nothing else.

    Args:
        host: Address to listen on.
        port: Port; 0 for any that is free.
        bulletin: What is told.

    Raises:
        DataError: If the address cannot be listened on.
    """

    daemon_threads = True
    # Two of us on one port would answer by turns.
    allow_reuse_port = False

    def __init__(self, host: str, port: int, bulletin: Bulletin) -> None:
        self.bulletin, self.host = bulletin, host
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(f"{host}:{port}: cannot be listened on ({why}); choose another --port") from None

    def server_bind(self) -> None:
        """Bind, without asking name servers what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_address[1]}/"

    def knows(self, host: str) -> bool:
        """Whether a request's Host header is one of ours.

        A name that somebody else made point here would let their pages read ours (DNS rebinding): only numbers, which
        nobody can make point elsewhere, ``localhost`` and the name given are ours.
        """
        name = urlsplit(f"//{host}").hostname if host else None
        if name is None:
            return False
        try:
            ipaddress.ip_address(name.split("%")[0])
        except ValueError:
            return name in ("localhost", self.host.lower())
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who hang up; anything else is told as usual."""
        import sys

        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: PageServer
    # A connection an answer: one that is kept would hold a thread, and outlive the server.
    protocol_version = "HTTP/1.0"
    server_version, sys_version = "metalcx", ""
    #: Seconds without a word after which a connection is closed.
    timeout = 30

    def do_GET(self) -> None:
        """Answer."""
        try:
            known = self.server.knows(self.headers.get("Host", ""))
        except ValueError:
            known = False
        if not known:
            self._answer(403, "text/plain", "This server answers only to its own address.\n")
            return
        url = urlsplit(self.path)
        if url.path == "/state":
            self._answer(200, "application/json", self._state(url.query))
        elif url.path == "/":
            self._answer(200, "text/html", live_document(self.server.bulletin.title))
        elif url.path == "/page.js":
            self._answer(200, "text/javascript", script())
        elif url.path == "/page.css":
            self._answer(200, "text/css", style())
        else:
            self._answer(404, "text/plain", "There is nothing here.\n")

    do_HEAD = do_GET  # noqa: N815

    def _state(self, query: str) -> str:
        asked = parse_qs(query, max_num_fields=10)
        since = asked.get("since", ["0"])[-1]
        version = int(since) if since.isascii() and since.isdigit() and len(since) < 16 else 0
        news = self.server.bulletin.since(asked.get("epoch", [""])[-1], version)
        return json.dumps(news, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode("utf-8", "backslashreplace")
        packed = len(body) > LARGE and "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:
            body = gzip.compress(body, 1)
        self.send_response(code)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a page that asks each second would fill the terminal."""
