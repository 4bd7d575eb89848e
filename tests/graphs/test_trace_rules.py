"""What tracing refuses, and code that is hard to follow."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from metalcx.errors import DataError
from metalcx.graphs import trace


class Made(nn.Module):
    """A module from a function."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = forward

    def forward(self, *examples):
        return self.function(self, *examples)


def traced(forward, *examples, **parts):
    """Operations as ``op`` or ``op:name`` with what they read, and the graph."""
    graph = trace(Made(forward, **parts), *(examples or [torch.randn(2, 4)]))
    words = [":".join(filter(None, (node["op"], node.get("name")))) for node in graph.nodes]
    reads = [[source for source, target in graph.edges if target == i] for i in range(len(words))]
    return list(zip(words, reads, strict=True))[1:-1], graph


@pytest.mark.slow  # torch loads its meta kernels for it
def test_a_tower_on_the_meta_device_costs_nothing():
    wide, narrow = nn.Linear(100_000, 100_000, device="meta"), nn.Linear(100_000, 10, device="meta")
    graph = trace(nn.Sequential(wide, nn.ReLU(), narrow), torch.empty(1, 100_000, device="meta"))
    assert graph.n_params == 100_000 * 100_001 + 1_000_010


@pytest.mark.parametrize(
    ("examples", "message"), [((), "needs the tensors"), (([[1.0]],), "needs the tensors that the module is called")]
)
def test_examples_that_are_none(examples, message):
    with pytest.raises(DataError, match=message):
        trace(nn.Linear(1, 1), *examples)


def test_lazy_parameters_are_refused():
    with pytest.raises(DataError, match=r"parameter '0.weight' has no shape yet"):
        trace(nn.Sequential(nn.LazyLinear(3)), torch.randn(2, 4))


def test_an_output_that_comes_from_nowhere_is_refused():
    with pytest.raises(DataError, match="no number flows from the examples"):
        traced(lambda self, x: torch.from_numpy(x.numpy() * 2))
    with pytest.raises(DataError, match="no number flows from the examples"):
        traced(lambda self, x: self.weight * x.shape[0], weight=nn.Parameter(torch.ones(3)))


@pytest.mark.parametrize("node", ["gru", {}, {"op": "zero"}, {"op": "input"}, {"layers": 1}])
def test_a_declaration_that_is_none_is_refused(node):
    module = nn.Linear(4, 2)
    module.graph_node = node
    with pytest.raises(DataError, match=r"Linear.graph_node is .* needs the op"):
        trace(nn.Sequential(module), torch.randn(2, 4))


def test_unknown_operations_keep_their_name():
    words, graph = traced(lambda self, x: torch.special.bessel_j0(torch.fft.rfft(x).abs()).logcumsumexp(1))
    names = ["other:fft_rfft", "elementwise:abs", "other:special_bessel_j0", "other:logcumsumexp"]
    assert [word for word, _ in words] == names
    assert (graph.nodes[1]["in"], graph.nodes[1]["out"]) == (4, 3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_modules_are_one_node_with_their_parameters():
    module = nn.Sequential(torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU())), nn.Linear(3, 2))
    graph = trace(module, torch.randn(2, 4))
    scripted = {"op": "other", "name": "Sequential", "in": 4, "out": 3, "params": 15}
    assert graph.nodes[1] == scripted
    assert graph.n_params == 15 + 8
    assert module[0].training


@pytest.mark.slow  # torch loads its compiler for it
def test_compiled_modules_are_run_as_they_were_written():
    plain = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    compiled = nn.Sequential(torch.compile(plain, backend="eager"), nn.Linear(3, 2))
    graph = trace(compiled, torch.randn(2, 4))
    assert [node["op"] for node in graph.nodes] == ["input", "linear", "relu", "linear", "output"]
    assert graph.n_params == 15 + 8


def test_autograd_functions_are_looked_into():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.tanh(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    assert traced(lambda self, x: Double.apply(x))[0] == [("tanh", [0])]


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda self, x: (x.view(4, 2).t().contiguous()[None, ..., 1:] * 2 - 1).float(), []),
        (lambda self, x: (3 - x) / torch.ones(4) + torch.zeros_like(x), []),
        (lambda self, x: x + x, [("add", [0])]),
        (lambda self, x: torch.stack([x, x.exp()]), [("elementwise:exp", [0]), ("concat:stack", [0, 1])]),
        (lambda self, x: torch.cat([x, torch.zeros(2, 1)], 1), []),
        (lambda self, x: x.view_as(x.exp()), []),
        (lambda self, x: torch.where(x > 0, x, x.exp()), [("elementwise:exp", [0]), ("where", [0, 1])]),
        (lambda self, x: x.masked_fill(torch.eye(4)[:2] > 0, 0.0), []),
        (lambda self, x: torch.max(x, x.sin()), [("elementwise:sin", [0]), ("elementwise:maximum", [0, 1])]),
        (lambda self, x: x.max(1).values, [("reduce:max", [0])]),
        (lambda self, x: torch.sparse.mm(x.to_sparse(), torch.ones(4, 2)), [("matmul", [0])]),
        (lambda self, x: {"out": [x.relu()], "size": 3}, [("relu", [0])]),
        (lambda self, x: (x.sin(), x.cos()), [("elementwise:sin", [0]), ("elementwise:cos", [0])]),
        (lambda self, x: functional.hardtanh(x, 0.0, 6.0), [("relu6", [0])]),
        (lambda self, x: functional.hardtanh(x), [("elementwise:hardtanh", [0])]),
        (lambda self, x: x[torch.arange(2), x.argmax(1)], [("reduce:argmax", [0])]),
        (lambda self, x: torch.bernoulli(torch.full_like(x, 0.5)) * x, []),
    ],
)
def test_small_nets(forward, words):
    assert traced(forward)[0] == words


