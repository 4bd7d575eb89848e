"""learn2learn through our loader: real classes, exact meta-gradients, and a clear error without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from metalcx.errors import MissingDependencyError
from metalcx.transfer import _learn2learn
from metalcx.transfer._learn2learn import INSTALL_COMMAND, learn2learn

LR = 0.3


@pytest.fixture
def double() -> Iterator[None]:
    """Float64, so that finite differences are exact enough to compare with."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))


def task() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, x_new = (torch.randn(8, 3, generator=generator) for _ in range(2))
    return x, x.prod(1, keepdim=True), x_new, x_new.sin().sum(1, keepdim=True)


def adapt_twice(learner: nn.Module, body: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> torch.Tensor:
    """The query loss after two inner steps on the support."""
    x, y, x_new, y_new = task()
    clone = learner.clone()
    for _ in range(2):
        clone.adapt(nn.functional.mse_loss(clone(body(x)), y))
    return nn.functional.mse_loss(clone(body(x_new)), y_new)


def finite_differences(
    loss: Callable[[], torch.Tensor], parameters: list[nn.Parameter], h: float = 1e-5
) -> torch.Tensor:
    slopes = []
    for parameter in parameters:
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            value = flat[i].item()
            flat[i] = value + h
            above = loss().item()
            flat[i] = value - h
            below = loss().item()
            flat[i] = value
            slopes.append((above - below) / (2 * h))
    return torch.tensor(slopes)


def meta_gradient(loss: Callable[[], torch.Tensor], parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss(), parameters)])


def agree(loss: Callable[[], torch.Tensor], parameters: list[nn.Parameter]) -> None:
    torch.testing.assert_close(
        meta_gradient(loss, parameters), finite_differences(loss, parameters), rtol=1e-6, atol=1e-8
    )


@pytest.mark.usefixtures("double")
def test_maml_meta_gradient_is_second_order_exact() -> None:
    learner = learn2learn().MAML(mlp(), lr=LR)
    agree(lambda: adapt_twice(learner), list(learner.parameters()))


@pytest.mark.usefixtures("double")
def test_first_order_maml_differs_so_the_comparison_has_teeth() -> None:
    learner = learn2learn().MAML(mlp(), lr=LR, first_order=True)
    parameters = list(learner.parameters())
    exact = finite_differences(lambda: adapt_twice(learner), parameters)
    assert (meta_gradient(lambda: adapt_twice(learner), parameters) - exact).norm() > 0.01 * exact.norm()


@pytest.mark.usefixtures("double")
def test_meta_sgd_gradient_reaches_the_learned_rates() -> None:
    learner = learn2learn().MetaSGD(mlp(), lr=LR)
    assert len(list(learner.parameters())) == 2 * len(list(mlp().parameters()))
    agree(lambda: adapt_twice(learner), list(learner.parameters()))


@pytest.mark.usefixtures("double")
def test_anil_adapts_the_head_and_meta_learns_the_body() -> None:
    network = mlp()
    body, head = network[:2], learn2learn().MAML(network[2], lr=LR)
    agree(lambda: adapt_twice(head, body), [*body.parameters(), *head.parameters()])


@pytest.mark.usefixtures("double")
def test_gbml_learns_the_transform_of_the_gradient() -> None:
    l2l = learn2learn()
    learner = l2l.GBML(mlp(), transform=l2l.optim.ModuleTransform(nn.Linear), lr=LR)
    agree(lambda: adapt_twice(learner), list(learner.parameters()))


def test_clone_update_detach() -> None:
    l2l, module = learn2learn(), nn.Linear(2, 1)
    clone = l2l.update_module(l2l.clone_module(module), updates=[torch.ones(1, 2), torch.ones(1)])
    torch.testing.assert_close(clone.weight, module.weight + 1)
    clone(torch.ones(1, 2)).sum().backward()
    assert module.weight.grad is not None
    l2l.detach_module(clone)
    assert clone.weight.grad_fn is None


def test_called_twice_it_gives_the_same_classes() -> None:
    assert learn2learn() is learn2learn()
    _learn2learn.learn2learn.cache_clear()
    first = learn2learn().MAML
    _learn2learn.learn2learn.cache_clear()
    assert learn2learn().MAML is first


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_loading_imports_neither_torchvision_nor_gym() -> None:
    code = """
import sys
from metalcx.transfer._learn2learn import learn2learn
MAML = learn2learn().MAML
print(MAML.__module__, sorted({"torchvision", "gym", "requests", "qpth", "learn2learn.vision"} & set(sys.modules)))
import learn2learn
print(learn2learn.algorithms.MAML is MAML, hasattr(learn2learn, "no_such_thing"))
"""
    assert python(code) == "learn2learn.algorithms.maml []\nTrue False"


def without_learn2learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing of learn2learn had been imported; what is there now comes back afterwards."""
    for name in [name for name in sys.modules if name.split(".")[0] == "learn2learn"]:
        monkeypatch.delitem(sys.modules, name)
    _learn2learn.learn2learn.cache_clear()


def test_without_learn2learn_the_error_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    without_learn2learn(monkeypatch)
    monkeypatch.setattr(_learn2learn.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        learn2learn()
    assert INSTALL_COMMAND in str(caught.value)
    assert INSTALL_COMMAND == 'pip install --no-deps --config-settings="--build-option=build_ext" learn2learn==0.2.0'


def test_a_broken_learn2learn_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    without_learn2learn(monkeypatch)
    monkeypatch.setattr(_learn2learn, "_TORCH_HALF", ("utils", "no_such_part"))
    with pytest.raises(MissingDependencyError, match=r"no_such_part(?s:.*)--no-deps"):
        learn2learn()
    assert not [name for name in sys.modules if name.split(".")[0] == "learn2learn"]
    monkeypatch.undo()
    assert learn2learn().MAML.__module__ == "learn2learn.algorithms.maml"
