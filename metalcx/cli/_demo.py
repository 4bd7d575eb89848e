"""`metalcx demo`: the whole path on what ships with metalcx."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalcx.cli._options import JsonOption, SeedOption
from metalcx.cli._output import print_json, print_table, working
from metalcx.cli._tables import write_whole
from metalcx.errors import DataError

if TYPE_CHECKING:
    from metalcx.corpora import Corpus, Task


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
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Adapt to a new dataset from a few completed curves and forecast the rest.

    By default from five curves, and from the first fifth of each other run. Prints each forecast beside the truth, and
    its error beside those of the last value and of med5 (the median of five simple forecasts that use the same
    support); draws fan charts into one PNG.
    """
    if out.suffix.lower() != ".png":
        raise DataError(f"{out}: the picture is a PNG; give a name that ends in .png")
    from metalcx.cli._study import COLUMNS, run_study

    start = time.perf_counter()
    with working("loading, adapting and forecasting"):
        chosen = _choose(corpus, task, model)
        study = run_study(chosen, model, support, cut, seed)
    with working("drawing"):
        write_whole(out, study.draw)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(study.to_dict() | {"picture": str(out), "seconds": seconds})
        return
    typer.echo(study.heading() + "\n")
    print_table(COLUMNS, study.rows(rows))
    typer.echo(f"{study.summary()}\n{out}: fan charts ({seconds:.0f} s in all)")


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
