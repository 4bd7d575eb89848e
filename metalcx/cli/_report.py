"""`metalcx report`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import (
    CurvesOption,
    HorizonOption,
    JsonOption,
    MetricOption,
    ModelArgument,
    MostSupportOption,
    RunsOption,
    SeedOption,
    StartupOption,
    TaskOption,
    ThresholdOption,
    check_policy,
)
from metalcx.cli._output import note, print_json, working
from metalcx.cli._tables import read_curves, write_whole
from metalcx.errors import DataError

if TYPE_CHECKING:
    from metalcx.reports import Report


def report(
    model: ModelArgument,
    curves: CurvesOption,
    metric: MetricOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write, .html.")],
    runs: RunsOption = None,
    at: Annotated[
        float | None,
        typer.Option(
            "--at",
            metavar="T",
            help="Time at which runs are compared; by default --horizon, or else the median end of complete runs.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Heading of the page.")] = None,
    threshold: ThresholdOption = 0.05,
    startup: StartupOption = 5,
    orders: Annotated[
        int, typer.Option("--orders", metavar="N", min=0, help="Random orders in which finished runs are replayed.")
    ] = 5,
    most_support: MostSupportOption = 40,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="F", help="JSON lines that a stop policy wrote while the runs went on."),
    ] = None,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML file with everything that can be said of a task's runs.

    Fan charts of the running runs, the ranking with probabilities, stop decisions with their reasons, calibration and
    the simple methods beside the model (each finished run forecast by the base adapted to others), a replay of the
    finished runs, and what was adapted from which base. The file needs no network and nothing beside itself.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{out}: the report is HTML; give a name that ends in .html")
    check_policy(threshold=threshold, startup=startup)
    from metalcx.curves import Metric
    from metalcx.decide import DecisionLog
    from metalcx.reports import report as report_on

    start = time.perf_counter()
    data = read_curves(curves, Metric.parse(metric), runs, task, horizon)
    if decisions is not None and not decisions.is_file():
        raise DataError(f"{decisions}: there is no such file; give the log that a stop policy wrote")
    log = () if decisions is None else tuple(DecisionLog(decisions).read())
    if not len(data.finished()):
        note(f"metalcx: no run of the table is finished; {model} forecasts without any support")
    with working(f"reporting on {len(data)} runs"):
        found = report_on(
            data,
            model,
            at=at if at is not None else horizon,
            title=title or " · ".join([curves.stem, *([task] if task is not None else [])]),
            threshold=threshold,
            startup=startup,
            orders=orders,
            most_support=most_support,
            log=log,
            seed=seed,
        )
        write_whole(out, found.write)
    if as_json:
        print_json({"out": str(out), "seconds": time.perf_counter() - start} | _short(found))
    else:
        typer.echo(f"{out}: {_sentence(found)}")


def _short(found: Report) -> dict[str, Any]:
    """What is in the report, in a few numbers."""
    best = found.ranking.forecast.ids[found.ranking.prob_best.argmax()]
    known: dict[str, Any] = {
        "runs": len(found.standing.curves),
        "running": len(found.forecast),
        "likeliest_best": best,
        "prob_best": found.ranking.prob_best.max(),
        "advised_to_stop": [d.run for d in found.decisions if d.stop],
    }
    if found.left_out is not None:
        methods = zip(found.left_out.names, found.left_out.errors().mean((1, 2)), strict=True)
        known |= {"error_left_out": dict(methods), "coverage_80": found.left_out.coverage()[0, :, 1].mean()}
    if found.saved is not None:
        known["speed_up"] = found.saved.rows()[found.saved.chosen]["speed_up"]
    return known


def _sentence(found: Report) -> str:
    known = _short(found)
    stop = len(known["advised_to_stop"])
    text = f"{known['runs']} runs, {known['running']} still forecast, {stop} advised to stop; "
    text += f"likeliest best {known['likeliest_best']} ({100 * known['prob_best']:.0f} %)"
    if "speed_up" in known:
        text += f"; stopping would have made the finished ones {known['speed_up']:.1f} times cheaper"
    return text
