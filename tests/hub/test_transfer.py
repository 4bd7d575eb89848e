"""Priors on disk: the same folder as any model's, opened by their own function alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_pools import write_pools

from metalcx import hub
from metalcx.corpora import Corpus
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.errors import ModelError
from metalcx.transfer import Candidates, PriorFitter, TransferModel, sources_of


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


def test_the_shipped_priors_open_and_belong_to_the_shipped_encoder():
    path = hub.describe("metalcx-suggest")["path"]
    assert sum(file.stat().st_size for file in Path(path).iterdir()) < 1_000_000
    model = hub.load_priors("metalcx-suggest")
    assert [prior.name for prior in model.priors] == ["nas-bench-graph", "smallnets"]
    assert model.encoder_sha256 == hub.describe(model.encoder)["sha256"]
    gnns = Candidates.from_frame(pd.DataFrame({"arch": ["0011|gat|gcn|gat|gin", "0000|fc|skip|fc|fc"]}))
    prior = model.prior_for(gnns)
    assert prior.name == "nas-bench-graph"
    assert np.isfinite(prior.looked_up(gnns)).sum(1).tolist() == [8, 0]  # nobody trained the second
    nets = Candidates.from_frame(pd.DataFrame({"learning_rate": [0.1, 0.01], "optimiser": ["sgd", "adam"]}))
    assert model.prior_for(nets).name == "smallnets"
