"""Cards of published corpora: Markdown, written from `known.toml` alone."""

from __future__ import annotations

from pathlib import Path

from metalcx.corpora._known import KnownCorpus, known_corpora

INDEX = "README.md"
_WRITTEN = (
    "<!-- Written from metalcx/corpora/known.toml by `python -m metalcx.corpora.write_cards datasets/cards`. -->\n"
)


def cards() -> dict[str, str]:
    """File name -> text: a card for every published corpus, and an index."""
    return {INDEX: _index(), **{f"{known.name}.md": card(known) for known in known_corpora()}}


def write_cards(folder: str | Path) -> list[Path]:
    """Write all cards into a folder; other files there are left alone.

    Returns:
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = cards()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def card(known: KnownCorpus) -> str:
    """The card of one published corpus."""
    lines = [
        f"# {known.name}: {known.title}\n",
        _WRITTEN,
        f"{known.holds}.\n",
        *(f"- **{word}:** {said}" for word, said in known.facts(Path("DIR")).items()),
        *([f"\n{known.note}"] if known.note else []),
        "\n## Files\n",
        "| file | bytes | checksum | address |",
        "|---|---|---|---|",
        *("| `{}` | {} | {} | <{}> |".format(*file.row()) for file in known.files),
    ]
    return "\n".join(lines) + "\n"


def _index() -> str:
    rows = (
        f"| [{known.name}]({known.name}.md) | {known.title} | {known.licence} | {known.role} | "
        f"{'by hand' if known.by_hand else 'fetch'} | {known.format or '-'} |"
        for known in known_corpora()
    )
    columns = ("name", "what it is", "licence", "role", "get", "import")
    head = ["# Published corpora\n", _WRITTEN, f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*head, *rows]) + "\n"
