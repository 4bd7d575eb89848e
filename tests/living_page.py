"""`metalcx watch` in Chromium over trainings that are really running, checked as it goes, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from browsing import chromium, until
from trainings import EPOCHS
from watching import Page

WORKERS, EVERY = 3, 2.0
PATIENCE = 900.0


class Visitor:
    """The page in the browser, and everything that it complained of."""

    def __init__(self, browser: Any, url: str) -> None:
        self.page = browser.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.goto(url)
        self._inside = self.page.context.new_cdp_session(self.page)
        self._inside.send("Performance.enable")

    def runs(self) -> int:
        """How many runs the page says that there are."""
        return int(self.page.locator("#count").inner_text().split()[2].replace(",", ""))

    def fresh(self) -> str:
        """When, by the page, something changed last."""
        return str(self.page.locator("#state").inner_text())

    def costs(self) -> dict[str, float]:
        """Megabytes that the page's script holds, and nodes, once what is done with was collected."""
        self._inside.send("HeapProfiler.collectGarbage")
        found = {m["name"]: m["value"] for m in self._inside.send("Performance.getMetrics")["metrics"]}
        return {"page_mb": found["JSHeapUsedSize"] / 2**20, "page_nodes": found["Nodes"]}


def server_costs(pid: int) -> dict[str, float]:
    """Resident megabytes of a process, and processor seconds that it used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    pages, ticks = int(words[21]), int(words[11]) + int(words[12])
    return {
        "server_mb": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "server_cpu_s": ticks / os.sysconf("SC_CLK_TCK"),
    }


def start(logs: Path, count: int) -> list[subprocess.Popen[bytes]]:
    """Processes that train so many networks between them."""
    share = -(-count // WORKERS)
    script, env = Path(__file__).with_name("trainings.py"), {**os.environ, "OMP_NUM_THREADS": "1"}
    parts = [(first, min(share, count - first)) for first in range(0, count, share)]
    return [
        subprocess.Popen([sys.executable, str(script), str(logs), str(first), str(n)], env=env) for first, n in parts
    ]


def survey(folder: Path, count: int, model: str = "metalcx-base") -> list[dict[str, float]]:
    """Figures at each tenth of the runs, and at the end; raises `AssertionError` where the page does not keep up."""
    logs = folder / "logs"
    logs.mkdir()
    served = Page(str(logs), "--metric", "val_loss:min:0", "--horizon", str(EPOCHS), "--model", model, every=EVERY)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with chromium() as browser:
            visitor = Visitor(browser, served.url)
            workers += start(logs, count)
            visitor.page.wait_for_selector("#ranking-table table", timeout=1000 * PATIENCE)
            found = _grow(visitor, served, workers, count)
            _faults(visitor, served, logs, count)
            assert visitor.complaints == []
            return found
    finally:
        for process in (*workers, served.process):
            process.kill()
            process.communicate()


def _grow(visitor: Visitor, served: Page, workers: list[subprocess.Popen[bytes]], count: int) -> list[dict[str, float]]:
    begun, found, seen = time.monotonic(), [], set()

    def figures() -> dict[str, float]:
        costs = visitor.costs() | server_costs(served.process.pid)
        return {"runs": visitor.runs(), "seconds": time.monotonic() - begun, "updates": len(seen), **costs}

    def whole() -> bool:
        seen.add(visitor.fresh())
        # A row at each tenth, of those that come with one look the last.
        if 10 * visitor.runs() // count > 10 * (found[-1]["runs"] if found else 0) // count:
            found.append(figures())
        return visitor.runs() == count and all(worker.poll() is not None for worker in workers)

    until(whole, PATIENCE)
    assert {worker.returncode for worker in workers} == {0}
    # Every point of every training has arrived: none of them is going on.
    until(lambda: "running" not in {row["status"] for row in served.state()["runs"]}, PATIENCE)
    settled = [figures()]
    for _ in range(10):
        time.sleep(EVERY)
    return [*found, *settled, figures()]


def _faults(visitor: Visitor, served: Page, logs: Path, count: int) -> None:
    """A log that is cut goes back, one that is deleted goes away, one that is written to goes on."""
    rows = {row["run"]: row for row in served.state()["runs"]}
    whole = [run for run, row in rows.items() if row["status"] == "completed"]
    cut, gone = sorted(whole)[:2]
    (file,) = (logs / cut).iterdir()
    os.truncate(file, file.stat().st_size // 2)
    shutil.rmtree(logs / gone)
    until(lambda: visitor.runs() == count - 1, PATIENCE)
    state = served.until(lambda s: {row["run"]: row["status"] for row in s["runs"]}[cut] == "running")
    assert gone not in {row["run"] for row in state["runs"]}
    visitor.page.fill("#filter", cut)
    until(lambda: visitor.page.locator("#fan-charts article").count() == 1)
    visitor.page.fill("#filter", "")
    visitor.page.click("#rows-all")
    until(lambda: visitor.page.locator("#ranking-table tbody tr").count() == count - 1)
