"""`metalcx bench transfer` and `metalcx bench encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import CorporaOption, DeviceOption, FoldsOption, JsonOption, TablesOption
from metalcx.cli._output import Progress, print_json, print_table


def transfer(
    data: CorporaOption,
    out: TablesOption,
    forecaster: Annotated[
        list[str] | None, typer.Option("--forecaster", metavar="NAME", help="What to judge; repeat. All by default.")
    ] = None,
    folds: FoldsOption = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Training seeds.")] = 3,
    extra: Annotated[
        bool, typer.Option("--extra", help="Judge on lcdb11's tasks, by folds, instead of the protocol's.")
    ] = False,
    earlier: Annotated[
        Path | None,
        typer.Option(
            "--earlier",
            metavar="CSV",
            help="errors.csv of an earlier call: take over what it says of methods not asked for.",
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


def encoder(
    data: CorporaOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for tables, encoders and what is needed to resume.")
    ],
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space",
            metavar="NAME",
            help="A corpus to judge on, or its cells with -unpruned behind the name; repeat. All by default.",
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table", metavar="NAME", help="A table to judge on, such as cifar10@200; repeat. All by default."
        ),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            metavar="NAME",
            help="What to judge, such as gated-gcn/both; with @half behind it pre-trained on half of the graphs, which "
            "holds those with a label, with @all on those of all spaces; gated-gcn/many ranked by several proxies, "
            "gated-gcn+proxies/none reads them, gated-gcn+ensemble/none is five rankers by folds of the labels, "
            "metalcx-encoder is what ships; repeat. The protocol's by default.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Epochs of pre-training.")] = 60,
    tune: Annotated[
        int, typer.Option("--tune", metavar="N", min=1, help="Epochs of fine-tuning, in 5 N steps at most.")
    ] = 200,
    hidden: Annotated[int, typer.Option("--hidden", metavar="N", min=1, help="Width of encoders.")] = 128,
    by_row: Annotated[
        bool, typer.Option("--by-row", help="Let isomorphic architectures be on both sides of a split.")
    ] = False,
    across: Annotated[
        bool, typer.Option("--across", help="Judge on few labels on one dataset after many on the others instead.")
    ] = False,
    further: Annotated[
        list[str] | None,
        typer.Option("--further", metavar="NAME", help="A corpus whose graphs @all sees beside the spaces'; repeat."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, max=9, help="Seeds and permutations.")] = 9,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes.")] = 1,
    device: DeviceOption = "cpu",
    timing: Annotated[
        bool, typer.Option("--timing", help="Time encoders instead, on the first --space, for a later page.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge encoders by how well they rank architectures from few labels. Goes on where an earlier call ended.

    The tables show all that DIR holds: call it once a row, once with --by-row or --across, for one page of all.
    """
    from metalcx.bench import Effort, run_encoder, time_encoders
    from metalcx.encoders import FinetuneConfig, PretrainConfig

    if timing:
        rows = time_encoders(data / (space or ["nb201-finals"])[0], hidden, out=out)
        columns: tuple[str, ...] = ("encoder", "graphs", "cold", "warm")
    else:
        effort = Effort(
            PretrainConfig(epochs=epochs), FinetuneConfig(epochs=tune, most_steps=5 * tune), hidden, device=device
        )
        with Progress("bench encoder") as progress:
            rows = run_encoder(
                data,
                out,
                spaces=space or None,
                tables=table or (),
                methods=row or None,
                effort=effort,
                by_group=not by_row,
                across=across,
                further=further or (),
                runs=runs,
                workers=workers,
                progress=progress,
            )
        about = ("labels", "transfer") if across else ("labels",)
        measured = ("runs", "tau", "tau_sd", "p@1%", "p@5%", "p@10%", "seconds")
        columns = ("space", "split", "table", "row", *about, *measured)
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [[r.get(column, "") for column in columns] for r in rows], left=1 if timing else 4)
