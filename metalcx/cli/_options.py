"""Options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from metalcx.errors import DataError

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A name of `metalcx models list`, or a folder.")]
CurvesOption = Annotated[
    Path, typer.Option("--curves", metavar="F", help="CSV or Parquet with the columns run, t, value (task optional).")
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        metavar="F",
        help="One row a run: run, and optionally status, arch; other columns are hyperparameters.",
    ),
]
MetricOption = Annotated[
    str, typer.Option("--metric", metavar="M", help="name:goal[:lower[:upper]], such as val_loss:min:0 or acc:max:0:1.")
]
TaskOption = Annotated[str | None, typer.Option("--task", metavar="NAME", help="Which task of a table with several.")]
HorizonOption = Annotated[
    float | None,
    typer.Option("--horizon", metavar="H", help="t at which a run is complete; by default the largest t in the table."),
]
ThresholdOption = Annotated[
    float, typer.Option("--threshold", metavar="P", help="Advise to stop below this probability of beating the best.")
]
StartupOption = Annotated[
    int, typer.Option("--startup", metavar="N", min=1, help="Runs that come to their end before any is stopped.")
]
MostSupportOption = Annotated[
    int, typer.Option("--most-support", metavar="N", min=1, help="Finished runs that a base is adapted to, at most.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="S", help="Seed of whatever is drawn at random.")]
CorporaOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder in which the corpora are.")]
TablesOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder for tables and for what is needed to resume.")
]
RowsFileOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="F", help="Write the rows there, .csv or .parquet, not to the screen."),
]
FoldsOption = Annotated[
    int | None,
    typer.Option("--folds", metavar="N", min=2, help="Folds over families; by default each family is one."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, or cuda; numbers depend on it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def check_policy(**options: Any) -> None:
    """Refuse, before any work is done, what a stop policy does not take; options are called as its arguments are.

    Raises:
        DataError: Names the option.
    """
    from metalcx.decide import StopPolicy
    from metalcx.forecasters import Baseline

    try:
        StopPolicy(Baseline("last"), **options)
    except ValueError as error:
        raise DataError(f"--{error}") from None
