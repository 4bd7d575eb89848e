"""All processes that make data, and the three parts of one draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from metalcx.corpora.build._processes_base import Process
from metalcx.corpora.build._processes_classes import CLASSES
from metalcx.corpora.build._processes_images import IMAGES
from metalcx.corpora.build._processes_scores import SCORES
from metalcx.corpora.build._processes_sequences import SEQUENCES
from metalcx.corpora.build._raw import Raw, Settings, Sizes

__all__ = ["POOL", "PROCESSES", "drawn", "family_of"]

PROCESSES: dict[str, Process] = {**SCORES, **CLASSES, **IMAGES, **SEQUENCES}

# Rows that every draw makes, of which a task takes the first: so a smaller part is part of a larger one.
POOL = Sizes(1024, 512, 512)


def drawn(source: str, settings: Settings, sizes: Sizes, seed: int) -> Raw:
    """The parts of the draw that `seed` names; each has a stream of its own, so that none depends on another's size.

    Args:
        source: Name of the process.
        settings: All settings of its structure and sizes, and `task`.
        sizes: Rows of each part, within `POOL`.
        seed: Names the draw.
    """
    sample = PROCESSES[source].draw(np.random.default_rng([seed, 0]), settings)
    parts = [sample(np.random.default_rng([seed, 1 + i]), pool, i == 0) for i, pool in enumerate(POOL)]
    (train, val, test), (y_train, y_val, y_test) = zip(*parts, strict=True)
    return Raw(
        (train[: sizes.train], val[: sizes.val], test[: sizes.test]),
        (y_train[: sizes.train], y_val[: sizes.val], y_test[: sizes.test]),
        0 if settings["task"] == "regression" else _n_classes(settings),
    )


def _n_classes(settings: Settings) -> int:
    # Where the structure fixes the classes, no setting does: arms of spirals, two for what is right or wrong.
    return int(settings.get("n_classes", settings.get("arms", 2)))


def family_of(source: str, settings: Settings) -> str:
    """The process and its structure: ``gen-trees-depth6-n-trees1``."""
    return "-".join(["gen", source, *(_spelled(key, settings[key]) for key in sorted(PROCESSES[source].structure))])


def _spelled(key: str, value: Any) -> str:
    """A setting as part of a name: a word as it is, a number after its key."""
    return value if isinstance(value, str) else f"{key.replace('_', '-')}{value}"
