"""Ways to search a pool: by chance, evolution, locally, by a model of it alone, and by what held elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from metalcx.bench.suggest._pools import Pool
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.decide import suggest
from metalcx.transfer import DESIGNS, Posterior, Trust, normal_scores, quantiles_of

#: Evaluations after which a search by a model ends, and one without.
MODELLED, PLAIN = 200, 2000

#: The last evaluation after which regret is told, so that no search ends before.
LAST = 200

#: Random evaluations before the first model of a target alone.
START = 10

#: Of regularised evolution: those alive, and those of whom the best has a child.
POPULATION, SAMPLE = 20, 5

#: Trees, and by how much what is known grows before they are grown again.
TREES, GROWTH = 30, 1.3

#: Shares of noise that are tried for a model of a target alone.
NOISES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


class Ended(Exception):  # noqa: N818 - no error
    """No more evaluations."""


class Oracle:
    """Reveals finals one after another, and keeps the order.

    Args:
        values: Of the pool, shape (n,).
        budget: Evaluations at most.
        enough: A value at or above which the search ends, once `LAST` were made.
    """

    def __init__(self, values: FloatArray, budget: int, enough: float) -> None:
        self.values, self.budget, self.enough = values, min(budget, len(values)), enough
        self.order: list[int] = []
        self.seen = np.zeros(len(values), dtype=bool)
        self.best = -np.inf

    def __call__(self, row: int) -> float:
        """The final of a candidate.

        Raises:
            Ended: If with it the budget is spent, or enough was found.
        """
        self.order.append(int(row))
        self.seen[row] = True
        value = float(self.values[row])
        self.best = max(self.best, value)
        if len(self.order) >= self.budget or (len(self.order) >= LAST and self.best >= self.enough):
            raise Ended
        return value


@dataclass(frozen=True)
class Chosen:
    """What was chosen for a target on its source tasks.

    Attributes:
        trust: How far the sources are trusted.
        design: How results correct them.
        explore: Share of choices for what is unknown.
    """

    trust: Trust
    design: str
    explore: float


#: A search of a pool; it ends by `Ended`. `Chosen` is of the rows that look at sources only.
Search = Callable[[Pool, Oracle, int, Chosen], None]


def at_random(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """In any order."""
    for row in np.random.default_rng([seed, 1]).permutation(len(pool)):
        ask(int(row))


def evolution(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """Regularised evolution (Real et al. 2019): the oldest dies, a changed copy of the best of a sample joins.

    A child that was evaluated before is drawn again among what is left, so that no evaluation is wasted.
    """
    random = np.random.default_rng([seed, 2])
    alive = [(int(row), ask(int(row))) for row in random.permutation(len(pool))[:POPULATION]]
    while True:
        sample = [alive[i] for i in random.choice(len(alive), min(SAMPLE, len(alive)), replace=False)]
        parent = max(sample, key=lambda one: one[1])[0]
        child = _unseen(pool.neighbours[parent], ask, random)
        alive = [*alive[1:], (child, ask(child))]


def local(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """Local search (White et al. 2021): all neighbours, then the best of them; anew where none is better."""
    random = np.random.default_rng([seed, 3])
    known: dict[int, float] = {}

    def value(row: int) -> float:
        if row not in known:
            known[row] = ask(row)
        return known[row]

    while True:
        here = _unseen(np.zeros(0, dtype=np.int64), ask, random)
        better = True
        value(here)
        while better:
            near = [int(row) for row in random.permutation(pool.neighbours[here])]
            best = max(near, key=value, default=here)
            better = known.get(best, -np.inf) > known[here]
            here = best if better else here


def _unseen(wanted: IntArray, ask: Oracle, random: np.random.Generator) -> int:
    """One of those wanted that was not asked for, else any other."""
    left = wanted[~ask.seen[wanted]]
    if not len(left):
        left = np.flatnonzero(~ask.seen)
    if not len(left):
        raise Ended
    return int(random.choice(left))


def alone(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """The same Gaussian process over the same features without sources; its noise by likelihood, now and then."""
    features = pool.fitter.fits.features[pool.rows]
    features = features / np.sqrt(np.square(features).sum(1).mean())
    known = [(int(row), ask(int(row))) for row in np.random.default_rng([seed, 1]).permutation(len(pool))[:START]]
    while True:
        noise = _likeliest_noise(features, known)
        belief = Posterior(np.zeros(len(pool)), features * np.float32(np.sqrt(1 - noise)), noise)
        for row, value in known:
            belief.tell(row, value)
        for _step in range(len(known)):
            row = suggest(belief, seed=seed)[0].row
            known.append((row, ask(row)))
            belief.tell(*known[-1])


def _likeliest_noise(features: FloatArray, known: list[tuple[int, float]]) -> float:
    from scipy.stats import multivariate_normal

    rows = [row for row, _ in known]
    kernel = features[rows].astype(np.float64) @ features[rows].T
    score = quantiles_of(np.array([value for _, value in known]), np.zeros(len(rows)), np.ones(len(rows)))
    likely = [
        multivariate_normal.logpdf(score, cov=(1 - noise) * kernel + noise * np.eye(len(rows))) for noise in NOISES
    ]
    return NOISES[int(np.argmax(likely))]


def trees(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """Extremely randomised trees on characteristics of the target alone; expected improvement over their spread."""
    from sklearn.ensemble import ExtraTreesRegressor

    from metalcx.decide import expected_improvement

    order = [int(row) for row in np.random.default_rng([seed, 1]).permutation(len(pool))[:START]]
    values = [ask(row) for row in order]
    while True:
        score = normal_scores(values)
        grown = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=seed).fit(pool.x[order], score)
        said = np.stack([tree.predict(pool.x) for tree in grown.estimators_])
        gain = expected_improvement(said.mean(0), np.maximum(said.std(0), 1e-6), float(score.max()))
        gain[order] = -np.inf
        for row in np.argsort(-gain, kind="stable")[: max(1, round((GROWTH - 1) * len(order)))]:
            order.append(int(row))
            values.append(ask(int(row)))


def mean_rank(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """By the mean normal score that the very same candidate reached on the sources; unknown ones last."""
    known = np.isfinite(pool.elsewhere)
    mean = np.where(known, pool.elsewhere, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    _in_order(np.where(known.any(1), mean, -np.inf), ask, seed)


def source_trees(pool: Pool, ask: Oracle, seed: int, _: Chosen) -> None:
    """By boosted trees that learned from the sources, by characteristics; the target's results are not looked at."""
    _in_order(pool.by_trees, ask, seed)


