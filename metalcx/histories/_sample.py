"""The fixed sample on which features are kept: examples of the training and of the validation part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metalcx.errors import DataError
from metalcx.histories._history import refuse_one_class

#: What evaluating an example costs beside training on it, at most: a small network's pass forward is most of a step.
EVALUATED = 0.8

#: Bytes of input of one call: layers make several times as many of them, which should stay in the cache.
CACHE = 2**18


@dataclass(frozen=True)
class FixedSample:
    """Examples chosen before training starts, the same at every checkpoint and for every model that is compared.

    Attributes:
        inputs: What the model is called with: a tensor, a mapping of keyword arguments, or a sequence of positional
            ones; all tensors have n rows, those of the training part first. Without augmentation.
        labels: Classes from 0, int64 of shape (n,).
        n_train: How many rows are of the training part.

    Raises:
        DataError: If rows disagree, a part has none, or that of training holds one class only.
    """

    inputs: Any = field(repr=False)
    labels: Tensor = field(repr=False)
    n_train: int

    def __post_init__(self) -> None:
        n = len(self.labels)
        rows = {len(part) for part in _tensors(self.inputs)}
        if rows != {n}:
            raise DataError(f"the sample has {n} labels, but inputs of {sorted(rows)} rows; give one label a row")
        if not 0 < self.n_train < n:
            raise DataError(
                f"n_train is {self.n_train} of {n} rows; the sample needs rows of training and of validation"
            )
        if self.labels.ndim != 1 or self.labels.is_floating_point() or int(self.labels.min()) < 0:
            raise DataError("labels of the sample are class numbers from 0, one a row")
        refuse_one_class(self.labels[: self.n_train])

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def draw(
        cls, train: Any, val: Any, n_train: int = 512, n_val: int = 512, seed: int = 0, epochs: int | None = None
    ) -> FixedSample:
        """Draw from two datasets whose items are ``(input, label)``, or mappings with ``labels`` among their keys.

        Args:
            train: A map-style dataset, of the data that the model learns from, as it looks in evaluation.
            val: Likewise, of the data on which its accuracy is measured.
            n_train: Rows of the training part; all where there are not as many.
            n_val: Rows of the validation part; all where there are not as many.
            seed: Of the draw; the same for all models that are compared.
            epochs: Of the whole training; where given, the sample is no larger than `affordable`, both parts alike.
        """
        from torch.utils.data import default_collate

        if epochs is not None:
            half = max(1, cls.affordable(len(train), epochs) // 2)
            n_train, n_val = min(n_train, half), min(n_val, half)
        items = []
        for part, (data, n) in enumerate(((train, n_train), (val, n_val))):
            rows = np.random.default_rng([seed, part]).permutation(len(data))[:n]
            items += [data[int(row)] for row in np.sort(rows)]
        joined = default_collate(items)
        n = min(n_train, len(train))
        if isinstance(joined, Mapping):
            return cls({k: v for k, v in joined.items() if k != "labels"}, joined["labels"], n)
        return cls(joined[0], joined[1], n)

    @staticmethod
    def affordable(n_train: int, epochs: int, checkpoints: int = 7, share: float = 0.05) -> int:
        """Rows of a sample, both parts together, whose recording stays below a share of the time of training.

        What counts is how often the network is called: a sample of the usual size is dear beside a small training set.

        Args:
            n_train: Examples of an epoch.
            epochs: Of the whole training.
            checkpoints: How many are recorded.
            share: Of the time of training.
        """
        return max(2, int(share * epochs * n_train / (checkpoints * EVALUATED)))

    def batch(self, start: int, stop: int, device: torch.device) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of one call of the model."""
        if isinstance(self.inputs, Mapping):
            return (), {name: part[start:stop].to(device) for name, part in self.inputs.items()}
        return tuple(part[start:stop].to(device) for part in _tensors(self.inputs)), {}

    def cached_rows(self) -> int:
        """How many rows of input a processor's cache holds, about, with what a network makes of them: 64 to 512."""
        row = sum(part[0].nbytes for part in _tensors(self.inputs))
        return min(512, max(64, CACHE // max(row, 1)))

    def fingerprint(self) -> str:
        """Tells samples apart."""
        digest = hashlib.sha256(f"{self.n_train}".encode())
        for part in (*_tensors(self.inputs), self.labels):
            digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _tensors(inputs: Any) -> list[Tensor]:
    if isinstance(inputs, Tensor):
        return [inputs]
    parts = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    if not isinstance(parts, Sequence) or not parts or not all(isinstance(part, Tensor) for part in parts):
        raise DataError("inputs of the sample are a tensor, a mapping of tensors or a sequence of them")
    return list(parts)
