"""The one place that loads learn2learn.

Importing any part of learn2learn 0.2.0 first runs its ``__init__``, which wants torchvision, gym and
requests, none of which its torch half uses. So the package is put in `sys.modules` without being run,
and only that half is imported; the classes are learn2learn's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from metalcx.errors import MissingDependencyError

__all__ = ["INSTALL_COMMAND", "Learn2Learn", "learn2learn"]

# A plain install fails on Python 3.11 and newer: the C files in the release were made by an old Cython.
INSTALL_COMMAND = 'pip install --no-deps --config-settings="--build-option=build_ext" learn2learn==0.2.0'

_TORCH_HALF = ("utils", "optim", "nn", "algorithms")
_NAME = "learn2learn"


@dataclass(frozen=True)
class Learn2Learn:
    """The parts of learn2learn that metalcx uses, under learn2learn's own names.

    Attributes:
        MAML: ``MAML(module, lr)``; `clone()` then `adapt(loss)` (Finn et al. 2017, algorithm 1).
        MetaSGD: The same with one learned rate a parameter (Li et al. 2017, algorithm 1).
        GBML: The same with any learned transform of the gradient.
        clone_module: A copy of a module through which gradients flow to the original.
        update_module: Adds updates to a module's parameters in place, differentiably.
        detach_module: Cuts a clone from the original's graph.
        optim: ``learn2learn.optim``, the transforms for `GBML`.
    """

    MAML: type[Any]
    MetaSGD: type[Any]
    GBML: type[Any]
    clone_module: Callable[..., Any]
    update_module: Callable[..., Any]
    detach_module: Callable[..., Any]
    optim: ModuleType


@cache
def learn2learn() -> Learn2Learn:
    """Load the torch half of learn2learn; neither torchvision nor gym is needed or imported.

    Raises:
        MissingDependencyError: If learn2learn is not installed, or cannot be loaded; names the
            command that installs it.
    """
    package = sys.modules.get(_NAME) or _load_torch_half()
    algorithms, utils = package.algorithms, package.utils
    return Learn2Learn(
        MAML=algorithms.MAML,
        MetaSGD=algorithms.MetaSGD,
        GBML=algorithms.GBML,
        clone_module=utils.clone_module,
        update_module=utils.update_module,
        detach_module=utils.detach_module,
        optim=package.optim,
    )


def _load_torch_half() -> ModuleType:
    spec = importlib.util.find_spec(_NAME)
    # A folder that happens to be called learn2learn gives a spec without a loader of its own.
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            f"gradient-based meta-learning needs learn2learn, which is not installed; run\n    {INSTALL_COMMAND}"
        )
    before = set(sys.modules)
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    try:
        _complete(package)
    except Exception as error:
        # Half a package left behind would answer the next attempt with a misleading error.
        for name in set(sys.modules) - before:
            if name.split(".")[0] == _NAME:
                del sys.modules[name]
        raise MissingDependencyError(
            f"learn2learn at {spec.origin} cannot be loaded ({type(error).__name__}: {error}); install it anew:\n"
            f"    {INSTALL_COMMAND}"
        ) from error
    return package


def _complete(package: ModuleType) -> None:
    """Import the torch half into the package that was not run, and stand in for the rest of its ``__init__``."""
    for part in _TORCH_HALF:
        importlib.import_module(f"{_NAME}.{part}")
    # learn2learn reaches for `learn2learn.clone_module` and its like at run time (GBML does).
    for name, value in vars(package.utils).items():
        if not name.startswith("_") and name not in vars(package):
            setattr(package, name, value)

    def on_demand(name: str) -> ModuleType:
        """Let a person's own ``learn2learn.vision`` import what it needs when it is first asked for."""
        if name in ("data", "gym", "text", "vision"):
            return importlib.import_module(f"{_NAME}.{name}")
        raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")

    vars(package)["__getattr__"] = on_demand
