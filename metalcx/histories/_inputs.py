"""What the calibration reads of a run, in units in which datasets are alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metalcx.histories._history import FloatArray
from metalcx.histories._traits import FURTHER_SKILLS, SKILLS, TRAITS, skill

#: Distance from 0 and from 1 within which differences of skill hardly count.
SOFT = 0.03

#: Traits that are read. Those of the network itself say what the curve says, where the sample is the validation part.
READ = tuple(name for name in TRAITS if name not in ("own", "own_best", "directions", "checkpoints"))
N_INPUTS = len(READ) + 4
_SKILLS = np.array([name in (*SKILLS, *FURTHER_SKILLS) for name in READ])
_COLUMNS = np.array([TRAITS.index(name) for name in READ])
CHANCE = TRAITS.index("chance")
CHECKPOINTS = TRAITS.index("checkpoints")


def stretched(skill: FloatArray) -> FloatArray:
    """Skill from 0 to 1 on a scale that is wider near both ends, symmetric about .5; below 0 counts as 0."""
    s = np.clip(skill, 0.0, 1.0)
    return np.log((s + SOFT) / (1.0 - s + SOFT))


def squeezed(z: FloatArray) -> FloatArray:
    """The skill of a stretched one, cut off at 0 and 1."""
    odds = np.exp(np.clip(z, -50.0, 50.0))
    return np.clip((odds * (1.0 + SOFT) - SOFT) / (1.0 + odds), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Lessons:
    """What became of runs with a history, n rows: a run at a cut, and its peak by a later time.

    Attributes:
        x: Inputs by `inputs_of`, shape (n, N_INPUTS).
        z: Stretched skill of the peak, shape (n,).
        family: Of datasets, shape (n,).
        task: Shape (n,).
    """

    x: FloatArray = field(repr=False)
    z: FloatArray = field(repr=False)
    family: np.ndarray = field(repr=False)
    task: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.z)

    def take(self, index: np.ndarray) -> Lessons:
        """The rows at `index`, positions or a mask."""
        return Lessons(self.x[index], self.z[index], self.family[index], self.task[index])


def inputs_of(traits: FloatArray, last: FloatArray, best: FloatArray, share: FloatArray) -> FloatArray:
    """Inputs of n runs, shape (n, N_INPUTS).

    Args:
        traits: Shape (n, len(TRAITS)).
        last: Last accuracy seen, from 0 to 1, shape (n,).
        best: Best accuracy seen.
        share: Of the time by which the peak is asked for, what is over.
    """
    chance = traits[:, CHANCE]
    read = traits[:, _COLUMNS]
    read = np.where(_SKILLS, stretched(np.where(_SKILLS, read, 0.0)), read)
    curve = [stretched(skill(value, chance)) for value in (last, best)]
    return np.column_stack([*curve, np.log(np.clip(share, 1e-3, 1.0)), traits[:, CHECKPOINTS], read])
