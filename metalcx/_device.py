"""Where to compute."""

from __future__ import annotations

from metalcx.errors import DataError


def check_device(device: str, here: bool = True) -> None:
    """Refuse what torch cannot compute on.

    Args:
        device: Of torch, such as ``cpu`` or ``cuda``.
        here: Whether this machine has to have it.

    Raises:
        DataError: If it is no device, or this machine has none such.
    """
    import torch

    try:
        torch.device(device)
        if here:
            torch.empty(1, device=device)
    except (AssertionError, RuntimeError) as error:
        raise DataError(
            f"no device {device!r} ({str(error).splitlines()[0]}); give cpu, or a device of torch"
        ) from None
