"""What a training that was killed goes on from: weights, the optimiser's state and more, in one safe file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from metalcx._whole import written_whole
from metalcx.errors import ModelError


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it is on disk.

    Attributes:
        tensors: ``module.*``, ``optimiser.I.*``, and what else was given.
        about: What was said of it: the step, and what tells this training from others.
    """

    tensors: Mapping[str, Tensor]
    about: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """The checkpoint of a file, None if there is none.

        Raises:
            ModelError: If it is damaged.
        """
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                return cls({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
        except SafetensorError as error:
            raise ModelError(
                f"{path}: the checkpoint is damaged ({error}); remove it, and the training starts anew"
            ) from None

    def put_into(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Give module and optimiser the state that they had."""
        module.load_state_dict(dict(self._of("module")))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self._of("optimiser"):
            i, key = name.split(".", 1)
            state.setdefault(int(i), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

    def _of(self, what: str) -> list[tuple[str, Tensor]]:
        start = f"{what}."
        return [(name.removeprefix(start), value) for name, value in self.tensors.items() if name.startswith(start)]


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    about: Mapping[str, str],
    **more: Tensor,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file.
        module: What is trained.
        optimiser: Its optimiser.
        about: Texts to keep with it.
        more: Further tensors.
    """
    from safetensors.torch import save

    tensors = {f"module.{name}": value for name, value in module.state_dict().items()} | more
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One mark for all: what a process that was killed left is written over by the next.
    with written_whole(path, "new") as partial:
        partial.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}, dict(about)))


def other_training(path: Path) -> ModelError:
    """What to raise where a checkpoint is not of the training that is to go on."""
    return ModelError(
        f"{path}: checkpoint of a training on other data or with other settings; name another folder, or remove it"
    )
