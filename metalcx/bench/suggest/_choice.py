"""Which design searches a target: the one that searched its source tasks best, each with the others as its sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metalcx.bench.suggest._searchers import VARIANTS, Chosen
from metalcx.curves._batch import FloatArray
from metalcx.decide import suggest
from metalcx.transfer import Posterior, PriorFitter

#: Candidates of a source task that are searched, evaluations, and source families, at most.
CANDIDATES, STEPS, FAMILIES = 5000, 60, 8


def chosen_for(fitter: PriorFitter, without: Sequence[str], seed: int = 0) -> tuple[Chosen, dict[str, float]]:
    """The design for targets of some families, and what each design lost on the source tasks.

    Args:
        fitter: Of the corpus.
        without: Families of the targets; none of their results is looked at.
        seed: Of the draws.

    Returns:
        The choice, and by variant the mean log number of evaluations until the best hundredth and thousandth of a
        source task was found.
    """
    trust = fitter.trust(without)
    tasks = [task for task in fitter.sources.tasks if task.family not in without]
    families = sorted({task.family for task in tasks})
    if len(families) < 2:
        return Chosen(trust, *VARIANTS[1]), {}
    random = np.random.default_rng([seed, 11])
    lost: dict[tuple[str, float], list[float]] = {variant: [] for variant in VARIANTS}
    for family in random.permutation(families)[:FAMILIES]:
        task = tasks[random.choice([i for i, task in enumerate(tasks) if task.family == family])]
        part = random.permutation(len(task.rows))[:CANDIDATES]
        for design, explore in VARIANTS:
            belief = fitter.belief(task.rows[part], [*without, family], trust, design, seed)
            found = _searched(belief, task.score[part], explore, seed)
            lost[design, explore].append(_loss(found, task.score[part]))
    mean = {variant: float(np.mean(losses)) for variant, losses in lost.items()}
    best = min(VARIANTS, key=lambda variant: mean[variant])
    return Chosen(trust, *best), {f"{design}/{explore:g}": loss for (design, explore), loss in mean.items()}


def _searched(belief: Posterior, values: FloatArray, explore: float, seed: int) -> FloatArray:
    """Values in the order in which they were found."""
    found = []
    for _ in range(min(STEPS, len(values))):
        row = suggest(belief, explore=explore, seed=seed)[0].row
        found.append(values[row])
        belief.tell(row, float(values[row]))
    return np.array(found)


def _loss(found: FloatArray, values: FloatArray) -> float:
    """Mean log number of evaluations until the best hundredth and thousandth; twice `STEPS` where not found."""
    ordered = np.sort(values)[::-1]
    losses = []
    for share in (0.01, 0.001):
        hits = np.flatnonzero(found >= ordered[max(int(share * len(values)), 1) - 1])
        losses.append(np.log(hits[0] + 1 if len(hits) else 2 * STEPS))
    return float(np.mean(losses))