def _in_order(score: FloatArray, ask: Oracle, seed: int) -> None:
    """The highest first; a draw decides between equals."""
    for row in np.lexsort((np.random.default_rng([seed, 4]).random(len(score)), -score)):
        ask(int(row))


def transferred(pool: Pool, ask: Oracle, seed: int, chosen: Chosen) -> None:
    """What `metalcx suggest` does: the sources as a prior, corrected by every result."""
    belief = pool.fitter.belief(pool.rows, pool.without, chosen.trust, chosen.design, seed)
    while True:
        row = suggest(belief, explore=chosen.explore, seed=seed)[0].row
        belief.tell(row, ask(row))


@dataclass(frozen=True)
class Method:
    """A row of the benchmark.

    Attributes:
        search: What it does.
        budget: Evaluations at most.
        needs_sources: Whether candidates must have been tried on sources.
        chosen: Design and share of exploring; None where they are chosen on the sources, or there are none.
        slow: Whether it has fewer seeds in large pools.
    """

    search: Search
    budget: int
    needs_sources: bool = False
    chosen: tuple[str, float] | None = None
    slow: bool = False


#: Rows, the cheap ones first.
METHODS: dict[str, Method] = {
    "random": Method(at_random, PLAIN),
    "evolution": Method(evolution, PLAIN),
    "local search": Method(local, PLAIN),
    "mean rank over sources": Method(mean_rank, PLAIN, needs_sources=True),
    "trees on sources": Method(source_trees, PLAIN),
    "suggest": Method(transferred, MODELLED, slow=True),
    "no transfer": Method(alone, MODELLED, slow=True),
    "trees": Method(trees, MODELLED, slow=True),
}

#: Designs among which `suggest` is chosen, each a row of its own on request.
VARIANTS = tuple((design, explore) for design in DESIGNS for explore in (0.0, 0.1))
ON_REQUEST: dict[str, Method] = {
    f"suggest/{design}/{explore:g}": Method(transferred, MODELLED, chosen=(design, explore), slow=True)
    for design, explore in VARIANTS
}
