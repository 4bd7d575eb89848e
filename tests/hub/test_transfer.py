"""Priors on disk: the same folder as any model's, opened by their own function alone."""

from __future__ import annotations

import numpy as np
import pytest
from made_pools import write_pools

from metalcx import hub
from metalcx.corpora import Corpus
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import ModelError
from metalcx.transfer import PriorFitter, TransferModel, sources_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("priors")
    sources = sources_of(list(Corpus.open(write_pools(root / "pools", 40, 2))))
    model = TransferModel((PriorFitter(sources).fit("pools"),))
    hub.save_priors(model, root / "prior", name="prior", metrics={"a": 1})
    return root / "prior", model, sources


def test_priors_come_back(folder):
    path, model, sources = folder
    again = hub.load_priors(path)
    assert isinstance(again, TransferModel)
    a, b = (known.priors[0].belief(sources.candidates).mean() for known in (model, again))
    np.testing.assert_allclose(a, b, atol=0.02)
    assert hub.describe(path)["class"] == "TransferModel"


def test_other_doors_stay_shut(folder, tmp_path):
    path = folder[0]
    with pytest.raises(ModelError, match="a prior over candidates and forecasts nothing"):
        hub.load(path)
    with pytest.raises(ModelError, match="is no encoder"):
        hub.load_encoder(path)
    hub.save_encoder(new_encoder(EncoderConfig(hidden=4)), tmp_path / "enc", name="enc")
    with pytest.raises(ModelError, match="a GraphEncoder is no prior over candidates"):
        hub.load_priors(tmp_path / "enc")


def test_a_configuration_that_does_not_fit_its_tensors_is_no_model(folder, tmp_path):
    model = folder[1]

    class Lying:
        tensors = model.tensors

        def config_dict(self):
            return model.config_dict() | {"priors": [{"name": "pools"}]}

    hub.save_priors(Lying(), tmp_path / "lie", name="lie")
    with pytest.raises(ModelError, match="do not make a TransferModel"):
        hub.load_priors(tmp_path / "lie")
