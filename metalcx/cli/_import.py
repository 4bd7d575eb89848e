"""`metalcx corpus import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metalcx.cli._options import HorizonOption, JsonOption
from metalcx.cli._output import print_json, working
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    from metalcx.corpora.importers import ImportReport

FormatArgument = Annotated[str, typer.Argument(metavar="FORMAT", help="One of the formats below.")]
SourceArgument = Annotated[Path, typer.Argument(metavar="SRC", help="File or folder as it was published or logged.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DST", help="Folder of the corpus to write.")]
MetricsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="M",
        help="name:goal[:lower[:upper]] of the primary metric; repeat it for further ones. "
        "Published benchmarks declare theirs.",
    ),
]
TimeOption = Annotated[str | None, typer.Option("--time", metavar="NAME", help="What t is, where a log has several.")]


def import_(
    format: FormatArgument,
    src: SourceArgument,
    dst: FolderArgument,
    metric: MetricsOption = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Name of the task; of a benchmark's, the one to read.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="What the networks were trained on.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="NAME", help="Datasets that share examples with it.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the corpus.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", metavar="TEXT", help="Licence of the data, where the source states none.")
    ] = None,
    citation: Annotated[str | None, typer.Option("--citation", metavar="TEXT", help="What to cite.")] = None,
    time: TimeOption = None,
    horizon: HorizonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a published benchmark, or people's own logs, to a corpus.

    Everything is read. What had to be left out is named with the reason; on an error nothing is written.

    Published benchmarks: baker, lcbench, lcdb, lemur, nas-bench-201 (also NATS-Bench), nas-bench-nlp, taskset.

    Logs and tables, with --metric: csv, hf-trainer, keras-csv, lightning-csv, mlflow, tensorboard, wandb, wide-csv.
    """
    from metalcx.corpora.importers import ImportOptions, import_corpus
    from metalcx.curves import Metric

    metrics = [Metric.parse(text) for text in metric or ()]
    options = ImportOptions(
        metric=metrics[0] if metrics else None,
        metrics=tuple(metrics[1:]),
        task=task,
        dataset=dataset,
        family=family,
        name=name,
        licence=licence,
        citation=citation,
        time=time,
        horizon=horizon,
    )
    if not src.exists():
        raise DataError(f"{src}: there is no such file or folder; give what was published or logged")
    with working(f"reading {src}"):
        report = import_corpus(format, src, dst, options)
    if as_json:
        print_json(report.to_dict())
        return
    _tell(report)


def _tell(report: ImportReport) -> None:
    read = f"{_many(report.points, 'point')} of {_many(report.runs, 'run')} in {_many(report.tasks, 'task')} read"
    each = f"{report.shortest:,} to {report.longest:,} points a run, {report.median:,g} in the median"
    typer.echo(f"{report.path}: {read}; {each}")
    for why, what in report.skipped.items():
        typer.echo(f"left out: {len(what):,}, {why}: {name_some(what)}")


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