def test_dropout_that_does_nothing_is_not_mistaken_for_what_it_was_given():
    def forward(self, x):
        h = x.exp()
        return h + functional.dropout(h, 0.5, self.training)

    assert traced(forward)[0] == [("elementwise:exp", [0]), ("dropout", [1]), ("add", [1, 2])]


def test_writing_in_place():
    def forward(self, x):
        out = torch.zeros(2, 8)
        out[:, :4] = x.sin()
        out[:, 4:].copy_(x.cos())
        return out.exp_()

    sin, cos = ("elementwise:sin", [0]), ("elementwise:cos", [0])
    assert traced(forward)[0] == [sin, cos, ("elementwise:exp", [1, 2])]
    forward = lambda self, x: torch.add(x, x.sin(), out=torch.empty(2, 4)).relu_()  # noqa: E731
    assert traced(forward)[0] == [sin, ("add", [0, 1]), ("relu", [2])]


def test_what_was_written_over_is_gone():
    assert traced(lambda self, x: x.exp().zero_() + x)[0] == []


def test_channels_are_followed_through_permutations():
    images = torch.randn(2, 6, 4, 3)
    _, graph = traced(lambda self, x: x.permute(0, 2, 3, 1).contiguous().exp().permute(0, 3, 1, 2).sin(), images)
    size = {"in": 6, "out": 6, "height": 4, "width": 3}
    assert graph.nodes[1] == {"op": "elementwise", "name": "exp", **size}
    assert graph.nodes[2] == {"op": "elementwise", "name": "sin", **size}
    _, graph = traced(lambda self, x: self.conv(x.transpose(1, 2)), torch.randn(1, 9, 5), conv=nn.Conv1d(5, 7, 3))
    assert graph.nodes[1]["out"] == 7
    assert graph.nodes[1]["height"] == 7
    assert graph.nodes[0] == {"op": "input", "out": 5, "height": 9}


def test_the_first_operation_says_what_the_axes_of_an_input_are():
    graph = trace(nn.Sequential(nn.Conv1d(5, 7, 3, dilation=2)), torch.randn(2, 5, 9))
    assert graph.nodes[0] == {"op": "input", "out": 5, "height": 9}
    size = {"op": "conv", "in": 5, "out": 7, "height": 5, "kernel": 3, "stride": 1, "dilation": 2, "groups": 1}
    assert graph.nodes[1] == {**size, "params": 112, "macs": 5 * 7 * 3 * 5}


def test_volumes_and_single_examples():
    graph = trace(nn.Conv3d(2, 4, 3), torch.randn(1, 2, 5, 6, 7))
    assert {key: graph.nodes[1][key] for key in ("out", "depth", "height", "width")} == {
        "out": 4, "depth": 3, "height": 4, "width": 5,
    }  # fmt: skip
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.randn(3, 8, 8))
    assert graph.nodes[2] == {"op": "relu", "in": 4, "out": 4, "height": 6, "width": 6}
    assert trace(nn.Linear(4, 2), torch.randn(4)).macs == 8


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 24),
        ("b...i,oi->b...o", [(2, 5, 7, 3), (4, 3)], 2 * 5 * 7 * 3 * 4),
        ("...i, ...i -> ...", [(2, 5, 3), (5, 3)], 30),
        ("bij->bji", [(2, 3, 4)], 0),
    ],
)
def test_macs_of_einsum(equation, shapes, macs):
    first, *rest = [torch.randn(shape) for shape in shapes]
    _, graph = traced(lambda self, x: torch.einsum(equation, x, *rest), first)
    assert graph.macs == macs // first.shape[0]


@pytest.mark.parametrize(
    ("product", "macs"),
    [
        (lambda x: x @ torch.ones(4, 3), 24),
        (lambda x: x @ torch.ones(5, 4, 3), 5 * 24),
        (lambda x: x @ torch.ones(4), 8),
        (lambda x: torch.addmm(torch.ones(3), x, torch.ones(4, 3)), 24),
        (lambda x: torch.bmm(x[None], torch.ones(1, 4, 3)), 24),
    ],
)
def test_macs_of_products(product, macs):
    assert traced(lambda self, x: product(x))[1].macs == macs // 2


def test_threads_beside_it_are_not_recorded():
    """The hooks on all modules are for the thread that traces."""
    from threading import Thread

    declared = nn.Linear(4, 4)
    declared.graph_node = {"op": "gru"}

    def forward(self, x):
        beside = Thread(target=declared, args=(torch.randn(2, 4),))
        beside.start()
        beside.join()
        return x.relu()

    assert traced(forward)[0] == [("relu", [0])]


def test_graphs_load_no_torch():
    code = "import sys; from metalcx.graphs import ArchGraph, trace; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
