"""The server answers its own page to its own machine, and nothing else to anybody."""

from __future__ import annotations

import gzip
import http.client
import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spying import saturating
from strategies import SCORE, make

from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import Bulletin, LiveTask, PageServer
from metalcx.reports._page import script, style


@pytest.fixture(scope="module")
def server():
    bulletin = Bulletin("<b>t", "logs", 1.0)
    live = LiveTask(Baseline("med5"), horizon=20.0)
    names = [f"</script>{i}" for i in range(40)]
    bulletin.publish(live.stand(make(SCORE, saturating(40), ids=names)), live, "now", [])
    with PageServer("127.0.0.1", 0, bulletin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "kind", "body"), [("/page.js", "text/javascript", script()), ("/page.css", "text/css", style())]
)
def test_the_page_and_its_parts(server, path, kind, body):
    status, headers, found = ask(server, path)
    assert (status, found.decode()) == (200, body)
    assert headers["Content-Type"] == f"{kind}; charset=utf-8"
    page = ask(server)[2].decode()
    assert f'"{path}"' in page
    assert "<title>&lt;b&gt;t</title>" in page


def test_every_answer_is_locked_down(server):
    for path in ("/", "/state", "/page.js", "/nothing"):
        headers = ask(server, path)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8642", "localhost:1", "LOCALHOST", "[::1]:8642", "192.168.0.7"]
)
def test_numbers_and_localhost_are_ours(server, host):
    assert ask(server, "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a b"]
)
def test_other_names_are_turned_away(server, host):
    status, _, body = ask(server, "/state", Host=host)
    assert status == 403
    assert b"script" not in body


def test_a_name_given_is_ours_too():
    with PageServer("localhost", 0, Bulletin("t", "logs", 1.0)) as server:
        assert server.knows("localhost:99")
        server.host = "Box.local"
        assert server.knows("box.local:99")
        assert not server.knows("other.local:99")


def test_state_is_json_compressed_where_that_is_understood(server):
    _, headers, plain = ask(server, "/state")
    assert "Content-Encoding" not in headers
    _, headers, packed = ask(server, "/state", Accept_Encoding="gzip, br")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == plain
    assert len(json.loads(plain)["runs"]) == 40
    assert len(packed) < len(plain) / 3


def test_a_version_that_is_known_is_not_told_again(server):
    known = json.loads(ask(server, "/state")[2])
    again = json.loads(ask(server, f"/state?epoch={known['epoch']}&since={known['version']}")[2])
    assert again["same"]
    assert "runs" not in again


def test_other_methods_and_places_are_refused(server):
    assert ask(server, "/../../etc/passwd")[0] == 404
    assert ask(server, "//etc/passwd")[0] == 404
    assert ask(server, "/", "POST")[0] == 501
    status, headers, body = ask(server, "/page.js", "HEAD")
    assert (status, int(headers["Content-Length"]) > 1000, body) == (200, True, b"")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=40))
def test_no_question_breaks_it(server, query):
    assert ask(server, f"/state?{query}")[0] == 200
    assert ask(server, f"/{query}")[0] in (200, 404)


def test_a_port_that_is_taken_is_said(server):
    with pytest.raises(DataError, match=r"cannot be listened on .*choose another --port"):
        PageServer("127.0.0.1", server.server_address[1], server.bulletin)
