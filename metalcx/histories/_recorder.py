"""Keeps the features of a fixed sample at early checkpoints of an ordinary training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metalcx.errors import DataError
from metalcx.histories._history import History
from metalcx.histories._layer import as_logits, last_linear, named_layer
from metalcx.histories._sample import FixedSample
from metalcx.histories._store import CheckpointStore, halved

#: Bytes of all checkpoints together above which they are kept on disk.
MEMORY = 64 * 2**20


class FeatureRecorder:
    """Records the input of a classifier's last linear layer, and its class scores, on a fixed sample.

    Call `record` when an early epoch has ended, in a plain loop or in the callback of a host; nothing is hooked in
    between, so that training steps cost what they cost without it. Recording leaves the model as it was: its train or
    eval mode (module by module), its gradients, and torch's random streams.

    Args:
        model: Any classifier; what it returns has class scores of shape (n, classes), see `as_logits`.
        sample: The fixed sample.
        layer: Name of the layer whose input are the features; by default the linear layer that is used last.
        width: Features of more dimensions are projected at random to this many, by the same directions at every
            checkpoint.
        checkpoints: How many are kept; `record` does nothing once there are as many.
        memory: Bytes of all checkpoints together above which they go to disk, one safetensors file each.
        folder: Where they go then; needed to resume in another process.
        batch_size: Examples of one call of the model; by default as many as fit a processor's cache, from 64 to 512.
        seed: Of the random projection; the same for all models that are compared.

    Raises:
        DataError: If there is no such layer, or the model uses no linear layer.
        ValueError: If a number is below 1.
    """

    def __init__(
        self,
        model: nn.Module,
        sample: FixedSample,
        *,
        layer: str | None = None,
        width: int = 64,
        checkpoints: int = 16,
        memory: int = MEMORY,
        folder: str | Path | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.batch_size = sample.cached_rows() if batch_size is None else batch_size
        for name, number in (("width", width), ("checkpoints", checkpoints), ("batch_size", self.batch_size)):
            if number < 1:
                raise ValueError(f"{name} is at least 1; got {number}")
        self.model, self.sample = model, sample
        self._width, self._most, self._seed = width, checkpoints, seed
        self._layer = layer
        if layer is not None:
            named_layer(model, layer)
        self._store = CheckpointStore(memory, checkpoints, None if folder is None else Path(folder))
        self._directions: Tensor | None = None

    def __len__(self) -> int:
        """Checkpoints recorded so far."""
        return len(self._store.kept)

    @property
    def full(self) -> bool:
        """Whether all checkpoints there is room for are recorded."""
        return len(self) >= self._most

    @property
    def layer(self) -> str:
        """Name of the layer whose input are the features."""
        if self._layer is None:
            with _undisturbed(self.model):
                self._layer = last_linear(self.model, lambda: self._call(0, 1))
        return self._layer

    def record(self, t: float) -> bool:
        """Keep a checkpoint of time `t`, such as the number of epochs trained; False where there is room for no more.

        Raises:
            DataError: If `t` was recorded already, the layer was not used, or the model returns no class scores.
        """
        if self.full:
            return False
        if t in self._store.kept or not np.isfinite(t):
            raise DataError(f"a checkpoint is a time that is a number and was not recorded yet; got {t}")
        layer = named_layer(self.model, self.layer)
        seen: list[Tensor] = []
        features, outputs = [], []
        with _undisturbed(self.model):
            handle = layer.register_forward_hook(lambda module, args, output: seen.append(args[0].detach()))
            try:
                for start in range(0, len(self.sample), self.batch_size):
                    scores = as_logits(self._call(start, start + self.batch_size))
                    # Below their maximum, which changes no class and no probability, half precision tells them apart.
                    outputs.append(halved(scores - scores.max(1, keepdim=True).values))
                    features.append(halved(self._projected(self._of(seen))))
                    seen.clear()
            finally:
                handle.remove()
        self._store.put(float(t), {"features": torch.cat(features), "outputs": torch.cat(outputs)})
        return True

    def history(self) -> History:
        """All that was recorded so far.

        Raises:
            DataError: If nothing was, or a file is gone.
        """
        if not len(self):
            raise DataError("no checkpoint is recorded yet; call record(t) at the end of early epochs")
        times = sorted(self._store.kept)
        parts = [self._store.get(t) for t in times]
        features, outputs = (np.stack([part[name].numpy() for part in parts]) for name in ("features", "outputs"))
        labels = self.sample.labels.cpu().numpy().astype(np.int64)
        return History(np.array(times), features, outputs, labels, self.sample.n_train)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from: tensors, texts, numbers, fit for ``torch.load(weights_only=True)``."""
        about = {"sample": self.sample.fingerprint(), "width": self._width, "seed": self._seed, "layer": self._layer}
        return about | self._store.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the recorder that gave `state` was.

        Raises:
            DataError: If it recorded another sample, another layer, or projected otherwise.
        """
        own = {"sample": self.sample.fingerprint(), "width": self._width, "seed": self._seed}
        other = [name for name, value in own.items() if state[name] != value]
        if self._layer is not None and state["layer"] not in (None, self._layer):
            other.append("layer")
        if other:
            raise DataError(f"the state is of a recorder with another {' and '.join(other)}; give it the same")
        self._layer = state["layer"]
        self._store.load(state)

    def _call(self, start: int, stop: int) -> Any:
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        args, kwargs = self.sample.batch(start, stop, device)
        return self.model(*args, **kwargs)

    def _of(self, seen: list[Tensor]) -> Tensor:
        """Features of a batch, (n, d); positions of a sequence or picture are averaged."""
        if not seen:
            raise DataError(f"the model did not use its layer {self.layer!r}; name another (layer=...)")
        last = seen[-1]
        return last if last.ndim == 2 else last.flatten(1, -2).mean(1)

    def _projected(self, features: Tensor) -> Tensor:
        d = features.shape[1]
        if d <= self._width:
            return features
        if self._directions is None:
            generator = torch.Generator().manual_seed(self._seed)
            self._directions = torch.randn(d, self._width, generator=generator) / self._width**0.5
        return features.float() @ self._directions.to(features.device)


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Inference without gradients; afterwards every module's mode and torch's random streams are as they were.

    ``no_grad`` and not ``inference_mode``: what a model caches in a forward pass must stay fit for training.
    """
    training = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        model.eval()
        try:
            yield
        finally:
            for module, mode in training:
                module.training = mode
