"""`metalcx corpus build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import DeviceOption, JsonOption
from metalcx.cli._output import Progress, print_json


def build(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a corpus that was built from one.")
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="Folder of the corpus; an older one there is replaced.")],
    engine: Annotated[
        str,
        typer.Option("--engine", metavar="ENGINE", help="serial, ray (a local Ray), or the address of a Ray cluster."),
    ] = "serial",
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Stacks of runs that train at once, on Ray.")
    ] = None,
    device: DeviceOption = "cpu",
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="NAME", help="Build this task only; repeat.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the networks of a recipe and write their curves as a corpus.

    Finished pieces are kept in DST.work beside it: a build that was ended at any moment goes on from there. The
    result does not depend on the engine.
    """
    from metalcx.corpora.build import build_corpus, read_recipe

    with Progress("corpus build") as progress:
        report = build_corpus(
            read_recipe(recipe),
            dst,
            engine=engine,
            workers=workers,
            device=device,
            tasks=task or None,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
        return
    status = ", ".join(f"{n:,} {word}" for word, n in sorted(report.status.items()))
    typer.echo(
        f"{report.path}: {report.runs:,} runs ({status}) of {report.tasks} tasks on {report.datasets} datasets of "
        f"{report.families} families, {report.points:,} points, {report.hours:.2f} processor hours"
    )
