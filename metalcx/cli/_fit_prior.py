"""`metalcx fit-prior`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import JsonOption, SeedOption
from metalcx.cli._output import Progress, print_json, working
from metalcx.cli._tables import write_whole
from metalcx.cli._train import model_name, open_sources
from metalcx.errors import DataError

if TYPE_CHECKING:
    from metalcx.corpora import Corpus
    from metalcx.transfer import TransferModel

#: Endings of what `--picture` may be.
PICTURES = (".png", ".svg", ".pdf")

#: Characteristics of each prior that the card names.
NAMED = 10


def fit_prior(
    corpus: Annotated[
        list[str], typer.Option("--corpus", metavar="DIR", help="A source corpus, by name or folder; repeat.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model; an older one is replaced.")],
    holdout: Annotated[
        list[str] | None,
        typer.Option("--holdout", metavar="DATASET", help="A dataset whose whole family stays out; repeat."),
    ] = None,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="What reads architectures, by name or folder; none: none.")
    ] = "metalcx-encoder",
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="F", help="Draw the effects of the first corpus there: .png, .svg, .pdf."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit what held on source datasets, for `metalcx suggest`: one prior for each corpus.

    Each corpus is one kind of candidate. Of every task the finals count, by their order. How results on a new dataset
    correct what held elsewhere is chosen by searching the sources, each with the others in its place.
    """
    from metalcx import hub
    from metalcx.bench import chosen_for
    from metalcx.corpora import split_by_family
    from metalcx.transfer import PriorFitter, TransferModel, sources_of

    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise DataError(f"{picture}: is no picture that can be drawn; give a name that ends in {', '.join(PICTURES)}")
    hub.check_target(out)
    opened = open_sources(corpus)
    split = split_by_family(opened, holdout or ())
    reads = None if encoder == "none" else hub.load_encoder(encoder)
    priors = []
    with Progress("fitting priors") as progress:
        for i, source in enumerate(opened):
            tasks = [task for task in split.sources if task.corpus is source]
            fitter = PriorFitter(sources_of(tasks), reads, seed)
            choice, _ = chosen_for(fitter, (), seed)
            priors.append(fitter.fit(source.name, trust=choice.trust, design=choice.design))
            progress(i + 1, len(opened))
    sha256 = None if reads is None else hub.describe(encoder)["sha256"]
    model = TransferModel(tuple(priors), None if reads is None else encoder, sha256)
    about = {
        prior.name: {"sources": len(prior.names), "design": prior.design, "trust": prior.trust.to_dict()}
        for prior in priors
    }
    told: dict[str, Any] = {"priors": about, "held_out_families": list(split.families), "seed": seed}
    with working("writing"):
        name = model_name(out)
        hub.save_priors(model, out, name=name, card=_card(name, opened, model, split.families), metrics=told)
    if picture is not None:
        _draw(model, picture)
    if as_json:
        print_json({"out": str(out), **told})
    else:
        typer.echo(f"{out}: {len(priors)} priors of {sum(len(prior.names) for prior in priors)} source tasks")


def _draw(model: TransferModel, picture: Path) -> None:
    from matplotlib.figure import Figure

    from metalcx.reports import plot_forest

    figure = plot_forest(model.priors[0].effects).figure
    assert isinstance(figure, Figure)
    buffer = BytesIO()
    figure.savefig(buffer, format=picture.suffix.lower().removeprefix("."))
    write_whole(picture, lambda file: file.write(buffer.getvalue()))


def _card(name: str, sources: list[Corpus], model: TransferModel, held: tuple[str, ...]) -> str:
    lines = [
        f"# {name}",
        "",
        "What held on source datasets, for `metalcx suggest`: effects of named characteristics, surrogates of every "
        "source task, and what candidates themselves reached there. In the spirit of Wistuba & Pedapati (2019, "
        "arXiv:1903.03536), no reproduction.",
        "",
        "## Sources",
        "",
        *(f"- {c.name}: {c.licence}. {c.citation}" for c in sources),
    ]
    closed = [c.name for c in sources if not c.redistributable]
    if closed:
        lines += ["", f"**Not to be passed on**: {', '.join(closed)} allow nothing learned from them to ship."]
    for prior in model.priors:
        lines += ["", f"## What held on {prior.name}", ""]
        lines += [f"{len(prior.names)} tasks of {len(set(prior.families))} families; the strongest effects:", ""]
        lines += ["| characteristic | effect | 95 % interval | same sign |", "|---|---|---|---|"]
        for row in prior.effects.to_frame().head(NAMED).itertuples(index=False):
            span = f"{row.low:+.2f} to {row.high:+.2f}"
            lines.append(
                f"| {row.characteristic} | {row.effect:+.2f} | {span} | {row.same_sign:.0%} of {row.families} |"
            )
    lines += ["", "## Limits", "", f"Families held out: {', '.join(held) or 'none'}."]
    lines += ["Effects are of one characteristic at a time: those that go together share theirs, and none is a cause."]
    return "\n".join([*lines, ""])
