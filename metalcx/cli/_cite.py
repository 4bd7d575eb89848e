"""`metalcx cite`: what to cite for what was used."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from metalcx import __version__
from metalcx.cli._options import JsonOption
from metalcx.cli._output import print_json
from metalcx.errors import ModelError, name_some

UsedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Models, by name or folder; corpora; forecasters, searches and hosts, such as SRM, asha and optuna.",
    ),
]

#: A line of a model card's list of sources, as `metalcx meta-train` and its neighbours write it.
SOURCE = re.compile(r"^- ([\w.-]+): (.+)$", re.MULTILINE)

#: Class of a model whose own `kind` is that of an encoder.
ENCODER = "GraphEncoder"


def cite(used: UsedArgument = None, as_json: JsonOption = False) -> None:
    """What to cite, as BibTeX: metalcx, and what stands behind the models, methods, corpora and hosts that were used.

    Of a model: the papers behind its class, its encoder and its training, and the corpora it learned from; of an
    adapted one, those of its base.
    """
    works = _works()
    found = {work["key"]: work for name in ("metalcx", *(used or ())) for work in _behind(name, works)}
    if as_json:
        print_json(list(found.values()))
        return
    typer.echo("\n\n".join(map(_bibtex, found.values())))


def _works() -> list[dict[str, Any]]:
    """All of `references.toml`, which travels inside the package."""
    text = resources.files("metalcx.cli").joinpath("references.toml").read_text(encoding="utf-8")
    works: list[dict[str, Any]] = tomllib.loads(text)["work"]
    return [work | {"version": __version__} if work["key"] == "metalcx" else work for work in works]


def _behind(name: str, works: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All that stands behind what goes by a name.

    Raises:
        ModelError: If nothing goes by it, or it is a folder and no model.
    """
    listed = {word for work in works for word in work["of"]}
    corpus = None if name in listed else _corpus(name)
    if corpus is not None:
        yield corpus
        return
    words, sources = {name}, dict[str, str]()
    if name not in listed:
        try:
            words, sources = _of_model(name)
        except ModelError:
            if Path(name).exists():
                raise
            there = name_some(sorted(listed), len(listed))
            raise ModelError(f"{name!r} is no model, corpus or folder, and none of {there}") from None
    yield from (work for work in works if words & set(work["of"]))
    yield from (_corpus(source) or _work(source, source, said) for source, said in sources.items())


def _of_model(name: str | Path) -> tuple[set[str], dict[str, str]]:
    """Words that `references.toml` may know of a model, and its sources with what its card says of them."""
    from metalcx import hub

    known = hub.describe(name)
    words = {known["class"], *(str(word) for word in (known["config"].get("kind"), known["metrics"].get("algorithm")))}
    _, _, below = known["card"].partition("## Sources\n")
    sources = dict(SOURCE.findall(below.partition("\n## ")[0]))
    encoder = known["config"].get("encoder")
    if isinstance(encoder, dict):
        words |= {ENCODER, str(encoder.get("kind"))}
    for inner in _inside(known):
        more, theirs = _of_model(inner)
        words, sources = words | more, theirs | sources
    return words, sources


def _inside(known: dict[str, Any]) -> Iterator[str | Path]:
    """The models that a model stands on: its base, and the encoder that reads architectures for it."""
    base = known["base"]
    if base is not None:
        yield base["name"] if base["path"] is None else Path(known["path"]) / base["path"]
    named = known["config"].get("encoder"), known["metrics"].get("encoder")
    if known["class"] != ENCODER:
        yield from {name for name in named if isinstance(name, str) and name != "none"}


def _corpus(name: str) -> dict[str, Any] | None:
    """A corpus, published or on disk; dashes in its name do not count."""
    from metalcx.corpora import known_corpora, list_corpora

    for known in known_corpora():
        if known.name.replace("-", "") == name.replace("-", ""):
            return _work(known.name, known.title, known.citation) | {"url": known.home}
    for info in list_corpora():
        if info.name == name and info.problem is None:
            return _work(name, name, info.citation)
    return None


def _work(name: str, title: str, citation: str) -> dict[str, Any]:
    return {"key": name, "of": ["corpus"], "type": "misc", "title": title, "note": citation}


def _bibtex(work: dict[str, Any]) -> str:
    fields = {key: value for key, value in work.items() if key not in ("key", "of", "type")}
    if "eprint" in fields:
        fields["archiveprefix"] = "arXiv"
    lines = "".join(f"  {key} = {{{value}}},\n" for key, value in fields.items())
    return f"@{work['type']}{{{work['key']},\n{lines}}}"
