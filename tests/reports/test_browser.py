"""The pages in a real browser: every control, by pointer, keys and finger, in light and dark, and no word to anybody.

Needs the package `playwright` and a Chromium (``CHROMIUM`` names it where it is not on the path).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from browsing import CHROMIUM, chromium, until
from spying import saturating
from strategies import LOSS, make

from metalcx import decide
from metalcx.curves import Curves
from metalcx.forecasters import Baseline
from metalcx.reports import Bulletin, LiveTask, PageServer, report

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

EVIL = '</script><img src=x onerror="document.title=1">'
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}


def curves(clock: float = 6.0) -> Curves:
    """46 runs of which 16 go on; one is called what would be markup, one has a very long name, one diverged."""
    parts = [(t, 1.2 - y) for t, y in saturating(46)]
    parts[3] = (parts[3][0][:9], np.append(parts[3][1][:8], np.inf))
    names = [f"run-{i:02d}" for i in range(46)]
    names[31], names[32], names[5] = EVIL, "sweep/" + "long-name-" * 12, "__proto__"
    status = ["diverged" if i == 3 else "completed" for i in range(46)]
    whole = make(LOSS, parts, status, names, time_unit="epoch")
    return Curves.concat([whole.take(range(30)), whole.take(range(30, 46)).truncate(clock + np.arange(16) % 5)])


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as browser:
        yield browser


class Visit:
    """A page, and everything that it asked for or complained of."""

    def __init__(self, browser, url, viewport=WIDE, **options):
        self.context = browser.new_context(viewport=viewport, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.url = url
        self.page.goto(url)
        self.page.wait_for_selector("#ranking-table table")

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def runs(self) -> list[str]:
        """Names in the ranking's table, as shown."""
        return self.page.locator("#ranking-table tbody th").all_inner_texts()

    def settle(self, selector: str, count: int) -> None:
        until(lambda: self.count(selector) == count)


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    log = [decide.Decision("run-40", 3.0, True, "stopped: so it was", 0.02, 0.05, 0.3, 20.0, "val_loss")]
    found = report(curves(), Baseline("med5"), title=f"Runs {EVIL}", orders=3, log=log, threshold=0.2)
    with path.open("wb") as file:
        found.write(file)
    return path.as_uri()


@pytest.fixture
def visit(browser, url) -> Iterator[Visit]:
    visit = Visit(browser, url)
    yield visit
    visit.context.close()
    assert visit.complaints == []
    assert visit.asked == [url]


def test_it_shows_everything_and_data_are_no_markup(visit):
    assert visit.page.title() == f"Runs {EVIL}"
    assert visit.page.locator("h1").inner_text() == f"Runs {EVIL}"
    assert visit.count("img") == 0
    assert visit.count("script") == 2
    assert visit.page.locator("h2").all_inner_texts() == [
        "In short",
        "All runs",
        "Forecasts of running runs",
        "Ranking",
        "Decisions",
        "How far to trust this",
        "What stopping would have saved",
        "Where the forecasts come from",
    ]
    assert visit.count("#overview-chart svg path") >= 45
    assert visit.count("#fan-charts article") == 12
    assert visit.count("#fan-charts article:first-child svg path") == 5
    assert EVIL in visit.page.locator("#fan-charts").evaluate("n => n.textContent") + "".join(visit.runs())
    assert visit.count("[id]") == visit.page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map(n => n.id)).size"
    )


def test_filter_choice_and_more(visit):
    page = visit.page
    page.fill("#filter", "RUN-4")
    visit.settle("#fan-charts article", 6)
    assert page.locator("#count").inner_text() == "6 of 46 runs"
    assert all(name.startswith("run-4") for name in visit.runs())
    page.fill("#filter", "nothing is called that")
    visit.settle("#fan-charts article", 0)
    assert "No run has that name" in page.locator("#overview-chart").inner_text()
    page.fill("#filter", "")
    visit.settle("#fan-charts article", 12)
    for status, expected in (("running", 16), ("finished", 30), ("all", 46)):
        page.select_option("#status", status)
        assert page.locator("#count").inner_text() == f"{expected} of 46 runs"
    page.click("#fans-more")
    assert visit.count("#fan-charts article") == 16
    page.click("#ranks-all")
    assert visit.count("#ranking-chart .row") == 46
    page.click("#rows-all")
    assert len(visit.runs()) == 46
    page.select_option("#status", "stop")
    assert 0 < len(visit.runs()) < 16
    assert visit.count("#fan-charts article:not(.stop)") == 0


