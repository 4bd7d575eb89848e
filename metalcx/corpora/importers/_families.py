"""Families of datasets: which of them share examples, whatever a benchmark calls them."""

from __future__ import annotations

import re

# OpenML holds versions of one dataset under several names. A name that is left out is its own family, in lower case.
_OPENML = {
    "adult-census": "adult",
    "agrawal1": "agrawal",
    "car-evaluation": "car",
    "cifar_10": "cifar10",
    "cnae-9": "cnae",
    "diabetes130us": "diabetes",
    "jm1": "jm",
    "klaverjas2018": "klaverjas",
    "knuggetchase3": "knuggetchase",
    "mc1": "mc",
    "mindcave2": "mindcave",
    "mnist_784": "mnist",
    "optdigits": "digits",
    "ozone-level-8hr": "ozone",
    "poker-hand": "poker",
    "qsar-biodeg": "qsar",
    "stagger1": "stagger",
    "vehicle_sensit": "vehicle",
    "waveform-5000": "waveform",
    "wdbc": "breast-cancer",
    "wine-quality-white": "wine",
}
_PATTERNS = (
    (r"mfeat-.*", "mfeat"),
    (r"(fri_c\d_1000)_\d+", r"\1"),
    (r"(pc|kc)\d", r"\1"),
    (r"gina_prior2?", "gina"),
    (r"sylva_(agnostic|prior)", "sylva_agnostic"),
)
_IMAGES = {"imagenet16-120": "imagenet", "imagenette": "imagenet", "tinyimagenet": "imagenet", "wikitext": "wikitext-2"}


def openml_family(name: str) -> str:
    """The family of a dataset by its OpenML name."""
    lower = name.lower()
    for pattern, family in _PATTERNS:
        match = re.fullmatch(pattern, lower)
        if match:
            return match.expand(family)
    return _OPENML.get(lower, lower)


def family(dataset: str) -> str:
    """The family of an image or text dataset."""
    return _IMAGES.get(dataset, dataset)
