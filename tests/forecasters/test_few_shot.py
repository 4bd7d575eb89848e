"""The steps of adaptation beside those of torch."""

import subprocess
import sys

import torch

from metalcx.forecasters._few_shot import _adam


def test_adam_is_torchs_to_the_bit() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(4, dtype=torch.float64))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    step, optimiser = _adam(ours, 0.01), torch.optim.Adam(theirs, lr=0.01)
    for _ in range(30):
        gradients = [torch.randn_like(p) for p in ours]
        step(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def test_adaptation_imports_no_compiler() -> None:
    code = """
import sys
import metalcx as mx
from metalcx.testing import synthetic_curves
mx.load("metalcx-mini").adapt(synthetic_curves(20, 20, seed=0), steps=1)
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
