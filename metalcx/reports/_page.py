"""One HTML page: the files in `page/` and JSON values, escaped and inline."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).with_name("page")

#: In the order in which they need each other. Each is a piece of one function.
_SCRIPTS = (
    "dom.js",
    "scale.js",
    "pointing.js",
    "curves.js",
    "tables.js",
    "sections.js",
    "evidence.js",
    "live.js",
    "main.js",
)

#: Where a page gets what is not inline: from nowhere.
_NOWHERE = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """The style sheet."""
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """The script: one function, so that nothing of it is global."""
    pieces = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{pieces}}})();\n'


def embedded(value: Any) -> str:
    """JSON that ends no script element and begins none, whatever its texts hold.

    Raises:
        ValueError: If it holds NaN or infinity, which JSON lacks.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # "<" ends elements and begins comments; the separators end lines in JavaScript; half a surrogate is no UTF-8.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def document(facts: dict[str, Any], plain: str) -> str:
    """The whole page, offline: a content security policy lets nothing run but its own script.

    Args:
        facts: What the script draws.
        plain: HTML for readers in which no script runs; already escaped.
    """
    policy = f"{_NOWHERE}; style-src {_hash(style())}; script-src {_hash(script())}"
    return _frame(
        str(facts["title"]),
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style()}</style>',
        f'<noscript>{plain}</noscript>\n<script type="application/json" id="facts">{embedded(facts)}</script>\n'
        f"<script>{script()}</script>",
    )


def live_document(title: str) -> str:
    """The page that asks its server for everything."""
    return _frame(
        title,
        '<link rel="stylesheet" href="/page.css">\n<script src="/page.js" defer></script>',
        "<noscript><p>The live page needs JavaScript.</p></noscript>",
    )


def _frame(title: str, head: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="metalcx">\n'
        f'<link rel="icon" href="data:,">\n<title>{html.escape(_text(title))}</title>\n{head}\n</head>\n'
        f'<body>\n<div id="page"></div>\n{body}\n</body>\n</html>\n'
    )


def table(columns: list[str], rows: list[list[object]]) -> str:
    """An HTML table, escaped."""
    head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in columns)
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(_text(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"


def _text(value: object) -> str:
    """As UTF-8 can say it; nothing for None."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _hash(text: str) -> str:
    """As a content security policy names inline text that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