def test_fans_are_sorted(visit):
    page = visit.page
    first = page.locator("#fan-charts h3").first
    orders = page.locator("#order option").evaluate_all("all => all.map(o => o.value)")
    firsts = set()
    for order in orders:
        page.select_option("#order", order)
        firsts.add(first.inner_text())
    assert len(orders) == 5
    assert len(firsts) > 1
    page.select_option("#order", "name")
    assert first.inner_text() == EVIL


@pytest.mark.parametrize("check", ["log-y", "log-t"])
def test_logarithmic_axes(visit, check):
    chart = visit.page.locator("#overview-chart")
    before = chart.inner_html()
    visit.page.check(f"#{check}")
    logarithmic = chart.inner_html()
    assert "NaN" not in logarithmic + visit.page.locator("#fan-charts").inner_html()
    visit.page.uncheck(f"#{check}")
    paths = [text.count(" d=") for text in (before, logarithmic, chart.inner_html())]
    assert before != logarithmic
    assert len(set(paths)) == 1


def test_tables_are_sorted_by_pointer_and_keys(visit):
    page = visit.page
    page.click("#rows-all")
    page.click("#ranking-sort-1")
    names = [name for name in visit.runs() if name.startswith("run-")]
    assert names == sorted(names)
    assert page.locator("#ranking-table th[aria-sort=ascending]").inner_text().startswith("run")
    page.focus("#ranking-sort-1")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "ranking-sort-1"
    assert [name for name in visit.runs() if name.startswith("run-")] == sorted(names, reverse=True)
    # What is not known comes last both ways.
    for _ in range(2):
        page.click("#ranking-sort-5")
        assert page.locator("#ranking-table tbody tr").last.inner_text().split("\t")[1] == "run-03"
    for table, columns in (("decisions", 5), ("log", 5)):
        if table == "log":
            page.click("#log summary")
        for i in range(columns):
            page.click(f"#{table}-sort-{i}")
        assert page.locator(f"#{table}-box th[aria-sort=ascending]").count() == 1
    assert page.locator("details#log").get_attribute("open") is not None


def test_charts_tell_what_is_pointed_at(visit):
    page, tip = visit.page, visit.page.locator("#tip")
    for chart in (
        "#overview-chart svg[role=img]",
        "#fan-charts svg",
        "#ranking-chart svg[role=img]",
        "#decisions-chart svg[role=img]",
        "#saved-chart svg[role=img]",
    ):
        svg = page.locator(chart).first
        svg.scroll_into_view_if_needed()
        box = svg.bounding_box()
        for x in np.linspace(0.25, 0.95, 15):
            page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * 0.5)
            if tip.is_visible():
                break
        assert tip.is_visible(), chart
        assert len(tip.inner_text()) > 10
        page.mouse.move(1, 1)
        assert not tip.is_visible()


def test_charts_are_read_by_keys(visit):
    page, tip = visit.page, visit.page.locator("#tip")
    for chart in (
        "#overview-chart svg[role=img]",
        "#ranking-chart svg[role=img]",
        "#decisions-chart svg[role=img]",
        "#saved-chart svg[role=img]",
    ):
        page.locator(chart).focus()
        said = []
        for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft"):
            page.keyboard.press(key)
            said.append(tip.inner_text())
        assert said[0] == said[2] != said[1], chart
        page.keyboard.press("Escape")
        assert not tip.is_visible()


def test_everything_is_reached_by_the_tab_key_and_named(visit):
    page = visit.page
    reached = set()
    page.locator("body").focus()
    for _ in range(150):
        page.keyboard.press("Tab")
        known = page.evaluate("[document.activeElement.id, document.activeElement.closest('section')?.id]")
        reached |= set(known)
    wanted = {"filter", "status", "order", "log-y", "log-t", "theme", "ranking-sort-0", "ranking-box", "fans-more"}
    assert wanted <= reached
    assert {"overview", "fans", "ranking", "decisions", "saved", "origin"} <= reached
    unnamed = page.evaluate(
        """[...document.querySelectorAll("svg[tabindex], [role=region], article[tabindex]")]
        .filter(n => !n.getAttribute("aria-label")).length"""
    )
    assert unnamed == 0
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.tHead)")
    assert page.evaluate("[...document.querySelectorAll('input, select')].every(n => n.labels.length)")


