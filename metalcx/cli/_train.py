"""`metalcx meta-train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from metalcx.cli._options import JsonOption, SeedOption
from metalcx.cli._output import Progress, print_json


class Algorithm(StrEnum):
    """How a forecaster is meta-trained."""

    EPISODIC = "episodic"
    MAML = "maml"
    METASGD = "metasgd"
    ANIL = "anil"


def meta_train(
    corpus: Annotated[
        list[str], typer.Option("--corpus", metavar="DIR", help="A source corpus, by name or folder; repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model and its checkpoint.")],
    holdout: Annotated[
        list[str] | None,
        typer.Option(
            "--holdout", metavar="DATASET", help="A dataset whose whole family stays out of training; repeat."
        ),
    ] = None,
    algorithm: Annotated[Algorithm, typer.Option("--algorithm", help="How to meta-train.")] = Algorithm.EPISODIC,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="Meta-steps; by default those of the algorithm.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Meta-train a forecaster over the tasks of source corpora.

    May be killed at any moment: --resume goes on from the last checkpoint and ends with the same model.
    """
    from metalcx.corpora import open_corpus
    from metalcx.transfer import meta_train as train

    sources = [open_corpus(name) for name in corpus]
    with Progress("meta-training") as progress:
        train(
            sources,
            out,
            holdout=tuple(holdout or ()),
            algorithm=algorithm.value,
            **({} if steps is None else {"steps": steps}),
            seed=seed,
            resume=resume,
            progress=progress,
        )
    if as_json:
        print_json({"out": str(out), "algorithm": algorithm.value, "seed": seed, "corpora": [c.name for c in sources]})
    else:
        typer.echo(f"{out}: meta-trained on {', '.join(c.name for c in sources)}")
