"""`metalcx corpus list`, `show` and `validate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from metalcx.cli._options import JsonOption
from metalcx.cli._output import print_json, print_table, working
from metalcx.errors import CorpusError

CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help="A name of `metalcx corpus list`, or a folder.")]


def list_(as_json: JsonOption = False) -> None:
    """Corpora that come with metalcx, and those in the folders that METALCX_DATA names."""
    from metalcx.corpora import list_corpora

    found = [info.to_dict() for info in list_corpora()]
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no corpus is known by name; set METALCX_DATA to a folder of corpora")
        return
    columns = ["name", "from", "licence", "may ship", "tasks", "runs", "points"]
    print_table(columns, map(_row, found), left=4)
    for info in found:
        if info["problem"]:
            typer.echo(f"{info['name']}: {info['problem']}")


def _row(info: dict[str, Any]) -> list[object]:
    if info["problem"]:
        return [info["name"], info["origin"], "damaged", "", "", "", ""]
    ships = "yes" if info["redistributable"] else "no"
    return [
        info["name"],
        info["origin"],
        info["licence"][:40],
        ships,
        *(f"{info[k]:,}" for k in ("n_tasks", "n_runs", "n_points")),
    ]


def show(corpus: CorpusArgument, as_json: JsonOption = False) -> None:
    """What a corpus holds: metrics, licence, citation and tasks."""
    from metalcx.corpora import open_corpus

    opened = open_corpus(corpus)
    tasks = _tasks(opened)
    known = {
        "name": opened.name,
        "path": str(opened.path),
        "time_unit": opened.time_unit,
        "metrics": [m.to_dict() for m in opened.metrics],
        "licence": opened.licence,
        "citation": opened.citation,
        "redistributable": opened.redistributable,
        "n_runs": opened.n_runs,
        "n_points": opened.n_points,
    }
    if as_json:
        print_json(known | {"tasks": tasks})
        return
    text = {**known, "metrics": ", ".join(f"{m.name} ({m.goal})" for m in opened.metrics)}
    print_table(["", opened.name], text.items(), left=2)
    columns = ["task", "dataset", "family", "domain", "metric", "runs"]
    print_table(columns, ([task[c] for c in columns] for task in tasks), left=5)


def _tasks(opened: Any) -> list[dict[str, Any]]:
    frame = opened.tasks.assign(runs=opened.tasks["task"].map(opened.runs["task"].value_counts()).fillna(0).astype(int))
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records


def validate(
    corpora: Annotated[list[str], typer.Argument(metavar="CORPUS...", help="Names or folders.")],
    as_json: JsonOption = False,
) -> None:
    """Check folders against every rule of the corpus format; each problem with file, row and column.

    Ends with 0 if all are valid, else with 2.
    """
    from metalcx import corpora as room

    reports = []
    for name in corpora:
        with working(f"validating {name}"):
            reports.append(room.validate(room.find_corpus(name)))
    if as_json:
        print_json([report.to_dict() for report in reports])
    else:
        for report in reports:
            _print_report(report)
    bad = [str(report.path) for report in reports if not report.ok]
    if bad:
        n = sum(len(report.problems) for report in reports)
        raise CorpusError(f"{', '.join(bad)}: {n} problem{'s' * (n != 1)}; mend what standard output lists")


def _print_report(report: Any) -> None:
    for problem in report.problems:
        typer.echo(f"{report.path}: {problem}")
    if report.ok:
        typer.echo(
            f"{report.path}: valid, {report.n_tasks:,} tasks, {report.n_runs:,} runs, {report.n_points:,} points"
        )