def test_links_lead_to_their_sections(visit):
    for link in visit.page.locator("nav a").all():
        link.click()
        target = link.get_attribute("href")
        assert visit.page.url.endswith(target)
        assert visit.count(f"section{target}") == 1


def ground(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_colours_follow_the_system_and_the_switch(browser, url):
    grounds = {}
    for scheme in ("light", "dark"):
        visit = Visit(browser, url, color_scheme=scheme)
        grounds[scheme] = ground(visit.page)
        for theme in ("dark", "light"):
            visit.page.select_option("#theme", theme)
            grounds[scheme, theme] = ground(visit.page)
        visit.page.select_option("#theme", "auto")
        assert ground(visit.page) == grounds[scheme]
        visit.context.close()
        assert visit.complaints == []
    assert grounds["light"] == grounds["dark", "light"] == grounds["light", "light"]
    assert grounds["dark"] == grounds["light", "dark"] == grounds["dark", "dark"]
    assert grounds["light"] != grounds["dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, url, scheme):
    """Contrast of 4.5 at least, as WCAG 2.2 (1.4.3) wants it."""
    visit = Visit(browser, url, color_scheme=scheme)
    names = ("ground", "raised", "text", "soft", "blue", "stop", "green", "purple")
    read = "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue(`--${n}`).trim())"
    colours = dict(zip(names, visit.page.evaluate(read, names), strict=True))
    visit.context.close()

    def light(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return float(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
        )

    for front in ("text", "soft", "blue", "stop", "green", "purple"):
        for back in ("ground", "raised"):
            high, low = sorted((light(colours[front]), light(colours[back])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (front, back)


def test_a_phone_needs_no_sideways_scrolling(browser, url):
    visit = Visit(browser, url, PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    visit.page.locator("#overview-chart svg[role=img]").tap()
    visit.page.tap("#fans-more")
    assert visit.count("#fan-charts article") == 16
    visit.page.set_viewport_size({"width": 740, "height": 360})
    # Charts are drawn anew for the width; while they are, there is none.
    until(lambda: (visit.page.locator("#overview-chart svg[role=img]").bounding_box() or {"width": 0})["width"] > 500)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 740
    visit.context.close()
    assert (visit.complaints, visit.asked) == ([], [url])


def test_without_scripts_the_ranking_is_still_there(browser, url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    assert page.locator("noscript table tbody tr").count() == 46
    context.close()


@pytest.fixture
def live():
    """A server, and what publishes the runs as they stand after some epochs."""
    task = LiveTask(Baseline("med5"), horizon=20.0)
    bulletin = Bulletin(f"Live {EVIL}", "logs", 0.2)

    def publish(clock: float | None, *notes: str) -> None:
        standing = None if clock is None else task.stand(curves(clock))
        bulletin.publish(standing, task, f"clock {clock}", list(notes))

    with PageServer("127.0.0.1", 0, bulletin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server, publish
        server.shutdown()
        thread.join()


def test_the_live_page_follows_and_survives_its_server(browser, live):
    server, publish = live
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.set_default_timeout(30_000)
    asked, complaints = [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(server.url)
    page.wait_for_selector("text=Waiting for the first points of logs")
    publish(None, f"{EVIL} cannot be read")
    page.wait_for_selector(".notes li")
    publish(6.0)
    page.wait_for_selector("#ranking-table table")
    assert page.title() == f"Live {EVIL}"
    assert page.locator("img").count() == 0
    # What was chosen stays while the runs go on.
    page.fill("#filter", "run-4")
    until(lambda: page.locator("#fan-charts article").count() == 6)
    page.focus("#ranking-sort-1")
    seen = page.locator("#fan-charts article").first.get_attribute("aria-label")
    publish(9.0, "a note")
    page.wait_for_selector("text=last change at clock 9.0")
    assert page.locator("#fan-charts article").first.get_attribute("aria-label") != seen
    assert page.locator("#count").inner_text() == "6 of 46 runs"
    assert page.evaluate("document.activeElement.id") == "ranking-sort-1"
    assert page.locator("#notes").inner_text() == "a note"
    assert complaints == []
    assert {url.split("?")[0] for url in asked} == {server.url + p for p in ("", "page.js", "page.css", "state")}
    server.shutdown()
    server.server_close()
    page.wait_for_selector("#state.lost")
    assert page.locator("#ranking-table table").count() == 1
    context.close()
