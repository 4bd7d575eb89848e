"""`metalcx watch` as a process, and what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from as_process import ROOT, WITH_TINY


class Page:
    """A process of `metalcx watch`, which knows the forecaster of `tests/tiny.py` besides its own."""

    def __init__(self, *args: str, every: float = 0.2) -> None:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WITH_TINY}from metalcx.cli import main; main()"
        command = [sys.executable, "-c", code, "watch", *args, "--port", "0", "--every", str(every), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = [self.process.stdout.readline() for _ in range(3)]
        self.url = json.loads("".join(said))["url"] if said[0] else ""

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "state", timeout=10) as answer:
            return json.loads(answer.read())

    def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state that fits."""
        end = time.monotonic() + 120
        while not fits(state := self.state()):
            assert time.monotonic() < end, state
            time.sleep(0.1)
        return state
