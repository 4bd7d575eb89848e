"""Build a corpus from a recipe: train what is missing, then write the folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from metalcx._device import check_device
from metalcx.corpora._refuse import refuse_unless_corpus
from metalcx.corpora._writer import CorpusWriter
from metalcx.corpora.build._assemble import METRICS, assemble
from metalcx.corpora.build._engine import Progress, read_piece, run_pieces
from metalcx.corpora.build._plan import TaskPlan, plan
from metalcx.corpora.build._recipe import Recipe
from metalcx.corpora.build._stack import train_stack
from metalcx.errors import CorpusError, DataError, name_some


@dataclass(frozen=True)
class BuildReport:
    """What was built.

    Attributes:
        path: The corpus.
        tasks: Tasks.
        datasets: Datasets.
        families: Families.
        runs: Runs.
        points: Points of all runs.
        status: Status -> runs.
        hours: Processor hours of training, as the pieces measured them.
    """

    path: Path
    tasks: int
    datasets: int
    families: int
    runs: int
    points: int
    status: dict[str, int]
    hours: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "path": str(self.path)}


def build_corpus(
    recipe: Recipe,
    dst: str | Path,
    *,
    engine: str = "serial",
    workers: int | None = None,
    device: str = "cpu",
    tasks: Sequence[str] | None = None,
    work: str | Path | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Train the networks of a recipe and write them as a corpus.

    The curves depend on the recipe alone (for one kind of processor and one version of torch), not on the engine; only
    `seconds` differ. A build that was ended at any moment goes on from the stacks that were finished.

    Args:
        recipe: What is trained; see `read_recipe`.
        dst: The corpus; an older one there is replaced when the new one is whole and valid.
        engine: ``serial``, ``ray``, or the address of a Ray cluster; see `run_pieces`.
        workers: Stacks that train at once, on Ray.
        device: Of torch, ``cpu`` or ``cuda``; the numbers depend on it.
        tasks: Names of tasks to build, all by default.
        work: Folder of finished stacks; by default ``dst`` with ``.work`` after it. It is left there.
        progress: Called with (done, total, what).

    Raises:
        DataError: If there is no such task or device, or the engine is unknown.
        CorpusError: If `dst` is something else than a corpus, or cannot be written.
    """
    dst = Path(dst).expanduser()
    refuse_unless_corpus(dst)
    folder = dst.with_name(f"{dst.name}.work") if work is None else Path(work).expanduser()
    check_device(device, here=engine == "serial")  # workers elsewhere may have what this machine lacks
    plans = _chosen(plan(recipe), tasks)
    pieces = [piece for each in plans for piece in each.pieces()]
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
        gpu = device.startswith("cuda")
        run_pieces(partial(train_stack, device=device), pieces, folder, engine, workers, progress, gpu)
    except OSError as error:
        if error.filename is None:  # of the engine
            raise
        raise CorpusError(f"{error.filename}: cannot be written ({error.strerror}); give another place") from error
    return write_built(recipe, plans, folder, dst)


def _chosen(plans: Sequence[TaskPlan], tasks: Sequence[str] | None) -> list[TaskPlan]:
    known = {p.spec.task for p in plans}
    unknown = [name for name in tasks or () if name not in known]
    if unknown:
        raise DataError(f"the recipe has no task {name_some(unknown)}; it has {name_some(sorted(known), 8)}")
    return [p for p in plans if tasks is None or p.spec.task in tasks]


def write_built(recipe: Recipe, plans: Sequence[TaskPlan], folder: Path, dst: Path) -> BuildReport:
    """Write the corpus from finished stacks, task by task."""
    status: Counter[str] = Counter()
    points, seconds = 0, 0.0
    known: set[str] = set()
    with CorpusWriter(
        dst,
        name=recipe.name,
        time_unit="epoch",
        metrics=METRICS,
        licence=recipe.licence,
        citation=recipe.citation,
        redistributable=recipe.redistributable,
        seconds=True,
        extra={"seed": recipe.seed},
    ) as writer:
        for each in plans:
            spec = each.spec
            result = assemble(each, [read_piece(folder, piece.key) for piece in each.pieces()])
            writer.add_task(
                spec.task,
                dataset=spec.dataset,
                family=spec.family,
                domain=spec.domain,
                metric=each.metric,
                source=spec.source,
                data=json.dumps(dict(spec.settings)),
                **result.meta,
            )
            for architecture in result.architectures:
                if architecture["arch"] not in known:
                    known.add(architecture["arch"])
                    writer.add_architecture(**architecture)
            writer.add_runs(spec.task, result.curves, result.seed)
            status.update(result.curves.status)
            points += len(result.curves.t)
            ends = result.curves.offsets[1:] - 1
            seconds += float(result.curves.values["seconds"][ends].sum())
    datasets, families = ({getattr(p.spec, what) for p in plans} for what in ("dataset", "family"))
    return BuildReport(
        dst, len(plans), len(datasets), len(families), status.total(), points, dict(status), seconds / 3600
    )
