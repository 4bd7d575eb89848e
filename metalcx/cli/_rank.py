"""`metalcx rank`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalcx.cli._adapted import adapted
from metalcx.cli._options import (
    CurvesOption,
    HorizonOption,
    JsonOption,
    MetricOption,
    ModelArgument,
    RowsFileOption,
    RunsOption,
    SeedOption,
    TaskOption,
)
from metalcx.cli._output import print_json, print_table, working
from metalcx.cli._tables import check_output, read_curves, write_table
from metalcx.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def rank(
    model: ModelArgument,
    curves: CurvesOption,
    metric: MetricOption,
    at: Annotated[float, typer.Option("--at", metavar="T", help="Time at which runs are compared.")],
    runs: RunsOption = None,
    top: Annotated[
        int | None, typer.Option("--top", metavar="K", min=1, help="Show the best K; adds P(among the best K).")
    ] = None,
    out: RowsFileOption = None,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Order the runs of a table by what they are forecast to be at T, the best first.

    Running runs are forecast as by `metalcx forecast`; finished ones are known and ranked beside them, by their
    value at T, or their last if they ended before. Each row says how likely its run is to be the best of all, and,
    where a run is finished, to beat the best finished one at T (the incumbent), and by how much on average (expected
    improvement).
    """
    from metalcx.curves import Metric
    from metalcx.decide import rank as rank_runs
    from metalcx.decide._known import check_at, compared_at, going, incumbent_at, known_of

    check_at(at)
    if out is not None:
        check_output(out)
    data = read_curves(curves, Metric.parse(metric), runs, task, horizon)
    data = known_of(data)
    if not len(data):
        raise DataError(f"{curves}: no run has a measured value, so there is nothing to rank; give a table with values")
    with working(f"ranking {len(data)} runs"):
        forecast = adapted(model, data, seed).forecast(data.take(going(data, at)), at=at)
        incumbent = incumbent_at(data, at)
        frame = rank_runs(compared_at(data, at, forecast), seed).to_frame(top or 1, incumbent)
    status = dict(zip(data.ids, data.status, strict=True))
    frame.insert(2, "status", [status[run] for run in frame["run"]])
    shown = frame if top is None else frame.head(top)
    if out is not None:
        write_table(shown, out)
    _show(shown, {"model": model, "metric": data.metric.to_dict(), "at": at, "incumbent": incumbent}, out, as_json)


def _show(frame: pd.DataFrame, head: dict[str, object], out: Path | None, as_json: bool) -> None:
    if as_json:
        rows = {"out": str(out), "n_rows": len(frame)} if out is not None else {"rows": frame.to_dict("records")}
        print_json(head | rows)
    elif out is not None:
        typer.echo(f"{out}: {len(frame)} runs, the best first")
    elif sys.stdout.isatty():
        print_table(list(map(str, frame.columns)), frame.itertuples(index=False), f"Ranked by {head['model']}", left=3)
    else:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
