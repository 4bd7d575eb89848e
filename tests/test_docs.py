"""The documentation: what it names exists, its code runs, its links lead somewhere, and every public name is in it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
import yaml
from page_blocks import ROOT, Block, blocks, links

from metalcx.cli import app
from metalcx.transfer._learn2learn import INSTALL_COMMAND

DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
OTHERS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}

#: Pages whose code takes more than a few seconds.
SLOW = {"how-to/build-a-corpus.md", "how-to/meta-train.md", "how-to/pretrain-an-encoder.md"}


class Site(yaml.SafeLoader):
    """Reads mkdocs.yml without what only MkDocs can make of it."""


Site.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
SITE = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Site)


@pytest.fixture(scope="module")
def written() -> ModuleType:
    """The hook that writes pages from the code."""
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / ".ci" / "docs_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_nav(part: object) -> set[str]:
    if isinstance(part, str):
        return {part}
    return set().union(*map(in_nav, part.values() if isinstance(part, dict) else part))


def test_every_page_is_in_the_navigation_and_there(written: ModuleType) -> None:
    there = {*PAGES, *written.pages()}
    hidden = {page for page in there if re.fullmatch(r"corpora/cards/(?!README)[\w-]+\.md", page)}
    assert in_nav(SITE["nav"]) == there - hidden
    assert not PAGES.keys() & written.pages().keys()


def test_every_public_name_is_in_the_reference(written: ModuleType) -> None:
    pages, rooms = written.references(), written.rooms()
    public = {
        m.replace("/", ".") for m in ("metalcx", "metalcx/curves", "metalcx/integrations/optuna", "metalcx/reports")
    }
    assert public <= rooms.keys()
    for room, homes in rooms.items():
        text = pages[f"reference/{room}.md"]
        if not room.startswith("metalcx.integrations."):
            assert set(importlib.import_module(room).__all__) == set(homes), room
        for name, home in homes.items():
            described = f"::: {room}.{name}\n" in text
            lent = home != room and f"[`{name}`][{home}.{name}]" in text
            module = f"[`{name}`]({room}.{name}.md)" in text
            assert described or lent or module, f"{room}.{name}"
            assert not lent or f"::: {home}.{name}\n" in pages[f"reference/{home}.md"]


def test_modules_of_integrations_are_all_there(written: ModuleType) -> None:
    modules = {path.stem for path in (ROOT / "metalcx" / "integrations").glob("[!_]*.py")}
    assert {f"metalcx.integrations.{m}" for m in modules} <= written.rooms().keys()
    for module in modules:
        page = written.on_page_markdown(PAGES[f"how-to/hosts/{module}.md"])
        assert f"from metalcx.integrations.{module} import" in page
        assert "<!-- example" not in page


def test_parts_of_other_files_are_found(written: ModuleType) -> None:
    for page, text in PAGES.items():
        shown = written.on_page_markdown(text)
        assert "<!-- part" not in shown, page
        assert shown.count("| K | metalcx | over families |") == text.count("<!-- part")
    with pytest.raises(ValueError, match=r"README\.md: has no part 'no such table'"):
        written.on_page_markdown("<!-- part: README.md no such table -->")


def test_every_command_and_option_is_in_the_reference(written: ModuleType) -> None:
    text = written.commands()
    for words, command in written._walk(typer.main.get_command(app), ()):
        assert f"## metalcx {' '.join(words)}\n" in text
        section = text.partition(f"## metalcx {' '.join(words)}\n")[2].partition("\n## ")[0]
        for param in command.params:
            assert all(
                f"`{option}" in section or f" {option} " in section for option in param.opts[:1] if option[0] == "-"
            )
        assert "```sh\nmetalcx " in section or "METALCX_DATA" in section


def all_blocks() -> list[Block]:
    return [block for page, text in (PAGES | OTHERS).items() for block in blocks(text, page)]


def known_options() -> dict[tuple[str, ...], set[str]]:
    found = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        found[words] = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def test_commands_in_pages_are_called_as_they_are() -> None:
    known = known_options()
    n = 0
    for block in all_blocks():
        for words in block.commands:
            depth = 2 if tuple(words[1:3]) in known else 1
            options = known[tuple(words[1 : 1 + depth])] | {"--help"}
            n += 1
            unknown = [w for w in words[1 + depth :] if w.startswith("--") and w.partition("=")[0] not in options]
            assert not unknown, f"{block.page}:{block.line}: {words}"
    assert n > 40


def test_python_in_pages_parses_and_the_languages_are_known() -> None:
    for block in all_blocks():
        assert block.language in {"python", "py", "sh", "bash", "toml", "text"}, f"{block.page}:{block.line}"
        if block.language in {"python", "py"}:
            ast.parse(block.text, f"{block.page}:{block.line}")
        assert block.language != "sh" or block.runs, f"{block.page}:{block.line}: mark it bash"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pages find in their folder: `curves.csv` of the first page, `runs.csv` beside it, and the corpus `mine`."""
    folder = tmp_path_factory.mktemp("table")
    (made,) = (b for b in blocks(PAGES["index.md"], "docs/index.md") if "to_csv" in b.text)
    (corpus,) = (b for b in blocks(PAGES["how-to/build-a-corpus.md"], "docs/x.md") if "write_corpus" in b.text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made.run({})
        corpus.run({})
    rows = "".join(f"run-{i},{10 ** -(i % 3 + 1)}\n" for i in range(7))
    (folder / "runs.csv").write_text(f"run,lr\n{rows}")
    return folder


def running() -> list[object]:
    pages = [page for page, text in PAGES.items() if any(block.runs for block in blocks(text))]
    return [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in pages]


@pytest.mark.parametrize("page", running())
def test_the_code_of_a_page_runs_as_written(
    page: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(table, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(PAGES[page], f"docs/{page}"):
        block.run(names)


def test_relative_links_lead_somewhere(written: ModuleType) -> None:
    there = {*PAGES, *written.pages(), *written.PICTURES, "assets/forecast.png"}
    for page, text in (PAGES | written.pages()).items():
        folder = Path("/docs") / Path(page).parent
        for link in links(text):
            target = Path("/docs/") / re.sub(r"^/docs/", "", str((folder / link).resolve()))
            assert target.relative_to("/docs").as_posix() in there, f"{page}: {link}"
    for name, text in OTHERS.items():
        assert [link for link in links(text) if not (ROOT / link).exists()] == [], name


def test_results_that_pages_name_are_there() -> None:
    for page, text in (PAGES | OTHERS).items():
        for name in re.findall(r"`(?:benchmarks/)?(results/[\w./-]+)`", text):
            assert (ROOT / "benchmarks" / name).exists(), f"{page}: {name}"
        for name in re.findall(r"`python ((?:benchmarks|\.ci)/\w+\.py)", text):
            assert (ROOT / name).is_file(), f"{page}: {name}"


def test_nothing_comes_from_another_host(written: ModuleType) -> None:
    assert SITE["strict"] is True
    assert SITE["theme"]["font"] is False
    for bad in (
        '<script src="https://a.example/x.js">',
        '<link href="//a.example/x.css" rel="stylesheet">',
        "<img alt=x src=http://a.example/x.png>",
        "@import url(https://a.example/x.css)",
    ):
        assert written.FOREIGN.search(bad), bad
    assert not written.FOREIGN.search('<a href="https://a.example"><img src="x.png"><link rel="icon" href="x.svg">')


def test_install_without_make_does_what_set_up_does_in_the_same_order() -> None:
    """`.ci/setup` itself is tried in test_packaging.py; this keeps the page's lines from falling behind it."""
    lines = [li.split(" #")[0].strip() for li in PAGES["install.md"].splitlines() if li.startswith("pip install ")]
    setup = (ROOT / ".ci" / "setup").read_text()
    for line in (lines[2], lines[4]):
        assert line.replace("pip install", "pip_install") in setup
    assert lines == [
        'pip install --upgrade "pip>=23.2"',
        "pip install -r requirements/torch.txt",
        "pip install -r requirements/lock.txt",
        INSTALL_COMMAND,
        "pip install --no-deps --no-build-isolation --editable .",
    ]


@pytest.mark.slow
def test_it_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "reference" / "metalcx.curves" / "index.html").is_file()
