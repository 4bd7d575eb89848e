"""What is known of runs beside their curves: graphs are encoded once, names of hyperparameters are an open set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._traits import HASHED, Architectures, hashed, place_of
from metalcx.graphs import from_nasbench201

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
OTHER = CELL.replace("avg_pool_3x3", "nor_conv_1x1")
GRAPH = from_nasbench201(CELL).to_json()


@pytest.fixture
def counted(monkeypatch):
    encoder, seen = new_encoder(EncoderConfig("gin", hidden=4, layers=2)), []
    whole = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda graphs: seen.append(len(graphs)) or whole(graphs))
    return Architectures(encoder), seen


def test_a_graph_is_encoded_once_however_it_is_stated(counted):
    architectures, seen = counted
    vectors, known = architectures.embed([CELL, GRAPH, "resnet18", None, OTHER, CELL, "{broken", "|broken"], 8)
    assert known.tolist() == [True, True, False, False, True, True, False, False]
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-5)
    assert not np.allclose(vectors[0], vectors[4])
    assert not vectors[~known].any()
    assert seen == [3], "two texts of one cell, and another"
    architectures.embed([OTHER, GRAPH], 2)
    assert seen == [3]


def test_without_an_encoder_nothing_is_known():
    vectors, known = Architectures(None).embed([CELL], 1)
    assert vectors.shape == (1, 0)
    assert not known.any()
    assert not Architectures(new_encoder(EncoderConfig("gin", 4))).embed(None, 3)[1].any()


SUPPORT = pd.DataFrame({"lr": [1e-4, 1e-2, 1.0], "act": ["relu", "gelu", "relu"], "depth": [2, 2, 2]})
SPACE = ConfigurationSpace.of(SUPPORT)


def test_the_same_name_is_in_the_same_place_in_every_table():
    one = hashed(pd.DataFrame({"lr": [0.1]}), ConfigurationSpace(), 1)
    other = hashed(pd.DataFrame({"zzz": [1.0], "lr": [0.1]}), ConfigurationSpace(), 1)
    place = np.abs(place_of("lr")) > 0
    assert place.sum() == 1
    np.testing.assert_allclose(one[0, HASHED:], -place_of("lr"))
    assert other[0, HASHED:][place] == pytest.approx(one[0, HASHED:][place])


def test_numbers_are_told_relative_to_the_support_and_by_size():
    found = hashed(SUPPORT, SPACE, 3)
    np.testing.assert_allclose(found[:, :HASHED] @ place_of("lr"), np.array([-1, 0, 1]) * np.sqrt(1.5), atol=1e-9)
    alone = hashed(SUPPORT[["lr"]], SPACE, 3)
    np.testing.assert_allclose(alone[:, HASHED:] @ place_of("lr"), [-4, -2, 0], atol=1e-9)
    assert np.abs(hashed(SUPPORT[["depth"]], SPACE, 3)[:, :HASHED]).max() == 0, "what does not vary has no spread"


def test_what_is_missing_adds_nothing_and_an_unseen_level_is_one_of_its_own():
    gaps = pd.DataFrame({"lr": [np.nan, 0.01], "act": [None, "swish"]})
    found = hashed(gaps, SPACE, 2)
    assert not found[0].any()
    np.testing.assert_allclose(found[1, HASHED:], -2 * place_of("lr") + place_of("act=swish"), atol=1e-9)
    assert not hashed(None, SPACE, 2).any()
    assert hashed(pd.DataFrame(index=range(3)), SPACE, 3).shape == (3, 2 * HASHED)
