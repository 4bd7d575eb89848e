"""LC-PFN (Adriaensen et al., NeurIPS 2023): a transformer that learned from a prior, made smaller."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalcx.bench.dynamics._fold import Fold
from metalcx.bench.dynamics._prior import draw
from metalcx.curves import Metric
from metalcx.curves._batch import FloatArray, IntArray

#: Points of the curves that it learns from; longer ones are read by their share of the length.
LENGTH = 100

#: Quantiles of the training values between which the published normaliser is nearly linear.
SOFT = (0.01, 0.99)


@dataclass(frozen=True)
class PFNSize:
    """Sizes; those of the published model are width 512, 12 layers, 4 heads, 1000 bars and 10 million curves.

    Args:
        width: Numbers a point; twice as many units in hidden layers.
        layers: Transformer layers.
        heads: Of attention.
        bars: Into which the values are divided.
        batch: Curves a step.
        rate: Learning rate, after a quarter of warming up along a cosine to 0.
    """

    width: int = 64
    layers: int = 3
    heads: int = 4
    bars: int = 200
    batch: int = 32
    rate: float = 1e-3


class PFN(nn.Module):
    """Reads points seen and times asked, and tells how likely each of some bars is at each time.

    Points seen look at each other, times asked at points seen and themselves.

    Args:
        size: Sizes.
    """

    borders: Tensor

    def __init__(self, size: PFNSize) -> None:
        super().__init__()
        self.size = size
        w = size.width
        self.time, self.value = nn.Linear(1, w), nn.Linear(1, w)
        layer = nn.TransformerEncoderLayer(w, size.heads, 2 * w, 0.0, "gelu", batch_first=True)
        self.body = nn.TransformerEncoder(layer, size.layers, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.Linear(w, 2 * w), nn.GELU(), nn.Linear(2 * w, size.bars))
        self.register_buffer("borders", torch.linspace(0.0, 1.0, size.bars + 1))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Log odds of bars behind the cut, shape (b, m - c, bars).

        Args:
            x: Epochs seen and asked, from 1 to `LENGTH`, shape (m,).
            seen: Values seen, shape (b, c).
        """
        c, m = seen.shape[1], len(x)
        token = self.time((x[:, None] - LENGTH / 2) / (LENGTH / 12**0.5)).expand(len(seen), m, -1)
        told = self.value((seen[..., None] - 0.5) * 12**0.5)
        token = torch.cat([token[:, :c] + told, token[:, c:]], 1)
        hidden = torch.ones(m, m, dtype=torch.bool)
        hidden[:, :c] = False
        hidden.fill_diagonal_(False)
        return self.out(self.body(token, mask=hidden)[:, c:])

    def loss(self, y: Tensor, c: int) -> Tensor:
        """Negative log likelihood of the bars behind a cut after c points; density within a bar is not learned."""
        bars = torch.bucketize(y[:, c:].contiguous(), self.borders[1:-1])
        told = self(torch.arange(1.0, y.shape[1] + 1), y[:, :c])
        return cross_entropy(told.flatten(0, 1), bars.flatten())

    def median(self, x: Tensor, seen: Tensor) -> Tensor:
        """Medians behind the cut, straight within a bar, shape (b, m - c)."""
        share = self(x, seen).softmax(-1)
        below = share.cumsum(-1)
        bar = (below < 0.5).sum(-1, keepdim=True).clamp(max=self.size.bars - 1)
        rest = (0.5 - (below - share).gather(-1, bar)) / share.gather(-1, bar)
        low, high = self.borders[bar], self.borders[bar + 1]
        return (low + rest.clamp(0, 1) * (high - low))[..., 0]


