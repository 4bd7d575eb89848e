"""`metalcx bench stopping` and `metalcx bench suggest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import CorporaOption, FoldsOption, JsonOption, TablesOption
from metalcx.cli._output import Progress, print_json, print_table


def stopping(
    data: CorporaOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for what is needed to resume, tables in stopping/; that of bench transfer has models already.",
        ),
    ],
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME", help="What to judge; repeat. All by default.")
    ] = None,
    orders: Annotated[int, typer.Option("--orders", metavar="N", min=1, help="Random orders of each task.")] = 30,
    folds: FoldsOption = None,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--earlier", metavar="CSV", help="scores.csv of an earlier call: take over what it says of other rows."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge rules of stopping by what they save on recorded runs without losing the best. Resumes where it ended."""
    from metalcx.bench import run_stopping

    with Progress("bench stopping") as progress:
        result = run_stopping(
            data, out, rows=row or None, orders=orders, folds=folds, earlier=earlier, progress=progress
        )
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result['out']}: tables written")


def suggest(
    data: CorporaOption,
    out: TablesOption,
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", metavar="NAME", help="A corpus to search; repeat. All by default.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="NAME", help="A task to search; repeat. All by default.")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            metavar="NAME",
            help="What to judge, such as suggest; suggest/bayes/0 is one design with its share of exploring, whatever "
            "is chosen on the sources; repeat. The protocol's by default.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Seeds of which the median counts.")] = 30,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="What reads architectures, by name or folder; none: none.")
    ] = "metalcx-encoder",
    as_json: JsonOption = False,
) -> None:
    """Judge how many trainings it takes to find one of the best. Goes on where an earlier call ended.

    The tables show all that DIR holds.
    """
    from metalcx import hub
    from metalcx.bench import run_suggest

    reads = None if encoder == "none" else hub.load_encoder(encoder)
    with Progress("bench suggest") as progress:
        rows = run_suggest(
            data,
            out,
            corpora=corpus or None,
            tasks=task or (),
            methods=row or None,
            seeds=seeds,
            encoder=reads,
            progress=progress,
        )
    columns = ("corpus", "task", "method", "top 1%", "top 0.1%", "regret@10", "regret@50", "regret@200", "seconds")
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [[r[column] for column in columns] for r in rows], left=3)
