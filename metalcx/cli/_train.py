"""`metalcx meta-train`."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import DeviceOption, JsonOption, SeedOption
from metalcx.cli._output import Progress, print_json
from metalcx.cli._train_models import Algorithm, Model, Size, Wanted
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    from metalcx.corpora import Corpus, FamilySplit
    from metalcx.transfer import PreparedTask

#: Runs that a task needs before it teaches anything; as in the benchmark.
MIN_RUNS = 8


def meta_train(
    corpus: Annotated[
        list[str], typer.Option("--corpus", metavar="DIR", help="A source corpus, by name or folder; repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model; an older one is replaced.")],
    holdout: Annotated[
        list[str] | None,
        typer.Option("--holdout", metavar="DATASET", help="A dataset whose whole family stays out; repeat."),
    ] = None,
    model: Annotated[Model, typer.Option("--model", help="What to meta-train.")] = Model.EXPERT_GATE,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="What reads architectures for graph-ode, ensemble or rank-net, by name or folder.",
        ),
    ] = None,
    size: Annotated[
        Size, typer.Option("--size", help="Of a graph-ode; mini has about a fifth of the weights.")
    ] = Size.FULL,
    algorithm: Annotated[Algorithm, typer.Option("--algorithm", help="How to meta-train.")] = Algorithm.EPISODIC,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="Outer steps.")] = None,
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", metavar="N", min=1, help="Episodes of each task of 40 or more runs."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was killed.")] = False,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes that draw episodes.")] = 1,
    device: DeviceOption = "cpu",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Meta-train a forecaster over the tasks of source corpora.

    Until the model is written, episodes and checkpoints are in DIR.work beside it. A training that was killed, at any
    moment, goes on from there with --resume and ends with the same model as one that was not. Under torchrun the
    processes that it starts train together: torchrun --nproc-per-node 2 -m metalcx.cli meta-train ...
    """
    from metalcx import hub
    from metalcx._device import check_device
    from metalcx._parallel import joined
    from metalcx.corpora import split_by_family
    from metalcx.transfer import prepared

    hub.check_target(out)
    wanted = Wanted(model, encoder, size, algorithm, steps, episodes, seed)
    wanted.check()
    check_device(device)
    sources = open_sources(corpus)
    split = split_by_family(sources, holdout or ())
    # Those beside the first find a folder that it has just made.
    with joined(device) as crew, work_folder(out, resume or not crew.first, crew.first) as work:
        with Progress("meta-training", quiet=not crew.first) as progress:
            tasks = prepared(split.sources, MIN_RUNS)
            if not tasks:
                raise DataError(f"no source task has {MIN_RUNS} runs or more; give another --corpus, or hold out less")
            trained = wanted.train(tasks, work, workers, progress)
        # Nobody reads the work folder any more.
        crew.wait()
        if crew.first:
            about: dict[str, Any] = {
                "model": model.value,
                "encoder": encoder,
                "size": size.value,
                "algorithm": algorithm.value,
                "seed": seed,
            }
            about |= {"steps": wanted.outer().steps, **_sources(tasks), "held_out_families": list(split.families)}
            card = _card(model_name(out), sources, split, about)
            hub.save(trained, out, name=model_name(out), card=card, metrics=about)
            shutil.rmtree(work, ignore_errors=True)
            _say(out, about, as_json)


def _sources(tasks: list[PreparedTask]) -> dict[str, Any]:
    """What a model learned from."""
    return {
        "source_tasks": [task.name for task in tasks],
        "source_families": sorted({task.family for task in tasks}),
    }


def _say(out: Path, about: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"out": str(out), **about})
    else:
        n, families = len(about["source_tasks"]), len(about["source_families"])
        typer.echo(f"{out}: meta-trained on {n} tasks of {families} families")


def open_sources(names: list[str]) -> list[Corpus]:
    """The corpora, none of them twice: its tasks would count double, under one name."""
    from metalcx.corpora import open_corpus

    opened = [open_corpus(name) for name in names]
    called = [corpus.name for corpus in opened]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise DataError(f"--corpus: {name_some(twice)} given more than once; name each source corpus once")
    return opened


@contextlib.contextmanager
def work_folder(out: Path, resume: bool, alone: bool = True) -> Iterator[Path]:
    """The folder beside `out` for a training that is not finished; it is there only if that is to be gone on with.

    Args:
        out: Where the model goes.
        resume: Whether a training may be there.
        alone: Whether to keep other processes out; those that train together with the first come in behind it.
    """
    from metalcx._swap import locked

    work = out.expanduser().with_name(f"{out.name}.work")
    work.parent.mkdir(parents=True, exist_ok=True)
    with locked(work.resolve(), "this training") if alone else contextlib.nullcontext():
        if work.exists() and not resume:
            raise DataError(
                f"{work}: holds a training that is not finished; go on with --resume, or delete that folder"
            )
        yield work


def model_name(out: Path) -> str:
    """What a model in this folder may be called."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in out.resolve().name).lstrip("._-")


def _card(name: str, sources: list[Corpus], split: FamilySplit, about: dict[str, Any]) -> str:
    lines = [
        f"# {name}",
        "",
        f"Meta-trained with metalcx ({about['model']}, {about['algorithm']}, {about['steps']} steps, "
        f"seed {about['seed']}) on {len(about['source_tasks'])} tasks of {len(about['source_families'])} families.",
        "",
        "## Sources",
        "",
        *(f"- {c.name}: {c.licence}. {c.citation}" for c in sources),
        "",
    ]
    closed = [c.name for c in sources if not c.redistributable]
    if closed:
        lines += [
            f"**Not to be passed on**: {', '.join(closed)} allow no weight learned from them to ship.",
            "",
        ]
    held = ", ".join(split.families) or "none"
    lines += ["## Limits", "", f"Families held out of training: {held}. No held-out results were measured.", ""]
    return "\n".join(lines)
