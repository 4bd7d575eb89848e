"""Whatever the data hold, the page is one document whose only script is ours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.reports._page import document, embedded, live_document, script, style, table

NASTY = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>",
    "\u2028\u2029",
    "\ud800",
    "__proto__",
    '"><svg onload=alert(1)>',
    "&lt;b&gt;",
    "\x00\x1b",
    "' onmouseover='alert(1)",
]

texts = st.text(max_size=30) | st.sampled_from(NASTY) | st.builds("".join, st.lists(st.sampled_from(NASTY), max_size=3))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


class Reader(HTMLParser):
    """Elements with their attributes, and what stands inside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append((tag, ""))

    def handle_data(self, data):
        if self.lasttag in ("script", "style") and self.cdata_elem:
            self.inside[-1] = (self.inside[-1][0], self.inside[-1][1] + data)
        else:
            self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def as_utf8(value):
    """What JSON in UTF-8 can say of it: half a surrogate becomes its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [as_utf8(v) for v in value]
    if isinstance(value, dict):
        return {as_utf8(k): as_utf8(v) for k, v in value.items()}
    return value


@given(values)
def test_json_survives_inside_a_script_element(value):
    text = embedded(value)
    assert not re.search(r"[<>&\u2028\u2029]", text)
    # A half surrogate is written as the JSON escape of the same character.
    assert as_utf8(json.loads(text)) == as_utf8(value)
    text.encode("utf-8")


@given(texts, values)
def test_a_page_holds_what_we_wrote_and_nothing_that_data_made(title, value):
    page = document({"title": title, "data": value}, table(["a"], [[title]]))
    page.encode("utf-8")
    # Ours is long and known: where it stands is what matters.
    reader = read(page.replace(script(), "ours").replace(style(), "ours"))
    kinds = [tag for tag, _ in reader.elements]
    assert sorted(set(kinds)) == sorted(
        [
            *("html", "head", "meta", "link", "title", "style", "body", "div", "noscript", "script"),
            *("table", "thead", "tbody", "tr", "th", "td"),
        ]
    )
    assert (kinds.count("script"), kinds.count("style")) == (2, 1)
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    assert reader.inside[-1] == ("script", "ours")
    assert page.count(script()) == page.count(style()) == 1


def test_the_policy_names_our_script_and_style_and_nothing_else():
    page = document({"title": "t"}, "")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    for kind, text in (("script-src", script()), ("style-src", style())):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("page", [document({"title": "t"}, ""), live_document("t"), script(), style()])
def test_nothing_comes_from_elsewhere(page):
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", re.sub(r"(?m)^\s*//.*$", "", page)))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\((?!#)|innerHTML|outerHTML|document\.write|\beval\(|new Function", page)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded(float("nan"))
