"""The loop behind the live page: what goes wrong later is told and tried again, what goes wrong first ends it."""

from __future__ import annotations

import threading
import urllib.request

import pytest
from spying import saturating
from strategies import SCORE

from metalcx.corpora.live import LiveRun
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import Bulletin, LiveTask, PageServer, Watch


class Logs:
    """Eight runs, six of them complete; `wrong` is raised by the next look."""

    time_unit = "epoch"

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.wrong: Exception | None = None
        self.looks = 0
        self.runs = {}
        for i, (t, y) in enumerate(saturating(8)):
            self.runs[f"r{i}"] = run = LiveRun()
            for point in list(zip(t, y, strict=True))[: 20 if i < 6 else 8]:
                run.add(*point)

    def poll(self) -> bool:
        self.looks += 1
        if self.wrong is not None:
            raise self.wrong
        return self.looks == 1


@pytest.fixture
def watch():
    logs = Logs()
    return logs, Watch(logs, SCORE, LiveTask(Baseline("med5"), horizon=20.0), Bulletin("t", "logs", 1.0))


def test_nothing_new_is_told_once(watch):
    logs, watch = watch
    assert watch.update()
    assert [r["status"] for r in watch.bulletin.since("", 0)["runs"]].count("completed") == 6
    assert not watch.update()
    assert watch.bulletin.version == 1
    logs.notes.append("a file is damaged")
    assert watch.update()
    assert watch.bulletin.since("", 0)["notes"] == ["a file is damaged"]


def serve(watch, looks, logs, said):
    stop = threading.Event()
    with PageServer("127.0.0.1", 0, watch.bulletin) as server:
        url = server.url

        def end() -> None:
            while logs.looks < looks:
                stop.wait(0.01)
            assert urllib.request.urlopen(url, timeout=10).status == 200
            stop.set()

        helper = threading.Thread(target=end)
        helper.start()
        watch.serve(server, 0.01, stop, said.append)
        helper.join()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_a_later_error_is_told_once_and_tried_again(watch):
    logs, watch = watch
    watch.update()
    logs.wrong, said = ValueError("something   odd"), []
    serve(watch, 8, logs, said)
    assert said == ["ValueError: something odd; trying again"]
    assert watch.bulletin.since("", 0)["notes"] == said
    logs.wrong = None
    watch.update()
    assert watch.bulletin.since("", 0)["notes"] == []


def test_a_first_error_ends_it(watch):
    logs, watch = watch
    logs.wrong = DataError("the study goes the other way")
    with PageServer("127.0.0.1", 0, watch.bulletin) as server, pytest.raises(DataError, match="other way"):
        watch.serve(server, 0.01, threading.Event(), print)


def test_without_a_horizon_it_says_what_it_waits_for(watch):
    logs, _ = watch
    for name in [f"r{i}" for i in range(6)]:
        del logs.runs[name]
    watch = Watch(logs, SCORE, LiveTask(Baseline("med5")), Bulletin("t", "logs", 1.0))
    watch.update()
    assert "give --horizon" in watch.bulletin.since("", 0)["notes"][0]
