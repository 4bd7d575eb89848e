"""What makes a task of a dataset harder than it is: wrong labels, noise, gaps, a turn of the axes."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from metalcx.corpora.build._raw import FloatArray, Range, Raw, Rng, Settings

__all__ = ["STRENGTHS", "disturbed_examples", "disturbed_labels"]

# Kinds of disturbance, how strong they are where nothing is said, and within which bounds.
STRENGTHS = {
    "label_noise": Range(0.3, 0.0, 1.0),
    "input_noise": Range(1.0, 0.0, 10.0),
    "masked": Range(0.4, 0.0, 0.95),
    "rotated": Range(1.0, 0.0, 1.0),
}


def disturbed_labels(raw: Raw, settings: Settings, seed: int) -> Raw:
    """Training targets with noise: a share `label_noise` of the classes drawn anew, all equally likely.

    For regression it is Gaussian noise instead, of `label_noise` deviations of the training targets.
    """
    strength = settings.get("label_noise", 0.0)
    if not strength:
        return raw
    train, rng = raw.y[0], _rng(seed, "label_noise", 0)
    if raw.n_classes:
        # One row of numbers an example, so that fewer examples meet the same fate.
        hit, anew = rng.random((len(train), 2)).T
        noisy = np.where(hit < strength, (anew * raw.n_classes).astype(np.int64), train)
    else:
        noisy = train + strength * train.std() * rng.normal(size=len(train))
    return dataclasses.replace(raw, y=(noisy, *raw.y[1:]))


def disturbed_examples(x: FloatArray, part: int, settings: Settings, seed: int) -> FloatArray:
    """Standardised examples of one part with their axes turned, with noise, and with gaps, in this order.

    `rotated` is one orthogonal map of all numbers of an example, the same for every part. `input_noise` is Gaussian,
    in deviations. A share `masked` of all numbers is missing at random and filled with the training mean, 0.
    """
    if settings.get("rotated"):
        flat = x.reshape(len(x), -1)
        turn = np.linalg.qr(_rng(seed, "rotated", 0).normal(size=(flat.shape[1], flat.shape[1])))[0]
        x = (flat @ turn).reshape(x.shape)
    if settings.get("input_noise"):
        x = x + settings["input_noise"] * _rng(seed, "input_noise", part).normal(size=x.shape)
    if settings.get("masked"):
        x = np.where(_rng(seed, "masked", part).random(x.shape) < settings["masked"], 0.0, x)
    return x


def _rng(seed: int, purpose: str, part: int) -> Rng:
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), part])
