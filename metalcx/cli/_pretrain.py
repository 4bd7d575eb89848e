"""`metalcx pretrain-encoder`."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import DeviceOption, JsonOption, SeedOption
from metalcx.cli._output import Progress, print_json, working
from metalcx.cli._train import model_name, open_sources, work_folder
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    from metalcx.corpora import Corpus
    from metalcx.graphs import ArchGraph


class Kind(StrEnum):
    """What reads the graphs."""

    GIN = "gin"
    GATED_GCN = "gated-gcn"
    FLOW = "flow"


class Cells(StrEnum):
    """Spaces whose architectures are all written out here, without a corpus."""

    NASBENCH201 = "nasbench201"
    NASBENCH_MACRO = "nasbench-macro"
    NASBENCH_GRAPH = "nasbench-graph"


class Lesson(StrEnum):
    """What is learned of them."""

    FLOW = "flow"
    PROXY = "proxy"
    BOTH = "both"


def pretrain_encoder(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the encoder; an older is replaced.")],
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", metavar="DIR", help="A corpus with graphs, by name or folder; repeat."),
    ] = None,
    cells: Annotated[
        list[Cells] | None, typer.Option("--cells", help="All architectures of a space, without a corpus; repeat.")
    ] = None,
    encoder: Annotated[Kind, typer.Option("--encoder", help="What reads the graphs.")] = Kind.GATED_GCN,
    learn: Annotated[
        Lesson, typer.Option("--learn", help="To tell the flow surrogate, to rank by a zero-cost proxy, or both.")
    ] = Lesson.BOTH,
    hidden: Annotated[int, typer.Option("--hidden", metavar="N", min=1, help="Width of the encoder.")] = 128,
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Passes over all graphs.")] = 60,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was killed.")] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Pre-train an encoder of architectures on the graphs of corpora, without labels.

    Of graphs that differ only in how they are numbered one counts. The proxy is synaptic flow where networks can be
    made of the graphs (NAS-Bench-201, SpikeNAS, Macro), else parameters, multiply-accumulates or sizes of kernels; it
    is compared within a corpus only. Checkpoints are in DIR.work beside the encoder until that is written.
    """
    from metalcx import hub
    from metalcx._device import check_device
    from metalcx.encoders import EncoderConfig, PretrainConfig, new_encoder, pretrain

    hub.check_target(out)
    check_device(device)
    if not corpus and not cells:
        raise DataError("nothing to learn from; give --corpus DIR or --cells SPACE")
    sources = open_sources(corpus) if corpus else []
    spaces = list(dict.fromkeys(cells or ()))
    if twice := {source.name for source in sources} & {cell.value for cell in spaces}:
        raise DataError(f"--cells: a corpus is called {name_some(sorted(twice))} too; give one of them")
    with work_folder(out, resume) as work:
        with working("reading graphs"):
            known = {source.name: _graphs(source) for source in sources} | {cell.value: _cells(cell) for cell in spaces}
            graphs, group, proxy, about = _lessons(known)
        if learn is not Lesson.FLOW and not any(about["proxies"].values()):
            raise DataError("--learn: no zero-cost proxy is known for these graphs; choose flow")
        fresh = new_encoder(EncoderConfig(encoder.value, hidden), seed)
        config = PretrainConfig(learn.value, epochs=epochs, seed=seed)
        with Progress("pre-training") as progress:
            checkpoint = work / "checkpoint.safetensors"
            options: dict[str, Any] = {"checkpoint": checkpoint, "device": device, "progress": progress}
            losses = pretrain(fresh, graphs, config, proxy=proxy, group=group, **options)
        about |= {
            "encoder": encoder.value,
            "learned": learn.value,
            "epochs": epochs,
            "seed": seed,
            "graphs": len(graphs),
        }
        about |= {"surrogate_loss": float(losses[-1, 0]), "ranking_loss": float(losses[-1, 1])}
        hub.save_encoder(fresh, out, name=model_name(out), card=_card(model_name(out), sources, about), metrics=about)
        shutil.rmtree(work, ignore_errors=True)
    if as_json:
        print_json({"out": str(out), **about})
    else:
        typer.echo(f"{out}: pre-trained on {len(graphs):,} graphs of {len(known)} sources")


def _lessons(known: dict[str, list[ArchGraph]]) -> tuple[list[ArchGraph], list[int], list[float], dict[str, Any]]:
    """Graphs of all sources, the source and the proxy of each, and what is to be said of them."""
    from metalcx.encoders import known_proxy

    graphs: list[ArchGraph] = []
    group: list[int] = []
    proxy: list[float] = []
    counts, proxies = {}, {}
    for number, (name, own) in enumerate(known.items()):
        proxies[name], values = known_proxy(own)
        counts[name] = len(own)
        graphs, group, proxy = graphs + own, group + [number] * len(own), proxy + values.tolist()
    return graphs, group, proxy, {"sources": counts, "proxies": proxies}


def _graphs(source: Corpus) -> list[ArchGraph]:
    """The graphs of a corpus, one of those that are isomorphic."""
    from metalcx.graphs import ArchGraph

    texts = source.architectures["graph"].dropna().unique()
    if not len(texts):
        raise DataError(f"{source.name}: no architecture has a graph; give a corpus that has some")
    return list({graph.hash: graph for graph in map(ArchGraph.from_json, texts)}.values())


def _cells(space: Cells) -> list[ArchGraph]:
    """All architectures of a space, one of those that are isomorphic."""
    from metalcx import graphs

    all_of = {
        Cells.NASBENCH201: graphs.all_nasbench201,
        Cells.NASBENCH_MACRO: graphs.all_nasbench_macro,
        Cells.NASBENCH_GRAPH: graphs.all_nasbench_graph,
    }
    return list({graph.hash: graph for _, graph in all_of[space]()}.values())


def _card(name: str, sources: list[Corpus], about: dict[str, Any]) -> str:
    learned = {"flow": "the flow surrogate", "proxy": "zero-cost proxies", "both": "the flow surrogate and proxies"}
    lines = [
        f"# {name}",
        "",
        f"An encoder of architectures ({about['encoder']}), pre-trained with metalcx on {learned[about['learned']]} of "
        f"{about['graphs']:,} graphs, {about['epochs']} epochs, seed {about['seed']}. No label was used.",
        "",
        "## Sources",
        "",
    ]
    for source in sources:
        proxy = about["proxies"][source.name] or "none"
        known = f"{about['sources'][source.name]:,} graphs, proxy {proxy}"
        lines.append(f"- {source.name}: {known}. {source.licence}. {source.citation}")
    for space in [space for space in about["sources"] if space not in {source.name for source in sources}]:
        known = f"{about['sources'][space]:,} graphs, proxy {about['proxies'][space] or 'none'}"
        lines.append(f"- {space}: {known}. Written out by metalcx from the definition of the space.")
    closed = [source.name for source in sources if not source.redistributable]
    if closed:
        lines += ["", f"**Not to be passed on**: {', '.join(closed)} allow no weight learned from them to ship."]
    return "\n".join([*lines, "", "## Limits", "", "No held-out results were measured.", ""])
