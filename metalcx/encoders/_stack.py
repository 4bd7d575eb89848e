"""Several modules of one shape as one, so that a step of training is one for all of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

Module = TypeVar("Module", bound=nn.Module)


class Stack(nn.Module, Generic[Module]):
    """Modules whose weights lie side by side: every weight has a first dimension for them, as inputs and outputs have.

    Dropout is drawn for each apart. What one learns is what it would learn alone, but for rounding and those draws.

    Args:
        modules: At least one, all of one shape; they are left as they are.
        device: Where to compute.
    """

    def __init__(self, modules: Sequence[Module], device: str = "cpu") -> None:
        super().__init__()
        weights, _ = stack_module_state(list(modules))
        # A name with a dot in it is no name of a parameter.
        self.weights = nn.ParameterDict({_key(n): nn.Parameter(w.detach().to(device)) for n, w in weights.items()})
        self._like = [copy.deepcopy(modules[0])]  # in a list: none of its weights is one of ours

    def forward(self, *inputs: Any, shared: bool = False) -> Any:
        """What each module makes of its part of the inputs, tensors in tuples or not; `shared` ones are for all."""
        like = self._like[0].train(self.training)

        def one(weights: dict[str, Tensor], own: tuple[Any, ...]) -> Any:
            return functional_call(like, weights, own)

        weights = {_name(key): weight for key, weight in self.weights.items()}
        return vmap(one, in_dims=(0, None if shared else 0), randomness="different")(weights, inputs)

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    def unstacked(self) -> list[Module]:
        """The modules as they are now, on the processor, each with weights of its own."""
        found = []
        for i in range(len(self)):
            module = copy.deepcopy(self._like[0])
            module.load_state_dict({_name(key): weight[i].cpu() for key, weight in self.weights.items()})
            found.append(module.eval())
        return found

    def kept(self) -> dict[str, Tensor]:
        """A copy of all weights."""
        return {key: weight.detach().clone() for key, weight in self.weights.items()}

    @torch.no_grad()
    def keep(self, known: dict[str, Tensor], where: Tensor) -> None:
        """Write the weights of the modules of which `where` is true, shape (m,), into a copy made before."""
        for key, weight in self.weights.items():
            chosen = where.reshape(-1, *[1] * (weight.dim() - 1))
            known[key].copy_(torch.where(chosen, weight, known[key]))

    @torch.no_grad()
    def put_back(self, known: dict[str, Tensor]) -> None:
        """Take over the weights of a copy."""
        for key, weight in self.weights.items():
            weight.copy_(known[key])


def _key(name: str) -> str:
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")
