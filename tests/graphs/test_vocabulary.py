"""The vocabulary: what words of published spaces say, what attributes say, and that nothing is refused."""

import math
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metalcx.graphs import FEATURES, describe

BANANA = (-0.247059, -0.160784, -0.254902, -0.568627, 0.32549, -0.929412, 0.811765, -0.537255)
HASHED = [i for i, name in enumerate(FEATURES) if name.startswith("word_")]


def said(word, **attributes):
    """The columns that are not 0, sizes undone to what they were; hashed ones left out."""
    row = dict(zip(FEATURES, describe([{"op": word, **attributes}])[0].tolist(), strict=True))
    scales = {
        "kernel": 3,
        "kernel_width": 3,
        "stride": 2,
        "expansion": 3,
        "level": 2,
        "out": 10,
        "heads": 4,
        "layers": 3,
    }
    sizes = {name: round(2 ** (row[name] * scale) - 1, 4) for name, scale in scales.items() if row[name]}
    return {name for name, value in row.items() if value == 1 and name not in scales}, sizes


def hashed(word, **attributes):
    return tuple(describe([{"op": word, **attributes}])[0, HASHED])


@pytest.mark.parametrize(
    ("word", "marks", "sizes"),
    [
        ("nor_conv_3x3", {"conv"}, {"kernel": 3, "kernel_width": 3}),
        ("avg_pool_3x3", {"pool", "average"}, {"kernel": 3, "kernel_width": 3}),
        ("skip_connect", {"identity"}, {}),
        ("none", {"absent"}, {}),
        ("conv1x1-bn-relu", {"conv", "norm", "batch", "activation", "relu"}, {"kernel": 1, "kernel_width": 1}),
        ("maxpool3x3", {"pool", "extreme"}, {"kernel": 3, "kernel_width": 3}),
        ("sep_conv_5x5", {"conv", "separable"}, {"kernel": 5, "kernel_width": 5}),
        ("dil_conv_3x3", {"conv", "dilated"}, {"kernel": 3, "kernel_width": 3}),
        ("conv_7x1_1x7", {"conv"}, {"kernel": 7, "kernel_width": 7, "layers": 2}),
        ("mbconv5x5_e6", {"conv", "separable"}, {"kernel": 5, "kernel_width": 5, "expansion": 6}),
        ("mbconv_k5_e6_s2", {"conv", "separable"}, {"kernel": 5, "kernel_width": 5, "expansion": 6, "stride": 2}),
        ("lif1.5_conv3x3", {"conv", "activation", "spiking"}, {"kernel": 3, "kernel_width": 3, "level": 1.5}),
        ("activation_leaky_relu", {"activation", "relu", "leaky"}, {}),
        ("activation_sigm", {"activation", "sigmoid"}, {}),
        ("elementwise_prod", {"arithmetic", "product"}, {}),
        ("gat", {"message", "attention"}, {}),
        ("gin", {"message", "sum", "linear"}, {}),
        ("fc", {"linear"}, {}),
        ("lstm", {"recurrent", "gated", "memory"}, {}),
        ("ReLU6", {"activation", "relu"}, {"level": 6}),
        ("BatchNorm2d", {"norm", "batch"}, {}),
        ("ConvBNReLU", {"conv", "norm", "batch", "activation", "relu"}, {}),
        ("MultiheadAttention", {"attention"}, {}),
        ("hardswish", {"activation", "swish", "hard"}, {}),
    ],
)
def test_words_of_published_spaces_and_libraries(word, marks, sizes):
    assert said(word) == (marks, sizes)
    assert not any(hashed(word))


def test_parts_are_whole_words():
    """No sum in assume, no gat in negate, no add in padding."""
    for word in ("assume", "negate", "padding", "engineering", "image"):
        assert said(word)[0] == {"other"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("skip", "skip_connect"),
        ("max_pool_3x3", "maxpool3x3"),
        ("add", "sum"),
        ("silu", "swish"),
        ("fc", "linear"),
        ("sigmoid", "activation_sigm"),
    ],
)
def test_what_is_the_same_in_two_spaces_is_described_alike(one, other):
    assert np.array_equal(*describe([{"op": one}, {"op": other}]))


def test_words_of_one_space_differ():
    for space in (
        "nor_conv_1x1 nor_conv_3x3 avg_pool_3x3 skip_connect none input output",
        "gat gcn gin cheb sage arma graph fc skip",
        "mbconv3x3_e3 mbconv5x5_e6 identity",
        "max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5",
        "linear blend elementwise_sum elementwise_prod activation_tanh activation_sigm activation_leaky_relu",
        "lif0.5_conv3x3 lif1.0_conv3x3 lif1.5_conv3x3 skip",
        "relu gelu silu tanh sigmoid softplus softmax elu selu mish hardswish leaky_relu relu6",
        "lstm gru rnn irnn vrnn",
        "batch_norm layer_norm group_norm instance_norm rms_norm",
    ):
        words = space.split()
        assert len(np.unique(describe([{"op": word} for word in words]), axis=0)) == len(words)


def test_attributes_override_the_word():
    marks, sizes = said("conv3x3", kernel=[5, 1], stride=2, filters=64, activation="relu", norm="none")
    assert (marks, sizes) == (
        {"conv", "activation", "relu"},
        {"kernel": 5, "kernel_width": 1, "stride": 2, "out": 64},
    )


def test_what_is_not_known_degrades():
    assert said("banana")[0] == {"other"}
    assert said("banana_conv_3x3") == said("conv_3x3")
    assert hashed("banana") == hashed("banana_conv_3x3")
    assert said("conv", activation=7, norm=None) == said("conv")
    words = ["banana", "cherry", "banana_cherry", "conv", "???", "!!", "42", ""]
    assert len({hashed(word) for word in words}) == len(words)
    assert hashed("elementwise", name="sqrt") != hashed("elementwise", name="exp")
    assert describe([{}]).shape == (1, len(FEATURES))


def test_the_hash_is_the_same_everywhere():
    assert hashed("banana") == pytest.approx(BANANA, abs=1e-6)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["op", "name", "kernel", "out", "params", "stride", "activation", "shared", "level", "x"]),
            st.none() | st.text() | st.floats() | st.integers() | st.booleans() | st.lists(st.floats() | st.text()),
        )
    )
)
@example([{"op": "conv", "kernel": 10**400, "out": -1, "params": math.inf}])
@example([{"op": "relu" * 500}])
@example([{"op": "\ud800"}])
def test_nothing_is_refused(nodes):
    found = describe(nodes)
    assert found.shape == (len(nodes), len(FEATURES))
    assert found.dtype == np.float32
    assert np.abs(found).max(initial=0) <= 4
    assert all(np.array_equal(row, describe([node])[0]) for row, node in zip(found, nodes, strict=True))


def test_sizes_grow_with_what_they_are():
    outs = describe([{"op": "linear", "out": out} for out in (0, 1, 10, 1000, 10**6)])[:, FEATURES.index("out")]
    assert np.all(np.diff(outs) > 0)
    assert len(set(FEATURES)) == len(FEATURES)


def test_many_small_graphs_take_little():
    cells = [[{"op": "input"}, *({"op": word} for word in ("nor_conv_3x3",) * 6), {"op": "output"}]] * 15_625
    start = time.perf_counter()
    for cell in cells:
        describe(cell)
    assert time.perf_counter() - start < 1
