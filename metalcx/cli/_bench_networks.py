"""`metalcx bench dynamics` and `metalcx bench histories`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import CorporaOption, JsonOption, TablesOption
from metalcx.cli._output import Progress, print_json, print_table


def dynamics(
    data: CorporaOption,
    out: TablesOption,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="NAME",
            help="corpus/task, or corpus/task@mlp or @cnn for those networks of it; repeat. By default the two tasks "
            "of each kind in smallnets that have most architectures, and spikenas-bench's.",
        ),
    ] = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME", help="What to judge; repeat. All by default.")
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="What to forecast, where a corpus has it.")
    ] = "val_loss",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Splits and training seeds.")] = 3,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Training steps at most.")] = 1000,
    curves: Annotated[
        int, typer.Option("--curves", metavar="N", min=1, help="Curves of its prior that the LC-PFN learns from.")
    ] = 64_000,
    as_json: JsonOption = False,
) -> None:
    """Judge latent dynamics on held-out architectures of one dataset. Goes on where an earlier call ended.

    The tables show all that DIR holds of the tasks asked for.
    """
    from metalcx.bench.dynamics import Effort, run_dynamics

    with Progress("bench dynamics") as progress:
        result = run_dynamics(
            data,
            out,
            tasks=task or None,
            rows=row or None,
            metric=metric,
            seeds=seeds,
            effort=Effort(steps=steps, curves=curves),
            progress=progress,
        )
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{out}: tables written")


def histories(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for tables.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="A corpus with histories; by default the one that comes along."),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option("--sources", metavar="DIR", help="A corpus with histories to learn from; by default the same."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", metavar="N", min=1, help="Supports drawn a task.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Judge how well a few epochs tell the peak accuracy, by the history of features and by everything else."""
    from metalcx.bench import run_histories

    with Progress("bench histories") as progress:
        result = run_histories(data, out, sources=sources, draws=draws, progress=progress)
    if as_json:
        print_json(result)
    else:
        cuts = list(next(iter(result["tau"].values())))
        best_first = sorted(result["tau"].items(), key=lambda pair: -float(pair[1][cuts[0]]))
        rows = [[name, *(f"{by_cut[cut]:.3f}" for cut in cuts)] for name, by_cut in best_first]
        print_table(("method", *(f"tau at {cut:g}" for cut in cuts)), rows)
