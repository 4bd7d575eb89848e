"""The rows of the encoder benchmark, by name: which encoder, pre-trained on what, or which regression without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from metalcx.encoders import FinetuneConfig, PretrainConfig
from metalcx.errors import DataError, name_some

KINDS = ("gin", "gated-gcn", "flow")
LESSONS = ("none", "proxy", "flow", "both")

#: What pre-training sees: all graphs of the space, half of them, or those of all spaces.
OWN, HALF, ALL = "own", "half", "all"

FEATURES = ("counts", "surrogate", "surrogate+counts")
MODELS = ("trees", "ridge", "gp")

#: Rows without a learned encoder: the zero-cost proxy as it is, and regressions on tables.
PROXY = "proxy"
TABLES = (PROXY, *(f"{features}/{model}" for features in FEATURES for model in MODELS))
ENCODERS = tuple(f"{kind}/{lesson}" for kind in KINDS for lesson in LESSONS)

#: The protocol's rows, and those that are measured by name only.
METHODS = (*TABLES, *ENCODERS)
ON_REQUEST = tuple(f"{row}@{pool}" for pool in (HALF, ALL) for row in ENCODERS if not row.endswith("/none"))

#: Across datasets: what the same architectures reached on the others, looked up; not what an encoder can know.
LOOKUP = "lookup"
ACROSS = (LOOKUP, *(f"{features}/{model}" for features in FEATURES for model in ("trees", "ridge")), *ENCODERS)


class Row(NamedTuple):
    """A row's name taken apart: ``kind/lesson@pool`` of an encoder, or ``features/model`` of a regression."""

    kind: str
    lesson: str
    pool: str = OWN

    @classmethod
    def parse(cls, name: str) -> Row:
        """The row of this name."""
        before, _, pool = name.partition("@")
        kind, _, lesson = before.partition("/")
        return cls(kind, lesson, pool or OWN)

    @property
    def learned(self) -> bool:
        """Whether there is an encoder."""
        return self.kind in KINDS

    @property
    def pretrained(self) -> bool:
        """Whether the encoder has seen graphs before."""
        return self.learned and self.lesson != "none"


@dataclass(frozen=True)
class Effort:
    """How much training a comparison is worth.

    Args:
        pretrain: Settings of pre-training; the task and the seed are set for each row.
        finetune: Settings of fine-tuning, by default those published for NAS-Bench-201; the seed is set for each run.
        hidden: Width of the encoders.
        sources: Across datasets, labelled architectures that are learned from on each other dataset.
        source_epochs: Passes over them.
        source_batch: Of them in a step, all of one dataset.
    """

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(epochs=500))
    hidden: int = 128
    sources: int = 1000
    source_epochs: int = 20
    source_batch: int = 64


def chosen(names: Iterable[str] | None, default: tuple[str, ...], others: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The rows asked for, or the default ones.

    Raises:
        DataError: If there is no such row.
    """
    found = tuple(dict.fromkeys(names or default))
    unknown = [name for name in found if name not in (*default, *others)]
    if unknown:
        more = f"; {others[0]} and the like" if others else ""
        raise DataError(f"no row is called {name_some(unknown)}; there is {', '.join(default)}{more}")
    return found
