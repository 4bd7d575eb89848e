"""What a training that was killed goes on from: weights, the optimiser's state and what was measured, in one file."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from metalcx.errors import ModelError


def save_checkpoint(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, history: Tensor, about: str
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file.
        module: What is trained.
        optimiser: Its optimiser.
        history: One row for each epoch that is done, finite or not.
        about: What tells this training from others.
    """
    from safetensors.torch import save_file

    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    tensors["history"] = history
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata={"about": about})
    os.replace(partial, path)


def restore_checkpoint(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, about: str) -> Tensor | None:
    """Put module and optimiser where the checkpoint has them; the history, or None if there is no checkpoint.

    Raises:
        ModelError: If it is damaged, or of a training on other data or with other settings.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            known = (file.metadata() or {}).get("about")
    except SafetensorError as error:
        raise ModelError(
            f"{path}: the checkpoint is damaged ({error}); remove it, and the training starts anew"
        ) from None
    if known != about:
        raise ModelError(
            f"{path}: checkpoint of a training on other data or with other settings; name another folder, or remove it"
        )
    module.load_state_dict({n.removeprefix("module."): t for n, t in tensors.items() if n.startswith("module.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return tensors["history"]
