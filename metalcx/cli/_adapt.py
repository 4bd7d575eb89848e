"""`metalcx adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import (
    CurvesOption,
    HorizonOption,
    JsonOption,
    MetricOption,
    ModelArgument,
    RunsOption,
    SeedOption,
    TaskOption,
)
from metalcx.cli._output import print_json, working
from metalcx.cli._tables import read_curves
from metalcx.errors import DataError, ModelError


def adapt(
    model: ModelArgument,
    curves: CurvesOption,
    metric: MetricOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the adapted model; an older one is replaced.")
    ],
    runs: RunsOption = None,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", min=0, help="Gradient steps; by default chosen by leave-one-out."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Adapt a model to a new task from its finished runs.

    Uses every completed, diverged and censored run of the table and leaves running ones aside. Writes a small folder
    that holds these curves and what adaptation changed, and that names its base.
    """
    from metalcx import hub
    from metalcx.curves import Metric

    data = read_curves(curves, Metric.parse(metric), runs, task, horizon)
    support = data.finished()
    if not len(support):
        raise DataError(
            f"{curves}: none of its {len(data)} runs is finished, so there is nothing to adapt to; "
            "give the t at which a run is complete with --horizon, or a column 'status' with --runs"
        )
    known = hub.describe(model)
    if known["base"] is not None:
        raise ModelError(
            f"{model}: is itself adapted; adapt its base {known['base'].get('name')!r} with all the curves"
        )
    hub.check_target(out)
    with working(f"adapting {known['name']} to {len(support)} runs"):
        hub.save_adapted(hub.load(model).adapt(support, steps=steps, seed=seed), model, out)  # type: ignore[arg-type]
    counts = {status: int((support.status == status).sum()) for status in ("completed", "diverged", "censored")}
    if as_json:
        size = sum(file.stat().st_size for file in out.iterdir())
        print_json(
            {"out": str(out), "base": known["name"], "metric": data.metric.to_dict(), "runs": counts, "bytes": size}
        )
        return
    used = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
    runs_word = "run" if len(support) == 1 else "runs"
    typer.echo(f"{out}: {known['name']} adapted to {used} {runs_word} of {data.metric.name}")
