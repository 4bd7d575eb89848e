"""Why a candidate is suggested, in words: what it is like, how it did elsewhere, how little is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.decide._suggest import Choice
from metalcx.protocol import FloatArray

#: Characteristics that are named, and sources.
MOST = 3

#: By how many standard deviations from the mean a candidate is, at least, to be called high or low in something.
APART = 0.25

#: An interval of four fifths, in standard deviations.
FOUR_FIFTHS = 1.2816

#: Results on the target from which on sources are compared with it.
ENOUGH = 5


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n candidates beside what is expected of them.

    Attributes:
        names: p characteristics.
        effect: Of each on datasets in general, shape (p,).
        sure: Whether its interval leaves out 0, shape (p,).
        same_sign: Share of source families on which it has the same sign, shape (p,).
        families: Number of source families that tell of it, shape (p,).
        value: Standardised characteristics, shape (n, p).
        sources: k source tasks.
        elsewhere: Normal scores of the candidates there, NaN where they were not tried, shape (n, k).
        likeness: Rank correlation of what each source makes one expect with what was found on the target, shape (k,);
            None while too little was.
    """

    names: Sequence[str]
    effect: FloatArray
    sure: npt.NDArray[np.bool_]
    same_sign: FloatArray
    families: npt.NDArray[np.int64]
    value: FloatArray
    sources: Sequence[str]
    elsewhere: FloatArray
    likeness: FloatArray | None = None

    def why(self, choice: Choice) -> list[str]:
        """Reasons for a choice, each a phrase."""
        said = [self._strong(choice.row), self._tried(choice.row), self._alike(choice.row), _unsure(choice)]
        return [text for text in said if text]

    def _strong(self, row: int) -> str:
        """Characteristics that were strong elsewhere, and, if there is any, the one that most was not."""
        gain = np.nan_to_num(np.where(self.sure, self.effect * self.value[row], 0.0))
        gain = np.where(np.abs(self.value[row]) >= APART, gain, 0.0)
        order = np.argsort(-gain, kind="stable")
        good = [self._named(int(i), row) for i in order[:MOST] if gain[i] > 0]
        bad = [self._named(int(i), row) for i in order[::-1][:1] if gain[i] < 0]
        texts = [f"strong elsewhere: {'; '.join(good)}"] if good else []
        return ", ".join(texts + ([f"but weak elsewhere: {bad[0]}"] if bad else []))

    def _named(self, i: int, row: int) -> str:
        level = "high" if self.value[row, i] > 0 else "low"
        n = int(self.families[i])
        return f"{level} {self.names[i]} ({self.effect[i]:+.2f}, same sign on {round(self.same_sign[i] * n)} of {n})"

    def _tried(self, row: int) -> str:
        known = np.flatnonzero(np.isfinite(self.elsewhere[row]))
        if not len(known):
            return "not tried on any source dataset"
        best = known[np.argsort(-self.elsewhere[row, known], kind="stable")][:MOST]
        places = ", ".join(f"{self.sources[i]} (best {_share(self.elsewhere[row, i])})" for i in best)
        middle = _share(float(np.median(self.elsewhere[row, known])))
        return f"tried on {len(known)} source datasets, there among the best {middle} (median); highest on {places}"

    def _alike(self, row: int) -> str:
        """How it did where candidates do as they do here."""
        known = np.isfinite(self.elsewhere[row])
        if self.likeness is None or not (known & (self.likeness > 0)).any():
            return ""
        i = int(np.argmax(np.where(known, self.likeness, -np.inf)))
        like = f"{self.sources[i]}, which orders what was tried here most alike (tau {self.likeness[i]:.2f})"
        return f"on {like}, best {_share(self.elsewhere[row, i])}"


def _unsure(choice: Choice) -> str:
    low, high = (_share(choice.mean + sign * FOUR_FIFTHS * choice.spread) for sign in (1, -1))
    why = "chosen to explore; " if choice.explores else ""
    return f"{why}expected among the best {_share(choice.mean)}, with four fifths between {low} and {high}"


def _share(score: float) -> str:
    """The share of candidates above a normal score."""
    from scipy.special import ndtr

    share = 100 * float(ndtr(-score))
    return f"{share:.1g} %" if share < 1 else f"{share:.0f} %"
