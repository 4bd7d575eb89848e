"""`metalcx corpus fetch`: the only command that uses the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalcx.cli._options import JsonOption
from metalcx.cli._output import Progress, note, print_json

if TYPE_CHECKING:
    from metalcx.corpora import FetchedFile, KnownCorpus


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A published corpus of `metalcx corpus list`.")],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Folder for the files; by default raw/NAME in METALCX_DATA or in the cache."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the files of a published corpus, verify them, and say how to import them.

    Goes on where an earlier call was cut. What is there already, fetched or put by hand, is verified and kept.
    """
    from metalcx.corpora import fetch as fetch_files
    from metalcx.corpora import find_known, raw_folder

    known = find_known(name)
    say = note if as_json else typer.echo
    say(f"{known.name}: {known.title}\nlicence: {known.licence}\ncite: {known.citation}")
    with Progress(known.name) as progress:
        files = fetch_files(known, to, lambda file, done, total: _tell(progress, file, done, total))
    folder = raw_folder(name) if to is None else to.expanduser().absolute()
    if as_json:
        print_json(known.to_dict() | {"folder": str(folder), "files": [file.to_dict() for file in files]})
    else:
        _print(known, folder, files)


def _tell(progress: Progress, file: str, done: int, total: int | None) -> None:
    # Where the server does not say how much there is, the bar stays short of its end.
    progress(done >> 10, (total if total is not None else done + 1024) >> 10, f"{file} (KiB)")


def _print(known: KnownCorpus, folder: Path, files: list[FetchedFile]) -> None:
    fetched = sum(file.downloaded for file in files)
    size = sum(file.size for file in files)
    typer.echo(f"{folder}: {fetched} fetched, {len(files) - fetched} there before, {size:,} bytes in all")
    for against in sorted({file.verified for file in files}):
        names = [file.name for file in files if file.verified == against]
        typer.echo(f"{_some(names)}: {_verdict(against)}")
    typer.echo(how_to_import(known, folder))


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{names[0]} and {len(names) - 1} more"


def _verdict(against: str) -> str:
    if not against:
        return "nothing is published to verify against; the sha256 seen now is in CHECKSUMS beside it"
    return {"first fetch": "the sha256 of the first fetch", "size": "the published size"}.get(
        against, f"the published {against}"
    ).join(("verified against ", ""))


def how_to_import(known: KnownCorpus, folder: Path) -> str:
    """What to do with the files."""
    command = known.import_command(folder)
    said = f"import it: {command}" if command else "no importer of metalcx reads it yet"
    return "\n".join(filter(None, [known.note, said]))
