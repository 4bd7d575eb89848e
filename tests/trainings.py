"""Trainings that are really running, and write event files of TensorBoard as they go: small networks on digits.

    python tests/trainings.py FOLDER FIRST COUNT

trains the networks FIRST, FIRST + 1, ... of a random search, ten at a time, each in a folder of its own. Some of them
diverge.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, AT_ONCE = 20, 10

#: Seconds that they rest in all, so that they last long enough to be followed, however fast the machine is.
REST = 30.0


def losses(data: tuple[Any, Any, Any, Any], seed: int) -> Iterator[float]:
    """Validation loss after each epoch of gradient descent on one hidden layer."""
    x, y, x_held, y_held = data
    rng = np.random.default_rng(seed)
    rate, width = 10 ** rng.uniform(-3, 1.5), int(rng.choice([8, 16, 32, 64]))
    a, b = rng.normal(0, 0.1, (x.shape[1], width)), rng.normal(0, 0.1, (width, 10))
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(x)), 16):
            hidden = np.maximum(x[rows] @ a, 0)
            wrong = (_softmax(hidden @ b) - np.eye(10)[y[rows]]) / len(rows)
            back = (wrong @ b.T) * (hidden > 0)
            a, b = a - rate * x[rows].T @ back, b - rate * hidden.T @ wrong
        sure = _softmax(np.maximum(x_held @ a, 0) @ b)[np.arange(len(y_held)), y_held]
        yield float(-np.log(np.maximum(sure, 1e-30)).mean())


def _softmax(z: Any) -> Any:
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def train(folder: Path, numbers: range) -> None:
    from sklearn.datasets import load_digits
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    x, y = load_digits(return_X_y=True)
    data = (x[:1200] / 16, y[:1200], x[1200:] / 16, y[1200:])
    groups = range(numbers.start, numbers.stop, AT_ONCE)
    pause = REST / (EPOCHS * len(groups))
    for begin in groups:
        group = numbers[begin - numbers.start :][:AT_ONCE]
        writers = [EventFileWriter(str(folder / f"run-{n:04d}")) for n in group]
        for epoch, found in enumerate(zip(*(losses(data, n) for n in group), strict=True), 1):
            for writer, loss in zip(writers, found, strict=True):
                value = summary_pb2.Summary.Value(tag="val_loss", simple_value=loss)
                writer.add_event(event_pb2.Event(step=epoch, summary=summary_pb2.Summary(value=[value])))
                writer.flush()
            time.sleep(pause)
        for writer in writers:
            writer.close()


if __name__ == "__main__":
    np.seterr(all="ignore")
    first, count = int(sys.argv[2]), int(sys.argv[3])
    train(Path(sys.argv[1]), range(first, first + count))
