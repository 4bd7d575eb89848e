"""What forecasters share that read architectures and configurations: an encoder, traits, and their place on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from metalcx._weights import check_sizes
from metalcx.curves import Curves
from metalcx.errors import ModelError, name_some
from metalcx.forecasters._base import Support
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._traits import HASHED, Architectures, Traits, traits

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder

Tensors = dict[str, npt.NDArray[Any]]
Network = TypeVar("Network", bound=nn.Module)

#: Prefix of an encoder's tensors among those of a model.
_ENCODER = "encoder."


class TraitsReader:
    """Part of a forecaster that has a `support` and an `encoder` and knows runs beside their curves."""

    support: Support
    encoder: GraphEncoder | None

    @property
    def reads_configurations(self) -> bool:
        """Whether hashed hyperparameters are read; hashing them takes scikit-learn to load."""
        return True

    @cached_property
    def _architectures(self) -> Architectures:
        return Architectures(self.encoder)

    @cached_property
    def _space(self) -> ConfigurationSpace:
        source = self.support.source
        return ConfigurationSpace.of(None if source is None else source.config)

    @cached_property
    def _known(self) -> Traits:
        """What is known of the support beside its curves."""
        source = self.support.source
        return no_traits(self._architectures.width) if source is None else self._traits(source)

    def _traits(self, curves: Curves) -> Traits:
        """What is known of runs beside their curves, in the terms of the support."""
        return traits(curves, self._space, self._architectures, self.reads_configurations)


def no_traits(width: int) -> Traits:
    """Of no runs."""
    none = np.zeros(0, dtype=bool)
    return Traits(np.zeros((0, width)), none, np.zeros((0, 2 * HASHED)), np.zeros((0, 0)), none)


def check_width(encoder: GraphEncoder | None, width: int) -> None:
    """Refuse an encoder that gives other embeddings than a network reads.

    Raises:
        ModelError: If it does.
    """
    read = 0 if encoder is None else encoder.width
    if read != width:
        raise ModelError(f"the encoder gives {read} numbers an architecture; the network reads {width}")


def tensors_of(network: nn.Module, encoder: GraphEncoder | None) -> Tensors:
    """All weights, those of the encoder behind ``encoder.``."""
    own = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    return own | ({} if encoder is None else {_ENCODER + name: value for name, value in encoder.tensors().items()})


def encoder_of(config: dict[str, Any], tensors: Tensors) -> GraphEncoder | None:
    """The encoder that a model's configuration names, if it names one."""
    if config.get("encoder") is None:
        return None
    from metalcx.encoders import GraphEncoder

    own = {name.removeprefix(_ENCODER): value for name, value in tensors.items() if name.startswith(_ENCODER)}
    return GraphEncoder.build(dict(config["encoder"]), own)


def loaded(make: Callable[[], Network], config: Any, tensors: Tensors) -> Network:
    """The network that `make` makes with all of its weights, in evaluation mode.

    Raises:
        ModelError: If they do not fit what `config` says of it.
    """
    own = {name: np.array(value) for name, value in tensors.items() if not name.startswith(_ENCODER)}
    check_sizes(make, config, own)
    network = make()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in own.items()})
    return network.eval()


def changed(network: Network, tensors: Tensors) -> Network:
    """The network, itself changed, with those of its weights that adaptation had changed.

    Raises:
        ModelError: If they are not weights of this network.
    """
    own = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    try:
        unknown = network.load_state_dict(own, strict=False).unexpected_keys
    except RuntimeError as error:
        raise ModelError(f"tensors do not fit the base: {error!s:.200}") from None
    if unknown:
        raise ModelError(f"the base has no tensors {name_some(unknown)}; the delta is of another model")
    return network
