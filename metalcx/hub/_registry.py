"""Which classes a model folder may name, and what a class does to be saved."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.errors import ModelError, name_some
from metalcx.protocol import At, Forecast

#: Arrays of a model by name.
Tensors = Mapping[str, npt.NDArray[Any]]

#: Class name in `config.json` -> where it lives. A folder can name nothing else: an import path that
#: came out of a file would let the file choose what code runs.
CLASSES: dict[str, str] = {
    "Ensemble": "metalcx.forecasters._ensemble:Ensemble",
    "ExpertGate": "metalcx.forecasters._expert_gate:ExpertGate",
    "LatentGraphODE": "metalcx.forecasters._graph_ode:LatentGraphODE",
    "RankNet": "metalcx.forecasters._rank_net:RankNet",
}

#: What `config.json` calls an encoder of architectures, which is no forecaster.
ENCODER = "GraphEncoder"

#: What `config.json` calls priors over candidates, which are no forecaster either.
TRANSFER = "TransferModel"


class Savable(Protocol):
    """A forecaster that the hub can store: a JSON configuration plus arrays.

    Its class stands in `CLASSES`.
    """

    @property
    def support(self) -> Any:
        """The `Support` it was adapted to, or an empty one."""
        ...

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All learned arrays, finite."""
        ...

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The model of which `config_dict` and `tensors` gave these."""
        ...

    def delta(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What adaptation changed beside the support: JSON values and arrays; both may be empty."""
        ...

    def with_delta(self, support: Curves, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The adapted model of which `delta` gave these; self is the base."""
        ...

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        """See `metalcx.protocol.Forecaster.adapt`."""
        ...

    def forecast(self, queries: Curves, at: At) -> Forecast:
        """See `metalcx.protocol.Forecaster.forecast`."""
        ...


def class_named(name: str, where: object) -> type[Savable]:
    """The registered class `name`.

    Raises:
        ModelError: If there is none of that name; `where` says who asked.
    """
    if name == ENCODER:
        raise ModelError(f"{where}: is an encoder of architectures and forecasts nothing; open it with load_encoder")
    if name == TRANSFER:
        raise ModelError(f"{where}: is a prior over candidates and forecasts nothing; open it with load_priors")
    if name not in CLASSES:
        raise ModelError(
            f"{where}: class {name!r} is not one that this version of metalcx knows ({name_some(sorted(CLASSES), 9)}); "
            "update metalcx, or save the model with a class of that list"
        )
    module, _, attribute = CLASSES[name].partition(":")
    found: type[Savable] = getattr(importlib.import_module(module), attribute)
    return found


def name_of(model: Savable) -> str:
    """The registered name of `model`'s class.

    Raises:
        ModelError: If it cannot be saved.
    """
    name = type(model).__name__
    if name not in CLASSES or class_named(name, "hub") is not type(model):
        raise ModelError(f"a {name} cannot be saved; models on disk are {name_some(sorted(CLASSES), 9)}")
    return name


def not_finite(tensors: Tensors) -> list[str]:
    """Names of floating arrays that hold a NaN or an infinity."""
    return [n for n, a in tensors.items() if np.issubdtype(a.dtype, np.floating) and not np.isfinite(a).all()]
