"""`metalcx bench transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import JsonOption
from metalcx.cli._output import Progress, print_json


def transfer(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder in which the corpora are.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for tables and for what is needed to resume.")
    ],
    forecaster: Annotated[
        list[str] | None, typer.Option("--forecaster", metavar="NAME", help="What to judge; repeat. All by default.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", metavar="N", min=2, help="Folds over families; by default each family is one."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Training seeds.")] = 3,
    extra: Annotated[
        bool, typer.Option("--extra", help="Judge on lcdb11's tasks, by folds, instead of the protocol's.")
    ] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--earlier",
            metavar="CSV",
            help="errors.csv of an earlier call: take over what it says of other methods than metalcx.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Judge forecasters on tasks of families that they never saw. Goes on where an earlier call ended."""
    from metalcx.bench import run_transfer

    with Progress("bench transfer") as progress:
        result = run_transfer(
            data,
            out,
            forecasters=forecaster or None,
            folds=folds,
            seeds=seeds,
            extra=extra,
            workers=workers,
            earlier=earlier,
            progress=progress,
        )
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{out}: tables written")
