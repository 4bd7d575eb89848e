"""Pages of the documentation that are written from the code and from what stands elsewhere in the repository.

MkDocs calls what begins with `on_` (see mkdocs.yml). Commands come from the Typer app, names from each module's
`__all__`, cards and tables from where they are kept: none of them can drift from what it describes.
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "metalcx"

#: The command is described by what it can be told, not by its Python names.
NO_REFERENCE = {"metalcx.cli"}

#: Types that stand for others; they and constants have no docstring, and are shown by what they are.
ALIASES = {"At"}
ABOUT_ALONE = ["    options:", "      members: false", "      show_root_heading: false"]
COMMANDS = """\
Written from the commands themselves; `metalcx COMMAND --help` prints the same. What cannot be read is refused in
one line that says the mend, with exit code 2. Results go to standard output, progress to standard error."""
CONSTANT = ["    options:", "      show_if_no_docstring: true"]

#: What a browser would fetch by itself.
FOREIGN = re.compile(
    r"""(?:<(?:script|img|iframe)[^>]*\ssrc=|<link(?=[^>]*stylesheet)[^>]*\shref=|url\()["']?(?:https?:)?//[^"'> ]+"""
)

#: Comments in pages: an example of a module, and a part of a file.
EXAMPLE = re.compile(r"<!-- example: (\S+) -->")
PART = re.compile(r"<!-- part: (\S+) (.+?) -->")

#: Page -> the file of the repository that it shows.
COPIES = {
    "benchmarks/all.md": "benchmarks/README.md",
    "how-to/contribute.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "models/metalcx-base.md": "pretrained/metalcx-base/README.md",
    "models/metalcx-mini.md": "pretrained/metalcx-mini/README.md",
    "models/metalcx-encoder.md": "pretrained/metalcx-encoder/README.md",
    "models/metalcx-suggest.md": "pretrained/metalcx-suggest/README.md",
    "corpora/smallnets.md": "datasets/smallnets/README.md",
    "corpora/histories.md": "datasets/histories/README.md",
    "corpora/histories-fresh.md": "datasets/histories-fresh/README.md",
    "benchmarks/base.md": "benchmarks/results/base/tables.md",
    "benchmarks/ode.md": "benchmarks/results/ode/tables.md",
    "benchmarks/inner.md": "benchmarks/results/inner/tables.md",
    "benchmarks/failures.md": "benchmarks/results/ode/failures.md",
    "benchmarks/ablations.md": "benchmarks/results/ode/ablations.md",
    "benchmarks/dynamics.md": "benchmarks/results/dynamics/tables.md",
    "benchmarks/transfer.md": "benchmarks/results/transfer/tables.md",
    "benchmarks/lcdb11.md": "benchmarks/results/lcdb11/tables.md",
    "benchmarks/stopping.md": "benchmarks/results/stopping/tables.md",
    "benchmarks/stopping-base.md": "benchmarks/results/stopping/base/tables.md",
    "benchmarks/searches.md": "benchmarks/results/searches/tables.md",
    "benchmarks/suggest.md": "benchmarks/results/suggest/suggest.md",
    "benchmarks/histories.md": "benchmarks/results/histories/tables.md",
    "benchmarks/histories-fresh.md": "benchmarks/results/histories-fresh/tables.md",
    **{f"corpora/cards/{p.name}": f"datasets/cards/{p.name}" for p in sorted((ROOT / "datasets/cards").glob("*.md"))},
}

#: Pictures of copied pages, in the folder of their page.
PICTURES = {f"benchmarks/{p.name}": p for p in sorted((ROOT / "benchmarks/results/ode").glob("*.png"))}


def on_files(files: Any, config: Any) -> Any:
    """Add what is written here to the pages that MkDocs found in docs/."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for path, source in PICTURES.items():
        files.append(File.generated(config, path, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what stands elsewhere in the place of the comments that name it."""
    return PART.sub(lambda m: _part(m[1], m[2]), EXAMPLE.sub(lambda m: _example(m[1]), markdown))


def _example(module: str) -> str:
    """The example in a module's docstring, which the tests run."""
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    _, _, text = (ast.get_docstring(ast.parse(source)) or "").partition("Example:\n")
    about, found, code = text.partition("::\n")
    if not found:
        raise ValueError(f"{module}: its docstring has no example")
    return f"{about.strip()}:\n\n```py\n{textwrap.dedent(code).strip()}\n```"


def _part(path: str, name: str) -> str:
    """What stands between two comments of a file, of which the first begins with `name` and the other says "end"."""
    _, found, rest = (ROOT / path).read_text(encoding="utf-8").partition(f"<!-- {name}")
    if not found:
        raise ValueError(f"{path}: has no part {name!r}")
    return rest.partition("-->")[2].partition("<!-- end")[0].strip()


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings end the line before an example with two colons, as reStructuredText has it; here one is enough."""
    return html.replace("::</p>", ":</p>")


def pages() -> dict[str, str]:
    """All pages that are written here, by path."""
    copies = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIES.items()}
    return copies | references() | {"reference/commands.md": commands()}


def rooms() -> dict[str, dict[str, str]]:
    """Public modules that say what is public in them: module -> name -> the public module that describes it."""
    known = {name: path for path in sorted(PACKAGE.rglob("*.py")) if (name := _module(path)) and _public(path)}
    return {room: {name: _home(name, room, path, known) for name in _public(path)} for room, path in known.items()}


def _module(path: Path) -> str | None:
    """The public module of a file, or None."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return None if name in NO_REFERENCE or any(part.startswith("_") for part in name.split(".")) else name


@functools.cache
def _public(path: Path) -> tuple[str, ...]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return tuple(ast.literal_eval(node.value))
    return ()


def _home(name: str, room: str, path: Path, known: dict[str, Path]) -> str:
    """Where a name is described: in the public module it is imported from, else in `room`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in known and name in {alias.name for alias in node.names}:
            return str(node.module)
    return room


def references() -> dict[str, str]:
    """A page for each room, with every public name of it."""
    known = rooms()
    return {f"reference/{room}.md": _reference(room, homes, set(known)) for room, homes in known.items()}


def _reference(room: str, homes: dict[str, str], known: set[str]) -> str:
    inner = [name for name in homes if f"{room}.{name}" in known]
    lent = [name for name, home in homes.items() if home not in (room, "metalcx") and name not in inner]
    lines = [
        f"# {room}",
        "",
        f"::: {room}",
        "    options:",
        "      members: false",
        "      show_root_heading: false",
        "",
    ]
    if inner:
        lines += ["Modules: " + ", ".join(f"[`{n}`]({room}.{n}.md)" for n in inner) + ".", ""]
    if lent:
        lines += ["Also here: " + ", ".join(f"[`{n}`][{homes[n]}.{n}]" for n in lent) + ".", ""]
    for name in homes:
        if name not in inner and name not in lent:
            lines += [f"::: {room}.{name}", *(CONSTANT if name.isupper() or name in ALIASES else []), ""]
    return "\n".join(lines)


def commands() -> str:
    """Every command with its arguments and options, from the Typer app itself."""
    import typer

    from metalcx.cli import app

    group = typer.main.get_command(app)
    lines = ["# Commands", "", COMMANDS, ""]
    for words, command in _walk(group, ()):
        lines += _command(words, command)
    return "\n".join(lines)


def _walk(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _walk(command, (*words, name))
        else:
            yield (*words, name), command


def _command(words: tuple[str, ...], command: Any) -> list[str]:
    about, _, example = (command.help or "").partition("\b")
    context = command.context_class(command, info_name=" ".join(("metalcx", *words)))
    lines = [f"## metalcx {' '.join(words)}", "", about.strip(), ""]
    lines += ["```sh", *(line.strip() for line in example.splitlines() if line.startswith("  ")), "```", ""]
    rows = [_row(param, context) for param in command.params]
    return [*lines, "| argument or option | meaning |", "|---|---|", *rows, ""]


def _row(param: Any, context: Any) -> str:
    record = param.get_help_record(context)
    name, about = record if record else (param.make_metavar(context), getattr(param, "help", "") or "")
    return f"| `{name}` | {_cell(about)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def on_post_build(config: Any) -> None:
    """Refuse a site that lacks a public name, or that would load anything from another host."""
    from mkdocs.exceptions import PluginError
    from mkdocstrings import Inventory

    site = Path(config["site_dir"])
    with (site / "objects.inv").open("rb") as file:
        there = set(Inventory.parse_sphinx(file))
    known = rooms()
    wanted = {f"{homes[n]}.{n}" for room, homes in known.items() for n in homes if f"{room}.{n}" not in known}
    if missing := sorted(wanted - there):
        raise PluginError(f"the reference lacks {', '.join(missing)}")
    for page in site.rglob("*.html"):
        if found := FOREIGN.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page}: loads {found[0]} from another host")
