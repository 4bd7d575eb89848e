"""JSON of others: refused where readers could read it in two ways, and in no more time than it takes to read."""

from __future__ import annotations

import json
import time

import pytest

from metalcx._json import loads


def test_what_json_says():
    held = {"a": [1, 2.5, None, True], "b": {"a": "x", "c": {}}}
    assert loads(json.dumps(held)) == held


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'])
def test_a_key_that_stands_twice_is_named(text):
    with pytest.raises(ValueError, match="the key 'a' stands there twice"):
        loads(text)


def test_a_key_that_stands_twice_among_many_is_found_at_once():
    text = "{" + ", ".join(f'"{i}": 0' for i in (*range(100_000), 99_999)) + "}"
    began = time.perf_counter()
    with pytest.raises(ValueError, match="'99999' stands there twice"):
        loads(text)
    assert time.perf_counter() - began < 5
