"""The live page as a process: it follows logs that are written, cut and deleted, and ends when told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watching import Page

from metalcx import hub

METRIC = ("--metric", "val_loss:min:0")


@pytest.fixture
def model(tmp_path, tiny):
    hub.save(tiny.Tiny(width=0.05), tmp_path / "base", name="base")
    return tmp_path / "base"


@pytest.fixture
def watch(tmp_path, model) -> Iterator[Callable[..., Page]]:
    pages = []

    def start(src: object, *args: object) -> Page:
        pages.append(Page(str(src), *METRIC, "--model", str(model), *map(str, args)))
        return pages[-1]

    yield start
    for page in pages:
        page.process.kill()
        page.process.communicate()


def write(folder: Path, run: str, steps: int, more: str = "") -> Path:
    path = folder / run / "metrics.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    level = 0.1 * (1 + int(run[1:]))
    path.write_text("step,val_loss\n" + "".join(f"{t},{level + 1 / t}\n" for t in range(1, steps + 1)) + more)
    return path


def runs_of(state: dict) -> dict[str, dict]:
    return {row["run"]: row for row in state.get("runs", ())}


def test_logs_that_are_written_cut_and_deleted(watch, tmp_path):
    logs = tmp_path / "logs"
    page = watch(logs, "--horizon", 10, "--startup", 2)
    assert "no logs" in page.until(lambda s: s.get("notes"))["notes"][0]
    for i in range(4):
        write(logs, f"r{i}", 10 if i < 3 else 4, "" if i < 3 else "5,0.")
    state = page.until(lambda s: len(runs_of(s)) == 4)
    rows = runs_of(state)
    assert {run: row["status"] for run, row in rows.items()} == {
        **dict.fromkeys(["r0", "r1", "r2"], "completed"),
        "r3": "running",
    }
    assert rows["r3"]["t"] == 4
    assert rows["r3"]["why"].startswith(("stop", "goes on: P(val_loss at 10"))
    assert (state["head"]["incumbent"]["run"], state["origin"]["support"]) == ("r0", {"completed": 3})
    # The half line is written to its end, a run is cut, another deleted.
    write(logs, "r3", 5)
    page.until(lambda s: runs_of(s).get("r3", {}).get("t") == 5)
    write(logs, "r1", 3)
    page.until(lambda s: runs_of(s).get("r1", {}).get("status") == "running")
    (logs / "r0" / "metrics.csv").unlink()
    page.until(lambda s: "r0" not in runs_of(s) and len(runs_of(s)) == 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_told(watch, tmp_path, number):
    write(tmp_path / "logs", "r1", 10)
    page = watch(tmp_path / "logs", "--horizon", 10)
    page.until(lambda s: len(runs_of(s)) == 1)
    page.process.send_signal(number)
    _, err = page.process.communicate(timeout=60)
    assert (page.process.returncode, err) == (0, "")


def test_a_host_beyond_this_machine_is_warned_of(watch, tmp_path):
    page = watch(tmp_path / "logs", "--horizon", 10, "--host", "0.0.0.0")
    page.process.terminate()
    _, err = page.process.communicate(timeout=60)
    assert "whoever reaches 0.0.0.0 can read these runs" in err


def test_it_refuses_what_it_cannot_do(home, bad):
    assert "give --horizon" in bad("watch", "logs", *METRIC)
    assert "no live logs of format 'x'" in bad("watch", "logs", *METRIC, "--horizon", 1, "--format", "x")
    assert "threshold is a share" in bad(
        "watch", "logs", *METRIC, "--horizon", 1, "--model", "tiny-base", "--threshold", 2
    )
    line = bad("watch", "logs", *METRIC, "--horizon", 1, "--model", "nothing")
    assert "no model of that name" in line
    assert "--threshold" not in line
