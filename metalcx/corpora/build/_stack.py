"""Training of many runs at once: runs of one architecture share every operation, their parameters stacked.

The forward pass is vectorised over runs by `torch.func.vmap`; the gradient of the sum of their losses holds each
run's own. A run's curve depends on its stack (which shares a random stream), not on the engine that trains it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from metalcx.corpora.build._data import Data, DataSpec, make
from metalcx.corpora.build._initial import initialised
from metalcx.corpora.build._networks import build_network
from metalcx.corpora.build._optimiser import StackedOptimiser, learning_rates
from metalcx.corpora.build._pieces import Arrays
from metalcx.graphs import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is measured after each epoch, and before the first; the score is accuracy, or R2 for regression.
MEASURED = ("train_loss", "val_loss", "val_score", "test_score", "learning_rate", "seconds")


@dataclass(frozen=True)
class Stack:
    """Runs of one architecture on one task that train side by side.

    Attributes:
        data: What they are trained on.
        network: Kind of the network.
        settings: Its settings.
        batch_size: Of all runs.
        epochs: Budget of all runs.
        configs: The rest of each run's configuration.
        seed: Of initial weights, batches and dropout.
        test_always: Whether the test score is measured after every epoch, for runs that are stopped early.
    """

    data: DataSpec
    network: str
    settings: Mapping[str, Any]
    batch_size: int
    epochs: int
    configs: tuple[Mapping[str, Any], ...]
    seed: int
    test_always: bool = False


def train_stack(stack: Stack, device: str = "cpu") -> Arrays:
    """Train all runs.

    Returns:
        ``values`` float32 of shape (runs, epochs + 1, len(MEASURED)), NaN after a run's first value that is not
        finite; ``length`` int64 of shape (runs,), points up to and with that one; ``graph``, the traced
        architecture as JSON text, of shape ().
    """
    data = make(stack.data)
    with _reproducible(stack.seed):  # layers draw weights when they are made, which nobody uses
        module = build_network(stack.network, stack.settings, data.x_train.shape[1:], max(1, data.n_classes))
    graph = trace(module, torch.from_numpy(data.x_train[:1]))
    with _reproducible(stack.seed), torch.device(device):
        values = _Training(stack, data, module, device).run()
    broken = np.asarray(~np.isfinite(values[..., :3]).all(-1))
    length = np.where(broken.any(1), broken.argmax(1) + 1, values.shape[1]).astype(np.int64)
    values[np.arange(values.shape[1]) >= length[:, None]] = np.nan
    return {"values": values, "length": length, "graph": np.array(graph.to_json())}


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class _Training:
    """State of R runs while they train."""

    def __init__(self, stack: Stack, data: Data, module: nn.Module, device: str) -> None:
        self.stack, self.data, self.module, self.device = stack, data, module, device
        self.generator = torch.Generator().manual_seed(stack.seed)
        self.runs = len(stack.configs)
        with torch.device("cpu"):  # weights and batches are the same on every device
            start = initialised(module, stack.configs, self.generator)
        self.shapes = {name: value.shape for name, value in start.items()}
        self.sizes = [value[0].numel() for value in start.values()]
        self.flat = torch.cat([value.reshape(self.runs, -1) for value in start.values()], 1).to(device)
        self.buffers = {n: b.expand(self.runs, *b.shape).clone().to(device) for n, b in module.named_buffers()}
        self.optimiser = StackedOptimiser(stack.configs, self.flat.shape[1])
        self.rates = torch.from_numpy(learning_rates(stack.configs, stack.epochs)).to(device)
        self.smoothing = torch.tensor([float(c.get("label_smoothing", 0.0)) for c in stack.configs])[:, None]
        parts = {
            n: torch.from_numpy(getattr(data, n)) for n in ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")
        }
        self.parts = {name: part.to(device) for name, part in parts.items()}

    def run(self) -> npt.NDArray[np.float32]:
        """Measure, then train and measure epoch by epoch."""
        started = time.thread_time()
        always, epochs = self.stack.test_always, self.stack.epochs
        rows = [self._measure(self._objective_now(), self.rates[:, 0], 0.0, always)]
        for epoch in range(epochs):
            loss = self._epoch(self.rates[:, epoch : epoch + 1])
            spent = (time.thread_time() - started) / self.runs
            rows.append(self._measure(loss, self.rates[:, epoch], spent, always or epoch + 1 == epochs))
        return np.stack(rows, 1)

    def _epoch(self, rate: Tensor) -> Tensor:
        """One pass over the training data, a last partial batch dropped; mean objective of each run, shape (R,)."""
        n, size = len(self.parts["x_train"]), self.stack.batch_size
        order = torch.rand(self.runs, n, generator=self.generator, device="cpu").argsort(1).to(self.device)
        self.module.train()
        losses = []
        for rows in order[:, : max(n // size, 1) * size].split(size, 1):
            loss, gradient = self._gradient(self.parts["x_train"][rows], self.parts["y_train"][rows])
            self.flat = self.optimiser.step(self.flat, gradient, rate)
            losses.append(loss)
        return torch.stack(losses).mean(0)

    def _gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each run (R,) and its gradient (R, P)."""
        parameters = {name: value.requires_grad_() for name, value in self._named().items()}
        loss = self._objective(self._forward(parameters, x), y)
        parts = torch.autograd.grad(loss.sum(), list(parameters.values()), allow_unused=True)
        # A network may have weights that its output does not depend on, such as those behind a dead cell node.
        known = [torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters.values(), strict=True)]
        return loss.detach(), torch.cat([part.reshape(self.runs, -1) for part in known], 1)

    def _named(self) -> dict[str, Tensor]:
        parts = self.flat.split(self.sizes, 1)
        return {name: part.reshape(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def _forward(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Outputs of each run, shape (R, batch, n_out), for inputs (R, batch, ...)."""

        def one(own: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
            out: Tensor = functional_call(self.module, (dict(own), dict(buffers)), (inputs,))
            return out

        out: Tensor = vmap(one, in_dims=(0, 0, 0), randomness="different")(parameters, self.buffers, x)
        return out

    def _objective(self, out: Tensor, y: Tensor) -> Tensor:
        """What training minimises: squared error, or cross-entropy with each run's label smoothing; shape (R,)."""
        if not self.data.n_classes:
            return self._plain_loss(out, y)
        logs = functional.log_softmax(out, -1)
        hit = logs.gather(-1, y[..., None])[..., 0]
        return -((1 - self.smoothing) * hit + self.smoothing * logs.mean(-1)).mean(1)

    @torch.no_grad()
    def _objective_now(self) -> Tensor:
        self.module.eval()
        return self._objective(self._outputs("x_train"), self._targets("y_train"))

    @torch.no_grad()
    def _measure(self, train_loss: Tensor, rate: Tensor, spent: float, test: bool) -> npt.NDArray[np.float32]:
        """A row of `MEASURED` for each run, shape (R, len(MEASURED)); losses without smoothing but the training one."""
        self.module.eval()
        val, y = self._outputs("x_val"), self._targets("y_val")
        columns = [train_loss, self._plain_loss(val, y), self._score(val, y)]
        if test:
            columns.append(self._score(self._outputs("x_test"), self._targets("y_test")))
        else:
            columns.append(torch.full_like(train_loss, torch.nan))
        columns += [rate, torch.full_like(train_loss, spent)]
        return np.asarray(torch.stack(columns, 1).cpu().numpy(), np.float32)

    def _outputs(self, part: str) -> Tensor:
        x = self.parts[part]
        return self._forward(self._named(), x.expand(self.runs, *x.shape))

    def _targets(self, part: str) -> Tensor:
        y = self.parts[part]
        return y.expand(self.runs, *y.shape)

    def _plain_loss(self, out: Tensor, y: Tensor) -> Tensor:
        if not self.data.n_classes:
            return ((out[..., 0] - y) ** 2).mean(1)
        return -functional.log_softmax(out, -1).gather(-1, y[..., None])[..., 0].mean(1)

    def _score(self, out: Tensor, y: Tensor) -> Tensor:
        """Accuracy, or R2; NaN where outputs are not finite, which chance accuracy would hide."""
        lost = ~torch.isfinite(out).all(-1).all(-1)
        if self.data.n_classes:
            score = (out.argmax(-1) == y).float().mean(1)
        else:
            score = 1 - ((out[..., 0] - y) ** 2).mean(1) / y.var(1, correction=0)
        return torch.where(lost, torch.nan, score)
