"""The rows of the encoder benchmark, by name: which encoder, pre-trained on what, or which regression without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from metalcx.encoders import FinetuneConfig, PretrainConfig
from metalcx.errors import DataError, name_some

KINDS = ("gin", "gated-gcn", "flow")
LESSONS = ("none", "proxy", "flow", "both")
#: The surrogate and several proxies at once.
MANY = "many"
#: After the name of an encoder or of inputs: several proxies are read beside the rest.
BESIDE = "+proxies"
#: After the name of an encoder: several rankers, by folds of the labels and of what would validate.
ENSEMBLE = "+ensemble"

#: The encoder that ships with metalcx, and what it is compared with: one of its kind that has learned nothing.
SHIPPED, SHIPPED_KIND = "metalcx-encoder", "gated-gcn"

#: What pre-training sees: all graphs of the space, half of them, or those of all spaces.
OWN, HALF, ALL = "own", "half", "all"
#: The zero-cost proxy as it is.
PROXY = "proxy"


class Row(NamedTuple):
    """A row's name taken apart: ``kind/lesson@pool`` of an encoder, or ``features/model`` of a regression.

    Attributes:
        kind: Of the encoder, or the inputs of the regression.
        lesson: What the encoder has learned before, or the regression.
        pool: What graphs the encoder has seen.
        beside: Whether several proxies are read beside.
        ensemble: Whether several rankers learn by folds.
    """

    kind: str
    lesson: str
    pool: str = OWN
    beside: bool = False
    ensemble: bool = False

    @classmethod
    def parse(cls, name: str) -> Row:
        """The row of this name."""
        before, _, pool = name.partition("@")
        kind, _, lesson = before.partition("/")
        alone = kind.removesuffix(ENSEMBLE)
        return cls(alone.removesuffix(BESIDE), lesson, pool or OWN, alone.endswith(BESIDE), kind.endswith(ENSEMBLE))

    @property
    def learned(self) -> bool:
        """Whether there is an encoder."""
        return self.kind in (*KINDS, SHIPPED)

    @property
    def pretrained(self) -> bool:
        """Whether the encoder sees graphs before, here."""
        return self.kind in KINDS and self.lesson != "none"

    @property
    def task(self) -> str:
        """What pre-training is asked for."""
        return "both" if self.lesson == MANY else self.lesson

    @property
    def plain(self) -> str:
        """The same row of an encoder that has learned nothing."""
        kind = SHIPPED_KIND if self.kind == SHIPPED else self.kind
        return f"{kind}{BESIDE if self.beside else ''}{ENSEMBLE if self.ensemble else ''}/none"

    @property
    def needs_proxy(self) -> bool:
        """Whether there is no such row without a zero-cost proxy."""
        return self.beside or self.kind == PROXY or (self.learned and self.lesson in ("proxy", "both", MANY))


FEATURES = ("counts", "surrogate", "surrogate+counts")
WITH_PROXIES = ("surrogate+counts+proxies",)
MODELS = ("trees", "ridge", "gp")

#: Rows without a learned encoder.
TABLES = (PROXY, *(f"{features}/{model}" for features in FEATURES for model in MODELS))
ENCODERS = tuple(f"{kind}/{lesson}" for kind in KINDS for lesson in LESSONS)

#: The protocol's rows, and those that are measured by name only.
METHODS = (*TABLES, *ENCODERS)
_FURTHER = (
    *(f"{features}/{model}" for features in WITH_PROXIES for model in MODELS),
    *(f"{kind}/{MANY}" for kind in KINDS),
    *(f"{SHIPPED}{how}" for how in ("", BESIDE, ENSEMBLE, BESIDE + ENSEMBLE)),
    *(
        f"{kind}{how}/{lesson}"
        for kind in KINDS
        for how in (BESIDE, ENSEMBLE, BESIDE + ENSEMBLE)
        for lesson in (*LESSONS, MANY)
    ),
)
ON_REQUEST = (
    *_FURTHER,
    *(f"{row}@{pool}" for pool in (HALF, ALL) for row in (*ENCODERS, *_FURTHER) if Row.parse(row).pretrained),
)

#: Across datasets: what the same architectures reached on the others, looked up; not what an encoder can know.
LOOKUP = "lookup"
ACROSS = (LOOKUP, *(f"{features}/{model}" for features in FEATURES for model in ("trees", "ridge")), *ENCODERS)


@dataclass(frozen=True)
class Effort:
    """How much training a comparison is worth, and on which device.

    Args:
        pretrain: Settings of pre-training; the task and the seed are set for each row.
        finetune: Settings of fine-tuning, by default no more steps than 78 labels take; the seed is set for each run.
        hidden: Width of the encoders.
        sources: Across datasets, labelled architectures that are learned from on each other dataset.
        source_epochs: Passes over them.
        source_batch: Of them in a step, all of one dataset.
        device: Of torch.
    """

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(most_steps=1000))
    hidden: int = 128
    sources: int = 1000
    source_epochs: int = 20
    source_batch: int = 64
    device: str = "cpu"


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
