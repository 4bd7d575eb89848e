"""`metalcx forecast`."""

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

    from metalcx.protocol import Forecast


def forecast(
    model: ModelArgument,
    curves: CurvesOption,
    metric: MetricOption,
    at: Annotated[list[float], typer.Option("--at", metavar="T", help="Time to forecast; may be given several times.")],
    runs: RunsOption = None,
    out: RowsFileOption = None,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Forecast every running run of a table.

    A run is running unless it is completed (it reaches the horizon), diverged (a value is NaN or inf), or --runs
    gives it another status. With an adapted MODEL, the runs it was adapted to are its support. With a base, the
    finished runs of the table are the support: the model is adapted to them on the spot and nothing is kept.

    Rows are run, t, mean, q0.025 ... q0.975, with run ids as given: a table on a terminal, CSV in a pipe.
    """
    from metalcx.curves import Metric

    if out is not None:
        check_output(out)
    data = read_curves(curves, Metric.parse(metric), runs, task, horizon)
    queries = data.running()
    if not len(queries):
        raise DataError(
            f"{curves}: all of its {len(data)} runs are finished, so there is nothing to forecast; "
            "give the t at which a run is complete with --horizon, or a column 'status' with --runs"
        )
    with working(f"forecasting {len(queries)} runs"):
        result = adapted(model, data, seed).forecast(queries, at=at)
    frame = result.to_frame()
    if out is not None:
        write_table(frame, out)
    _show(frame, result, model, out, as_json)


def _show(frame: pd.DataFrame, result: Forecast, model: str, out: Path | None, as_json: bool) -> None:
    if as_json:
        head = {"model": model, "metric": result.metric.to_dict()}
        rows = {"out": str(out), "n_rows": len(frame)} if out is not None else {"rows": frame.to_dict("records")}
        print_json(head | rows)
    elif out is not None:
        typer.echo(f"{out}: {len(frame)} forecasts of {len(result)} runs")
    elif sys.stdout.isatty():
        shown = ["run", "t", "mean", "q0.1", "q0.25", "q0.5", "q0.75", "q0.9"]
        print_table(shown, frame[shown].itertuples(index=False), f"{result.metric.name}, forecast by {model}")
    else:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
