"""Modules side by side: each does what it does alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from metalcx.encoders._stack import Stack


def modules(n: int = 3) -> list[nn.Sequential]:
    torch.manual_seed(0)
    return [nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2)).eval() for _ in range(n)]


def test_each_does_what_it_does_alone():
    some, x = modules(), torch.randn(3, 7, 4)
    stack = Stack(some).eval()
    assert len(stack) == 3
    apart = torch.stack([module(own) for module, own in zip(some, x, strict=True)])
    torch.testing.assert_close(stack(x), apart)
    torch.testing.assert_close(stack(x[0], shared=True), torch.stack([module(x[0]) for module in some]))


def test_dropout_is_drawn_for_each():
    stack = Stack([modules(1)[0]] * 2).train()
    x = torch.randn(1, 50, 4).expand(2, -1, -1)
    a, b = stack(x).detach()
    assert not torch.equal(a, b)


def test_what_it_learns_is_taken_apart_and_those_it_was_made_of_are_left():
    some = modules()
    before = some[0][0].weight.detach().clone()
    stack = Stack(some)
    with torch.no_grad():
        for weight in stack.parameters():
            weight[1] += 1.0
    again = stack.unstacked()
    assert torch.equal(some[0][0].weight, before)
    assert torch.equal(again[0][0].weight, some[0][0].weight)
    assert torch.equal(again[1][0].weight, some[1][0].weight + 1.0)
    assert not any(module.training for module in again)


def test_the_best_of_each_is_kept():
    stack = Stack(modules())
    kept = stack.kept()
    first = {key: weight.clone() for key, weight in kept.items()}
    with torch.no_grad():
        for weight in stack.parameters():
            weight += 1.0
    stack.keep(kept, torch.tensor([True, False, True]))
    for key, weight in kept.items():
        np.testing.assert_array_equal(weight[1], first[key][1])
        np.testing.assert_array_equal(weight[[0, 2]], first[key][[0, 2]] + 1.0)
    stack.put_back(first)
    assert all(torch.equal(weight, first[key]) for key, weight in stack.weights.items())
