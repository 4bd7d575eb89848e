"""What recording costs beside training, in seconds of one thread, both measured in the same trainings.

python benchmarks/history_cost.py [--times 3] [--out benchmarks/results/history_cost.csv]

A perceptron on a table, a small convolutional network on few and on more pictures, and a wider one on pictures of
32 x 32. Seven checkpoints of 400 training and 400 validation examples, as in the recorded corpus, in 40 epochs, of the
last in only ten; where `FixedSample.affordable` allows fewer, once more with as many. Nothing is hooked between two
checkpoints, so that training itself costs what it costs without.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from history_training import CHECKPOINTS, WIDTH
from torch import Tensor, nn
from torch.nn import functional

from metalcx.histories import FeatureRecorder, FixedSample

EPOCHS = 40


def cases() -> dict[str, tuple[nn.Module, tuple[int, ...], int, int]]:
    """Network, shape of an example, training examples, epochs."""
    conv = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    wide = nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    table = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return {
        "table, 800 rows": (table, (24,), 800, EPOCHS),
        "pictures of 12 x 12, 600": (conv, (1, 12, 12), 600, EPOCHS),
        "pictures of 12 x 12, 3,000": (conv, (1, 12, 12), 3000, EPOCHS),
        "pictures of 32 x 32, 4,000": (wide, (3, 32, 32), 4000, 10),
    }


def seconds(model: nn.Module, x: Tensor, y: Tensor, epochs: int, recorder: FeatureRecorder) -> tuple[float, float]:
    """Of training and of recording, in one training from new weights."""
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    optimiser = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    training = recording = 0.0
    for epoch in range(epochs + 1):
        began = time.thread_time()
        model.train()
        for rows in torch.randperm(len(x)).split(64) if epoch else ():
            optimiser.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
        ended = time.thread_time()
        if epoch in CHECKPOINTS:
            recorder.record(epoch)
        training, recording = training + ended - began, recording + time.thread_time() - ended
    return training, recording


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/history_cost.csv"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (model, shape, n, epochs) in cases().items():
        torch.manual_seed(0)
        x, y = torch.randn(n, *shape), torch.randint(0, 10, (n,))
        for half in sorted({400, min(400, FixedSample.affordable(n, epochs) // 2)}, reverse=True):
            inputs = torch.cat([x[:half], torch.randn(half, *shape)])
            sample = FixedSample(inputs, torch.randint(0, 10, (2 * half,)), half)
            found = [
                seconds(model, x, y, epochs, FeatureRecorder(model, sample, width=WIDTH)) for _ in range(given.times)
            ]
            training, recording = np.median(found, axis=0)
            share = float(np.median([b / a for a, b in found]))
            about = {"case": name, "epochs": epochs, "sample": 2 * half, "training": training}
            rows.append({**about, "recording": recording, "share": share})
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(given.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
