"""Tracing leaves no trace: on the module, on random states, on gradients, on what it is given."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from metalcx.errors import DataError
from metalcx.graphs import trace


def test_nothing_is_left_behind():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
    module[1].eval()
    module(torch.randn(2, 3, 8, 8)).sum().backward()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    gradients = [p.grad.clone() for p in module.parameters()]
    example = torch.randn(2, 3, 8, 8, requires_grad=True)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    trace(module, example)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(module.state_dict()[key], value) for key, value in state.items())
    assert all(torch.equal(p.grad, old) for p, old in zip(module.parameters(), gradients, strict=True))
    assert example.grad is None
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()
    assert not module._forward_hooks


class Restless(nn.Module):
    """Writes to a buffer, a weight, an attribute and what it is given, and draws numbers."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(()))
        self.last = None

    def forward(self, x):
        self.count += 1
        self.linear.weight.data = torch.renorm(self.linear.weight.data, 2, 0, 0.01)
        self.linear.bias.data.clamp_(max=-1.0)
        self.register_buffer("late", torch.ones(1))
        x.mul_(torch.rand(()) + random.random() + np.random.rand())
        self.last = self.linear(x)
        return self.last


def test_a_module_that_writes_to_itself_is_put_back():
    module, example = Restless(), torch.ones(2, 4)
    weight, bias = module.linear.weight, module.linear.bias.detach().clone()
    old, place = weight.detach().clone(), weight.data_ptr()
    graph = trace(module, example)
    assert graph.n_params == 10
    assert module.linear.weight is weight
    assert weight.data_ptr() == place
    assert torch.equal(weight, old)
    assert torch.equal(module.linear.bias, bias)
    assert (module.count.item(), module.last, hasattr(module, "late")) == (0.0, None, False)
    assert torch.equal(example, torch.ones(2, 4))


def test_a_pending_backward_pass_is_not_disturbed():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    loss = module(torch.randn(3, 4)).sum()
    trace(module, torch.randn(3, 4))
    loss.backward()
    assert module[0].weight.grad is not None


def test_it_is_left_as_it_was_also_when_it_fails():
    module = nn.Sequential(nn.Dropout(), nn.Linear(4, 2))
    with pytest.raises(DataError, match=r"Sequential does not run on examples of shape \(2, 5\): mat1 and mat2"):
        trace(module, torch.randn(2, 5))
    assert module[0].training
    trace(module, torch.randn(2, 4))


def test_a_net_that_flips_a_coin_gives_one_graph():
    class Coin(nn.Module):
        def forward(self, x):
            return x.exp() if random.random() + torch.rand(()).item() < 1 else x.sin()

    assert len({trace(Coin(), torch.randn(2, 4)).hash for _ in range(8)}) == 1
