"""How architectures are ranked from few labels: learned encoders, pre-trained or not, and tables without learning."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metalcx import hub
from metalcx.bench._encoder_spaces import Space, Split, Table
from metalcx.encoders import (
    CountTable,
    EncoderConfig,
    FinetuneConfig,
    GraphBatch,
    GraphEncoder,
    Labelled,
    PretrainConfig,
    finetune,
    known_proxy,
    new_encoder,
    pretrain,
)
from metalcx.encoders._pretrain import Progress

FloatArray = npt.NDArray[np.float64]

KINDS = ("gin", "gated-gcn", "flow")
LESSONS = ("none", "proxy", "flow", "both")

#: Rows without a learned encoder: the proxy itself; trees on the counts; trees on surrogate, counts and proxy.
TABLES = ("proxy", "counts", "surrogate")
METHODS = (*TABLES, *(f"{kind}/{lesson}" for kind in KINDS for lesson in LESSONS))


@dataclass(frozen=True)
class Effort:
    """How much training a comparison is worth.

    Args:
        pretrain: Settings of pre-training; the task and the seed are set for each row.
        finetune: Settings of fine-tuning; the seed is set for each run.
        hidden: Width of the encoders.
        inductive: Whether pre-training sees only half of the graphs, those with labels among them, instead of all.
    """

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    hidden: int = 128
    inductive: bool = False


def pretrained(
    space: Space,
    method: str,
    effort: Effort,
    seed: int,
    folder: Path,
    seen: npt.NDArray[np.int64],
    progress: Progress | None,
) -> GraphEncoder | None:
    """The encoder of a row, from its folder if it is there; None for rows that have none.

    Args:
        space: The space.
        method: One of `METHODS`.
        effort: Settings.
        seed: Of weights and pre-training.
        folder: Where it is kept; a training that was killed goes on from there.
        seen: Numbers of the graphs that pre-training sees.
        progress: Called with (done, total, note).
    """
    if method in TABLES:
        return None
    kind, lesson = method.split("/")
    encoder = new_encoder(EncoderConfig(kind, effort.hidden), seed)
    if lesson == "none":
        return encoder
    if folder.exists():
        return hub.load_encoder(folder)
    # Of graphs that are alike one is enough.
    _, first = np.unique(space.alike[seen], return_index=True)
    batch = space.batch.take(seen[first])
    name, proxy = known_proxy(batch)
    if name is None and lesson == "proxy":
        return None
    config = replace(effort.pretrain, task=lesson, seed=seed)
    checkpoint = folder.with_name(f"{folder.name}.safetensors")
    pretrain(encoder, batch, config, proxy=proxy, checkpoint=checkpoint, progress=progress)
    hub.save_encoder(encoder, folder, name=folder.name)
    checkpoint.unlink(missing_ok=True)
    return encoder


def scores(
    space: Space, table: Table, parts: Split, method: str, encoder: GraphEncoder | None, effort: Effort, seed: int
) -> FloatArray:
    """Scores of the test architectures after learning from those with a label; the higher, the better."""
    batch = space.batch.take(table.rows)
    train, valid = (Labelled(batch.take(part), table.values[part]) for part in parts[:2])
    if encoder is not None:
        ranker = finetune(encoder, train, valid, replace(effort.finetune, seed=seed))
        return ranker.score(batch.take(parts.test))
    if method == "proxy":
        return known_proxy(batch)[1][parts.test]
    return _trees(features(batch, method, effort), table.values, parts, seed)


def features(batch: GraphBatch, method: str, effort: Effort) -> FloatArray:
    """Inputs of the trees, shape (architectures, columns)."""
    counts = CountTable(tuple(sorted(set(batch.words)))).encode(batch)
    if method == "counts":
        return counts.astype(np.float64)
    proxy = np.log1p(np.nan_to_num(known_proxy(batch)[1]))
    return np.column_stack([counts, effort.pretrain.surrogate(batch), proxy]).astype(np.float64)


def _trees(x: FloatArray, y: FloatArray, parts: Split, seed: int) -> FloatArray:
    """Extremely randomised trees; what would choose an epoch is learned from as well."""
    from sklearn.ensemble import ExtraTreesRegressor

    known = np.concatenate([parts.train, parts.valid])
    model = ExtraTreesRegressor(300, min_samples_leaf=2, random_state=seed).fit(x[known], y[known])
    return np.asarray(model.predict(x[parts.test]))


def measures(score: FloatArray, values: FloatArray) -> dict[str, float]:
    """Kendall's tau-b, Spearman's rho, and the share of the predicted top 1, 5, 10 % that is truly there."""
    from scipy.stats import kendalltau, spearmanr

    with np.errstate(all="ignore"):
        found = {"tau": kendalltau(score, values).statistic, "rho": spearmanr(score, values).statistic}
    for percent in (1, 5, 10):
        found[f"p@{percent}%"] = precision(score, values, percent / 100)
    return {name: float(value) for name, value in found.items()}


def precision(score: FloatArray, values: FloatArray, share: float) -> float:
    """Of the `share` with the highest scores, how many are among as many with the highest values.

    Ties are broken at random, in each by itself, so that an order of the rows helps nobody.
    """
    n, random = max(1, round(share * len(values))), np.random.default_rng(0)
    top, true = (np.lexsort((random.random(len(v)), -v))[:n] for v in (score, values))
    return len(np.intersect1d(top, true)) / n
