"""`metalcx replay`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._adapted import is_base
from metalcx.cli._options import (
    CurvesOption,
    HorizonOption,
    JsonOption,
    MetricOption,
    ModelArgument,
    RunsOption,
    SeedOption,
    StartupOption,
    TaskOption,
    check_policy,
)
from metalcx.cli._output import Progress, print_json, print_table
from metalcx.cli._tables import check_output, read_curves, write_table, write_whole
from metalcx.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.decide import Replay, StopPolicy

#: Thresholds compared where none is given.
THRESHOLDS = (0.01, 0.05, 0.1)

COLUMNS = ("threshold", "speed_up", "speed_up_low", "speed_up_high", "regret", "regret_high", "keeps_best")


def replay(
    model: ModelArgument,
    curves: CurvesOption,
    metric: MetricOption,
    runs: RunsOption = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option("--threshold", metavar="P", help="Stop below this probability; repeat. By default .01, .05, .1."),
    ] = None,
    startup: StartupOption = 5,
    grace: Annotated[float, typer.Option("--grace", metavar="T", help="No run is stopped before this time.")] = 0.0,
    patience: Annotated[
        int, typer.Option("--patience", metavar="N", min=1, help="Points in a row that have to say so.")
    ] = 1,
    orders: Annotated[int, typer.Option("--orders", metavar="N", min=1, help="Random orders of the runs.")] = 30,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Runs trained side by side.")] = 1,
    asks: Annotated[
        int, typer.Option("--asks", metavar="N", min=1, help="How often a run is judged at most, early more often.")
    ] = 32,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A .csv or .parquet for the table, or a folder for orders, timeline and a picture of wrong stops.",
        ),
    ] = None,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay past runs as if they were live: what would have been saved by stopping, and what lost.

    The finished runs of the table are started in random orders. Those that finish first are the support of a base; it
    is adapted again each time their number has doubled, up to 40. An adapted MODEL is used as it is. Speed-up is the
    points of all runs over the points spent; regret is what the best kept run lacks to the best of all, as a share of
    the spread of finals (q95 - q05); a wrong stop is one of the true top 5. Intervals hold 95 % of the orders.
    """
    import pandas as pd

    from metalcx.curves import Metric
    from metalcx.decide import summary

    if out is not None and out.suffix:
        check_output(out)
    data = read_curves(curves, Metric.parse(metric), runs, task, horizon)
    thresholds = sorted(set(threshold or THRESHOLDS))
    policies = _policies(model, thresholds, startup, grace, patience, horizon)
    options = {"orders": orders, "workers": workers, "asks": asks, "readapt": is_base(model), "seed": seed}
    with Progress(f"replaying {orders} orders") as progress:
        found = _replays(data, policies, options, progress)
    rows = [{"threshold": p.threshold} | summary([r.outcome for r in f]) for p, f in zip(policies, found, strict=True)]
    wrong = [_wrong(f) for f in found]
    if out is not None and out.suffix:
        write_table(pd.DataFrame(rows), out)
    elif out is not None:
        _write_folder(out, policies, found, pd.DataFrame(rows))
    if as_json:
        head = {"model": model, "metric": data.metric.to_dict(), "runs": len(found[0][0].recording), **options}
        named = [row | {"wrong": names} for row, names in zip(rows, wrong, strict=True)]
        print_json(head | {"rows": named} | ({} if out is None else {"out": str(out)}))
        return
    title = f"{len(found[0][0].recording)} runs, {orders} orders, {workers} worker{'s' * (workers > 1)}, by {model}"
    print_table((*COLUMNS, "wrong_stops"), [[row[c] for c in (*COLUMNS, "wrong_stops")] for row in rows], title)
    for policy, names in zip(policies, wrong, strict=True):
        if names:
            told = ", ".join(f"{run} in {count}" for run, count in names.items())
            typer.echo(f"threshold {policy.threshold:g}: wrongly stopped {told} of {orders} orders")


def _policies(
    model: str, thresholds: Sequence[float], startup: int, grace: float, patience: int, horizon: float | None
) -> list[StopPolicy]:
    from metalcx import hub
    from metalcx.decide import StopPolicy

    forecaster = hub.load(model)
    options: dict[str, Any] = {"startup": startup, "grace": grace, "patience": patience, "horizon": horizon}
    for q in thresholds:
        check_policy(threshold=q, **options)
    return [StopPolicy(forecaster, threshold=q, **options) for q in thresholds]


def _replays(data: Any, policies: list[StopPolicy], options: dict[str, Any], progress: Progress) -> list[list[Replay]]:
    from metalcx.decide import replay as replay_runs

    found = []
    for i, policy in enumerate(policies, 1):
        found.append(replay_runs(data, policy, **options))
        progress(i, len(policies))
    return found


def _wrong(replays: list[Replay]) -> dict[str, int]:
    """In how many orders each of the true top was stopped, the most often first."""
    from collections import Counter

    ids = replays[0].recording.curves.ids
    return {str(ids[i]): n for i, n in Counter(i for r in replays for i in r.outcome.wrong).most_common()}


def _write_folder(out: Path, policies: list[StopPolicy], found: list[list[Replay]], table: pd.DataFrame) -> None:
    import pandas as pd

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be made a folder ({error.strerror}); choose another place") from None
    write_table(table, out / "summary.csv")
    told = zip(policies, found, strict=True)
    rows = [(p.threshold, i, r) for p, replays in told for i, r in enumerate(replays)]
    orders = [
        {"threshold": q, "order": i, "clock": r.clock}
        | {name: getattr(r.outcome, name) for name in ("spent", "speed_up", "regret", "keeps_best")}
        | {"wrong": " ".join(str(r.recording.curves.ids[run]) for run in r.outcome.wrong)}
        for q, i, r in rows
    ]
    write_table(pd.DataFrame(orders), out / "orders.csv")
    lines = "".join(
        json.dumps({"threshold": q, "order": i} | event, ensure_ascii=False) + os.linesep
        for q, i, r in rows
        for event in r.timeline()
    )
    write_whole(out / "timeline.jsonl", lambda file: file.write(lines.encode()))
    _draw(out / "wrong_stops.png", [(q, r) for q, i, r in rows if not i])


def _draw(path: Path, replays: list[tuple[float, Replay]]) -> None:
    """One picture a threshold: the true top that the first order stopped, beside the best that it kept."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from metalcx.reports import plot_stops

    figure = Figure(figsize=(4.6 * len(replays), 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for (q, r), ax in zip(replays, figure.subplots(1, len(replays), squeeze=False)[0], strict=True):
        ids, kept = r.recording.curves.ids, r.kept
        best = ids[max(kept, key=lambda run: r.recording.final[run])]
        when = {ids[e.run]: r.time(e) for e in r.events if e.what == "stopped" and e.run in r.outcome.wrong}
        plot_stops(r.recording.curves, when, kept=best, ax=ax)
        ax.set_title(f"threshold {q:g}: {len(when)} wrong stops", fontsize="medium")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, lambda file: file.write(buffer.getvalue()))
