"""The commands and their order. Each command's module imports what is heavy only when it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from metalcx import __version__
from metalcx.cli import (
    _adapt,
    _bench,
    _bench_decide,
    _bench_networks,
    _build,
    _cite,
    _corpus,
    _demo,
    _fetch,
    _fit_prior,
    _forecast,
    _import,
    _models,
    _pretrain,
    _rank,
    _replay,
    _report,
    _suggest,
    _train,
    _watch,
)
from metalcx.cli._group import OneLineErrors

# Plain help: rich would triple the time that `--help` takes.
app = typer.Typer(
    name="metalcx",
    cls=OneLineErrors,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metalcx {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Forecast learning curves of networks on a dataset never seen before."""
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _help(about: str, *examples: str) -> str:
    """Help text that ends with examples; the backspace keeps their lines as they are."""
    return f"{about}\n\n\b\nExample:\n" + "\n".join(f"  {line}" for line in examples)


def _add(room: typer.Typer, name: str, command: Callable[..., None], example: str) -> None:
    room.command(name, help=_help(inspect.getdoc(command) or "", example))(command)


def _room(name: str, about: str) -> typer.Typer:
    room = typer.Typer(rich_markup_mode=None)
    room.callback(invoke_without_command=True)(_help_alone)
    app.add_typer(room, name=name, help=about)
    return room


app.callback(
    invoke_without_command=True,
    help=_help(
        inspect.getdoc(_root) or "",
        "metalcx demo",
        "metalcx adapt metalcx-base --curves runs.csv --metric val_loss:min:0 --out mine",
        "metalcx forecast mine --curves runs.csv --metric val_loss:min:0 --at 50",
    ),
)(_root)

_add(app, "demo", _demo.demo, "metalcx demo --support 10")
_corpora = _room("corpus", "Corpora of learning curves: find, fetch, import, build and validate them.")
_add(_corpora, "list", _corpus.list_, "METALCX_DATA=~/curves metalcx corpus list")
_add(_corpora, "show", _corpus.show, "metalcx corpus show smallnets")
_add(_corpora, "fetch", _fetch.fetch, "metalcx corpus fetch baker2018 --to baker2018-raw")
_add(_corpora, "import", _import.import_, "metalcx corpus import lcbench data_2k_lw.json lcbench")
_add(_corpora, "build", _build.build, "metalcx corpus build smallnets my-smallnets --engine ray")
_add(_corpora, "validate", _corpus.validate, "metalcx corpus validate my-corpus")
_add(
    app,
    "pretrain-encoder",
    _pretrain.pretrain_encoder,
    "metalcx pretrain-encoder --corpus data/nas-bench-graph --corpus data/lemur --out my-encoder",
)
_add(
    app,
    "meta-train",
    _train.meta_train,
    "metalcx meta-train --corpus data/lemur --corpus data/nmtlc --holdout cifar10 --out my-base",
)
_add(app, "adapt", _adapt.adapt, "metalcx adapt metalcx-base --curves runs.csv --metric val_loss:min:0 --out mine")
_add(
    app,
    "forecast",
    _forecast.forecast,
    "metalcx forecast mine --curves runs.csv --metric val_loss:min:0 --at 50 --out forecast.csv",
)
_add(app, "rank", _rank.rank, "metalcx rank mine --curves runs.csv --metric val_loss:min:0 --at 50 --top 5")
_add(
    app,
    "replay",
    _replay.replay,
    "metalcx replay metalcx-base --curves past.csv --metric val_loss:min:0 --threshold .05 --out replay",
)
_add(
    app,
    "fit-prior",
    _fit_prior.fit_prior,
    "metalcx fit-prior --corpus data/nas-bench-graph --holdout cora --out my-prior",
)
_add(
    app,
    "suggest",
    _suggest.suggest,
    "metalcx suggest my-prior --candidates candidates.csv --curves runs.csv --runs tried.csv --metric val_loss:min:0",
)
_add(
    app,
    "report",
    _report.report,
    "metalcx report metalcx-base --curves runs.csv --metric val_loss:min:0 --out report.html",
)
_add(app, "watch", _watch.watch, "metalcx watch lightning_logs --metric val_loss:min:0 --horizon 50")
_benches = _room("bench", "The protocols by which every forecaster is judged.")
_add(_benches, "transfer", _bench.transfer, "metalcx bench transfer --data data --out results --forecaster med5")
_add(_benches, "histories", _bench_networks.histories, "metalcx bench histories --out results")
_add(_benches, "encoder", _bench.encoder, "metalcx bench encoder --data data --out results --space nas-bench-macro")
_add(
    _benches,
    "stopping",
    _bench_decide.stopping,
    "metalcx bench stopping --data data --out results --row asha",
)
_add(
    _benches,
    "suggest",
    _bench_decide.suggest,
    "metalcx bench suggest --data data --out results --row random",
)
_add(
    _benches,
    "dynamics",
    _bench_networks.dynamics,
    "metalcx bench dynamics --data data --out results --row node",
)
_models_room = _room("models", "The models that ship with metalcx, and those in a folder.")
_add(_models_room, "list", _models.list_, "metalcx models list --json")
_add(_models_room, "show", _models.show, "metalcx models show metalcx-base")
_add(app, "cite", _cite.cite, "metalcx cite metalcx-base SRM optuna")


def main() -> None:
    """Entry point of the command `metalcx`."""
    app(prog_name="metalcx")
