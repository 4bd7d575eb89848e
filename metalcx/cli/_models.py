"""`metalcx models list` and `metalcx models show`."""

from __future__ import annotations

import json
import sys
from typing import Any

import typer

from metalcx.cli._options import JsonOption, ModelArgument
from metalcx.cli._output import print_json, print_table


def list_(as_json: JsonOption = False) -> None:
    """The models that ship with metalcx."""
    from metalcx import hub

    models = hub.list_models()
    if as_json:
        print_json(models)
        return
    if not models:
        typer.echo("no model ships with this installation")
        return
    print_table(["name", "class", "parameters", "kB", "sha256"], map(_row, models), left=2)
    for model in models:
        if "problem" in model:
            typer.echo(f"{model['name']}: {model['problem']}")


def _row(model: dict[str, Any]) -> list[object]:
    if "problem" in model:
        return [model["name"], "damaged", "", "", ""]
    return [model["name"], model["class"], model["parameters"], f"{model['bytes'] / 1e3:.0f}", model["sha256"][:12]]


def show(model: ModelArgument, as_json: JsonOption = False) -> None:
    """What a model is: its card, configuration and held-out results. Verifies it on the way."""
    from metalcx import hub

    known = hub.describe(model)
    if as_json:
        print_json(known)
        return
    card = known.pop("card")
    rows = [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, value in known.items()
        if value is not None
    ]
    print_table(["", known["name"]], rows, left=2)
    _print_card(card)


def _print_card(card: str) -> None:
    if not sys.stdout.isatty():
        typer.echo(card)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(card))