def train_pfn(curves: int, seed: int, size: PFNSize | None = None) -> tuple[PFN, float]:
    """Train on curves of the prior, cut at random; gives the model and seconds of processor time.

    Args:
        curves: How many.
        seed: Of weights and draws.
        size: Sizes.
    """
    size, started = size or PFNSize(), time.process_time()
    rng = np.random.default_rng([seed, 13])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PFN(size)
        model.borders.copy_(torch.from_numpy(_borders(draw(5000, LENGTH, rng), size.bars)))
        steps = max(curves // size.batch, 1)
        optimiser = torch.optim.AdamW(model.parameters(), lr=size.rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, size.rate, total_steps=steps, pct_start=0.25)
        for _ in range(steps):
            y = torch.from_numpy(draw(size.batch, LENGTH, rng)).float()
            optimiser.zero_grad()
            model.loss(y, int(rng.integers(1, LENGTH))).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return model.eval(), time.process_time() - started


def _borders(y: FloatArray, bars: int) -> FloatArray:
    """Between bars that are equally likely under the prior, shape (bars + 1,)."""
    return np.quantile(y, np.linspace(0, 1, bars + 1))


def kept_pfn(folder: Path, curves: int, seed: int = 0, size: PFNSize | None = None) -> tuple[PFN, float]:
    """The model that an earlier call left in `folder`, or a new one, which is left there."""
    size = size or PFNSize()
    about = {**asdict(size), "curves": curves, "seed": seed}
    weights, notes = folder / "lc-pfn.safetensors", folder / "lc-pfn.json"
    if weights.exists() and notes.exists():
        told = json.loads(notes.read_text(encoding="utf-8"))
        if told["about"] == about:
            model = PFN(size)
            model.load_state_dict(load_file(weights))
            return model.eval(), float(told["seconds"])
    model, seconds = train_pfn(curves, seed, size)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), weights)
    notes.write_text(json.dumps({"about": about, "seconds": seconds}), encoding="utf-8")
    return model, seconds


def pfn_forecast(model: PFN, fold: Fold, rows: IntArray) -> FloatArray:
    """Values of some runs behind the cut in the metric's unit, shape (n, T - c)."""
    length = fold.y.shape[1]
    x = torch.arange(1.0, length + 1) * min(1.0, LENGTH / length)
    normaliser = Normaliser.of(fold)
    with torch.no_grad():
        told = model.median(x, torch.from_numpy(normaliser.there(fold.y[rows][:, : fold.seen])).float())
    return normaliser.back(told.double().numpy())


@dataclass(frozen=True)
class Normaliser:
    """`pfn_normalize` of the published package: a sigmoid from hard bounds to [0, 1], mirrored where less is better.

    Args:
        low: Hard lower bound, or minus infinity.
        high: Hard upper bound, or infinity.
        soft: Between which it is nearly straight.
        mirrored: Whether less is better.
    """

    low: float
    high: float
    soft: tuple[float, float]
    mirrored: bool

    @classmethod
    def of(cls, fold: Fold) -> Normaliser:
        """Hard bounds are those that the metric declares, soft ones those of the training values."""
        metric: Metric = fold.task.metric
        low = -np.inf if metric.lower is None else metric.lower
        high = np.inf if metric.upper is None else metric.upper
        a, b = np.quantile(fold.y[fold.train], SOFT)
        return cls(low, high, (float(a), float(b) if b > a else float(a) + 1.0), metric.goal == "min")

    def there(self, y: FloatArray) -> FloatArray:
        """To [0, 1], higher is better."""
        a, b = self._ends
        share = (self._sigmoid(y) - a) / (b - a)
        return 1.0 - share if self.mirrored else share

    def back(self, y: FloatArray) -> FloatArray:
        """From there; what lies outside of (0, 1) is brought in."""
        a, b = self._ends
        share = np.clip(1.0 - y if self.mirrored else y, 1e-4, 1.0 - 1e-4) * (b - a) + a
        straight = np.log(share / (1.0 - share))
        result: FloatArray = self.soft[0] + (straight + 1.0) / 2.0 * (self.soft[1] - self.soft[0])
        return result

    @property
    def _ends(self) -> tuple[float, float]:
        a, b = self._sigmoid(np.array([self.low, self.high]))
        return float(a), float(b)

    def _sigmoid(self, y: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            result: FloatArray = 1.0 / (1.0 + np.exp(1.0 - 2.0 * (y - self.soft[0]) / (self.soft[1] - self.soft[0])))
        return result
