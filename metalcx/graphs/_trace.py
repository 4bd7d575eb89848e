"""From a torch module to a graph. torch is loaded when the first module is traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph

if TYPE_CHECKING:
    from torch import Tensor, nn


def trace(module: nn.Module, *examples: Tensor) -> ArchGraph:
    """The functional graph of one evaluation-mode forward pass.

    The pass is run for real, so any Python is fine, and what is recorded are the calls of torch functions through
    which numbers flow from the examples to the output. Reshapes, slices, copies, type conversions and arithmetic
    with constants are contracted away, and so is what is computed but not used. Nodes are in order of execution.
    On the device ``meta`` nothing is computed, if the module's own code does not look at values.

    Each node has ``op``, and where they apply ``in``, ``out`` (channels), ``height``, ``width`` (of the result; a
    sequence has a height only), ``kernel``, ``stride``, ``dilation`` (where not 1; the first axis, and
    ``kernel_width`` and so on where the last differs), ``groups``, ``heads``, ``layers``, ``directions``, ``params``
    and ``macs``. ``name`` tells apart what one word holds (``elementwise`` sqrt, ``reduce`` sum), and is all that is
    known of an operation ``other``.

    A module used twice appears twice; its parameters are counted at the first use, and later ones carry ``shared``.
    Parameters that reach the flow through operations of their own (a normalised weight, a learned token) are
    counted where they join it; what is computed from parameters and constants alone is no node and adds no
    ``macs``. A module with an attribute ``graph_node``, such as ``{"op": "gru", "layers": 1}``, is one node with
    these attributes, and so is a scripted module. The module, its mode and buffers, gradients and random states are
    left as they were.

    Args:
        module: Any module; without lazy parameters.
        examples: What it is called with; the first axis counts examples (of a single axis: where it holds integers),
            and ``macs`` is for one of them. Give two or more to a module that folds them into another axis on the
            way, as with one example a reader could not tell what that axis is afterwards.

    Returns:
        The graph; its `ArchGraph.n_params` are the numbers of `module.parameters()` that take part.

    Raises:
        DataError: If there is no example, the module does not run on them, or no number flows from them to the
            output by way of torch (through numpy, say).
    """
    import torch

    from metalcx.graphs._recorder import Recorder
    from metalcx.graphs._untouched import untouched

    if not examples or not all(isinstance(example, torch.Tensor) for example in examples):
        raise DataError("trace() needs the tensors that the module is called with, such as torch.zeros(1, 3, 32, 32)")
    _check_parameters(module)
    with untouched(module):
        # Copies, since a module may write to what it is given, and be given the same twice.
        recorder = Recorder(module, [example.detach().clone() for example in examples])
        with recorder.watching():
            return recorder.graph(_run(module, recorder.examples))


def _run(module: nn.Module, examples: Sequence[Tensor]) -> Any:
    try:
        return module(*examples)
    except DataError:
        raise
    except Exception as error:
        shapes = ", ".join(str(tuple(example.shape)) for example in examples)
        raise DataError(f"{type(module).__name__} does not run on examples of shape {shapes}: {error}") from error


def _check_parameters(module: nn.Module) -> None:
    from torch.nn.parameter import is_lazy

    lazy = [name for name, parameter in module.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise DataError(f"{type(module).__name__}: parameter {lazy[0]!r} has no shape yet; call the module once before")
