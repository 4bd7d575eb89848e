"""Priors of several kinds of candidates in one model, and which of them speaks of some candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from metalcx.errors import DataError, ModelError, name_some
from metalcx.transfer._candidates import Candidates
from metalcx.transfer._prior import Prior

#: A prior that knows less than this share of what candidates differ in is not asked.
COVERED = 0.5


@dataclass(frozen=True, eq=False)
class TransferModel:
    """What held on source datasets, by kind of candidate; what `metalcx suggest` opens.

    Args:
        priors: One for each corpus.
        encoder: Name or folder of the encoder whose embeddings they read, or None.
        encoder_sha256: Its fingerprint: with another, features would mean something else.
    """

    priors: tuple[Prior, ...]
    encoder: str | None = None
    encoder_sha256: str | None = None

    def prior_for(self, candidates: Candidates) -> Prior:
        """The prior that knows most of what these candidates differ in.

        Raises:
            DataError: If none knows half of it.
        """
        shares = [prior.covers(candidates) for prior in self.priors]
        best = max(range(len(shares)), key=shares.__getitem__)
        if shares[best] < COVERED:
            raise DataError(
                f"the candidates differ in operations or hyperparameters of which the model's sources "
                f"({name_some([prior.name for prior in self.priors])}) know {100 * shares[best]:.0f} %; fit a prior on "
                "a corpus of candidates like them with `metalcx fit-prior`"
            )
        return self.priors[best]

    def config_dict(self) -> dict[str, Any]:
        """JSON values."""
        priors = [prior.config_dict() for prior in self.priors]
        return {"priors": priors, "encoder": self.encoder, "encoder_sha256": self.encoder_sha256}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays; those of prior i begin with ``i.``."""
        return {f"{i}.{name}": array for i, prior in enumerate(self.priors) for name, array in prior.tensors().items()}

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> TransferModel:
        """The model of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If it holds no prior.
        """
        known: Sequence[dict[str, Any]] = config["priors"]
        if not known:
            raise ModelError("the model holds no prior; fit it again")
        parts = [
            {name.removeprefix(f"{i}."): array for name, array in tensors.items() if name.startswith(f"{i}.")}
            for i in range(len(known))
        ]
        priors = tuple(Prior.build(one, part) for one, part in zip(known, parts, strict=True))
        return cls(priors, config["encoder"], config["encoder_sha256"])
