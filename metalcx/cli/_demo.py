"""`metalcx demo`: the whole path on what ships with metalcx."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import JsonOption, SeedOption
from metalcx.cli._output import print_json, print_table, working
from metalcx.cli._tables import write_whole
from metalcx.errors import DataError

if TYPE_CHECKING:
    from metalcx.corpora import Corpus, Task
    from metalcx.reports import Report


def demo(
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="Which model.")] = "metalcx-base",
    corpus: Annotated[
        str, typer.Option("--corpus", metavar="CORPUS", help="Where the new task is from.")
    ] = "smallnets",
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Which task; by default the first of an unseen family.")
    ] = None,
    support: Annotated[int, typer.Option("--support", metavar="K", min=0, help="Completed curves to adapt to.")] = 5,
    cut: Annotated[
        float, typer.Option("--cut", min=0.01, max=0.95, help="Share of each other run that is seen.")
    ] = 0.2,
    rows: Annotated[
        int | None, typer.Option("--rows", metavar="N", min=1, help="Rows of the table; all by default.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="F", help="Picture to write, PNG.")] = Path("metalcx-demo.png"),
    report: Annotated[Path, typer.Option("--report", metavar="F", help="Report to write, HTML.")] = Path(
        "metalcx-demo.html"
    ),
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Adapt to a new dataset from a few completed curves and forecast the rest.

    By default from five curves, and from the first fifth of each other run. Prints each forecast beside the truth, and
    its error beside those of the last value and of med5 (the median of five simple forecasts that use the same
    support); draws fan charts into one PNG. Then ranks the runs as they stood, replays them under a stop policy, and
    writes the report that `metalcx report` makes.
    """
    if out.suffix.lower() != ".png":
        raise DataError(f"{out}: the picture is a PNG; give a name that ends in .png")
    if report.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{report}: the report is HTML; give a name that ends in .html")
    from metalcx.cli._study import COLUMNS, report_on, run_study

    start = time.perf_counter()
    with working("loading, adapting and forecasting"):
        chosen = _choose(corpus, task, model)
        study = run_study(chosen, model, support, cut, seed)
    with working("drawing"):
        write_whole(out, study.draw)
    with working("ranking, replaying and reporting"):
        found = report_on(study, seed)
        write_whole(report, found.write)
    seconds = time.perf_counter() - start
    if as_json:
        more = {"picture": str(out), "report": str(report), "ranking": _ranking(found), "stopping": _stopping(found)}
        print_json(study.to_dict() | more | {"seconds": seconds})
        return
    typer.echo(study.heading() + "\n")
    print_table(COLUMNS, study.rows(rows))
    typer.echo(f"{study.summary()}\n")
    _tell(found)
    typer.echo(f"{out}: fan charts\n{report}: the report, for a browser ({seconds:.0f} s in all)")


def _ranking(found: Report) -> list[dict[str, Any]]:
    """The runs that are likeliest to be the best, as they stood."""
    forecast, best = found.ranking.forecast, found.standing.prob_best
    likeliest = sorted(range(len(best)), key=lambda i: -best[i])[:3]
    return [{"run": forecast.ids[i], "forecast": forecast.mean[i], "prob_best": best[i]} for i in likeliest]


def _stopping(found: Report) -> dict[str, Any] | None:
    return None if found.saved is None else found.saved.rows()[found.saved.chosen]


def _tell(found: Report) -> None:
    named = [f"{row['run']} ({100 * row['prob_best']:.0f} %)" for row in _ranking(found)]
    typer.echo(textwrap.fill(f"Likeliest to be the best of all, as the runs stood: {', '.join(named)}.", 110))
    row = _stopping(found)
    if row is not None:
        speed_up, regret = row["speed_up"], 100 * row["regret"]
        text = (
            f"Stopped below {100 * found.threshold:g} % to beat the best so far, they take {speed_up:.1f} times fewer "
        )
        text += f"points, with a regret of {regret:.1f} % of their spread (medians of {row['orders']} orders, of which "
        text += f"{round(row['keeps_best'] * row['orders'])} keep the best run)."
        typer.echo(textwrap.fill(text, 110))


def _choose(name: str, task: str | None, model: str) -> Task:
    """The task asked for, or the first whose family the model's card does not name among its sources."""
    from metalcx import hub
    from metalcx.corpora import open_corpus

    corpus: Corpus = open_corpus(name)
    if task is not None:
        return corpus.task(task)
    seen = set(hub.describe(model)["metrics"].get("source_families", ()))
    unseen = [t for t in corpus if t.family not in seen]
    if not unseen:
        raise DataError(
            f"{name}: {model} was trained on every family in it; choose a task with --task, or another --corpus"
        )
    return unseen[0]
