"""`metalcx corpus list`, `show` and `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from metalcx.cli._options import JsonOption
from metalcx.cli._output import print_json, print_table, working
from metalcx.errors import CorpusError

CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help="A name of `metalcx corpus list`, or a folder.")]


def list_(as_json: JsonOption = False) -> None:
    """Corpora on disk (with metalcx, and in the folders that METALCX_DATA names), then others that can be had."""
    from metalcx.corpora import known_corpora, list_corpora

    found = [{**info.to_dict(), "state": "damaged" if info.problem else "on disk"} for info in list_corpora()]
    names = {info["name"] for info in found}
    others = [known.to_dict() | {"state": state(known)} for known in known_corpora() if known.name not in names]
    if as_json:
        print_json(found + others)
        return
    if not found:
        typer.echo("no corpus on disk is known by name; set METALCX_DATA to a folder of corpora")
    else:
        columns = ["name", "from", "licence", "may ship", "tasks", "runs", "points", "bytes"]
        print_table(columns, map(_row, found), left=4)
    print_table(["published", "state", "licence", "role"], map(_other, others), left=4)
    for info in found:
        if info["problem"]:
            typer.echo(f"{info['name']}: {info['problem']}")


def state(known: Any) -> str:
    """Whether a published corpus that is not on disk can be fetched, or its files are there already."""
    from metalcx.corpora import raw_folder

    if all((raw_folder(known.name) / file.name).is_file() for file in known.files):
        return "files are here, to be imported"
    return "by hand only" if known.by_hand else "can be fetched"


def _row(info: dict[str, Any]) -> list[object]:
    if info["problem"]:
        return [info["name"], info["origin"], "damaged", "", "", "", "", ""]
    ships = "yes" if info["redistributable"] else "no"
    return [
        info["name"],
        info["origin"],
        info["licence"][:40],
        ships,
        *(f"{info[k]:,}" for k in ("n_tasks", "n_runs", "n_points", "n_bytes")),
    ]


def _other(known: dict[str, Any]) -> list[object]:
    return [known[key] for key in ("name", "state", "licence", "role")]


def show(corpus: CorpusArgument, as_json: JsonOption = False) -> None:
    """What a corpus holds: metrics, licence, citation and tasks; for one not on disk, where it comes from."""
    from metalcx.corpora import find_corpus, known_corpora

    known = {known.name: known for known in known_corpora()}.get(corpus)
    try:
        path = find_corpus(corpus)
    except CorpusError:
        if known is None:
            raise
        _show_known(known, as_json)
        return
    _show_opened(path, as_json)


def _show_opened(path: Path, as_json: bool) -> None:
    from metalcx.corpora import Corpus, disk_size, read_checksums

    opened = Corpus.open(path)
    tasks, checksums = _tasks(opened), read_checksums(opened.path)
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
        "n_bytes": disk_size(opened.path),
        "checksums": checksums,
    }
    if as_json:
        print_json(known | {"tasks": tasks})
        return
    sums = "\n".join(f"{digest}  {name}" for name, digest in checksums.items()) or "none stated"
    text = {**known, "metrics": ", ".join(f"{m.name} ({m.goal})" for m in opened.metrics), "checksums": sums}
    print_table(["", opened.name], text.items(), left=2)
    columns = ["task", "dataset", "family", "domain", "metric", "runs"]
    print_table(columns, ([task[c] for c in columns] for task in tasks), left=5)


def _show_known(known: Any, as_json: bool) -> None:
    from metalcx.corpora import raw_folder

    folder = raw_folder(known.name)
    if as_json:
        print_json(known.to_dict() | {"state": state(known), "folder": str(folder)})
        return
    text = {
        "holds": known.holds,
        "state": state(known),
        **known.facts(folder),
        "files are put in": folder,
        "note": known.note,
    }
    print_table(["", f"{known.name}: {known.title}"], ((k, v) for k, v in text.items() if v), left=2)
    print_table(["file", "bytes", "checksum", "address"], (file.row() for file in known.files), left=4)


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
