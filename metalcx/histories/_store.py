"""Where checkpoints of features are kept: in memory while they are small, else a safetensors file each."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metalcx.errors import DataError


@dataclass
class CheckpointStore:
    """Checkpoints by time; each is ``features`` (n, d) and ``outputs`` (n, classes).

    Args:
        memory: Bytes above which all checkpoints together go to disk.
        most: How many checkpoints there will be at most.
        folder: Where they go then; a temporary folder, gone with this object, by default.
    """

    memory: int
    most: int
    folder: Path | None = None
    kept: dict[float, dict[str, Tensor] | Path] = field(default_factory=dict)
    _temporary: Any = None

    def put(self, t: float, checkpoint: dict[str, Tensor]) -> None:
        """Keep a checkpoint."""
        size = sum(part.nbytes for part in checkpoint.values())
        if size * self.most <= self.memory:
            self.kept[t] = checkpoint
            return
        from safetensors.torch import save_file

        path = self._folder() / f"features-{t:.17g}.safetensors"
        save_file({name: part.contiguous() for name, part in checkpoint.items()}, path)
        self.kept[t] = path

    def get(self, t: float) -> dict[str, Tensor]:
        """A checkpoint.

        Raises:
            DataError: If its file is gone.
        """
        kept = self.kept[t]
        if isinstance(kept, dict):
            return kept
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(kept)
        except (OSError, SafetensorError) as error:
            raise DataError(f"{kept}: features of checkpoint {t:g} cannot be read ({error}); record again") from error

    def state(self) -> dict[str, Any]:
        """Tensors that are in memory, and names of files, by time."""
        where = {t: str(kept) if isinstance(kept, Path) else kept for t, kept in self.kept.items()}
        return {"t": list(where), "kept": list(where.values())}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        pairs = zip(state["t"], state["kept"], strict=True)
        self.kept = {float(t): Path(k) if isinstance(k, str) else dict(k) for t, k in pairs}

    def _folder(self) -> Path:
        if self.folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="metalcx-features-")
            self.folder = Path(self._temporary.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder


def halved(values: Tensor) -> Tensor:
    """Half precision on the processor; what does not fit is cut off, what is no number is 0."""
    limit = torch.finfo(torch.float16).max
    return torch.nan_to_num(values.float(), 0.0, limit, -limit).clamp(-limit, limit).half().cpu()
