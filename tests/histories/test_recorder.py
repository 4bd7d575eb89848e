import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from metalcx.errors import DataError
from metalcx.histories import FeatureRecorder, FixedSample, History

from .made import toy_net, toy_rows, toy_sample


def step(model: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    x, y = (torch.from_numpy(a) for a in toy_rows(seed=seed))
    optimiser.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    optimiser.step()


def trained(model: nn.Module, recorder: FeatureRecorder | None, epochs: int = 4) -> list[torch.Tensor]:
    torch.manual_seed(1)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for epoch in range(epochs):
        step(model, optimiser, epoch)
        if recorder is not None:
            recorder.record(epoch + 1)
    return [value.clone() for value in model.state_dict().values()]


def test_features_are_the_input_of_the_last_linear_layer_in_evaluation() -> None:
    model, sample = toy_net(), toy_sample()
    recorder = FeatureRecorder(model, sample, batch_size=50)
    trained(model, recorder)
    history = recorder.history()
    assert recorder.layer == "4"
    assert (history.t.tolist(), history.features.shape, history.outputs.shape) == (
        [1, 2, 3, 4],
        (4, 240, 12),
        (4, 240, 3),
    )
    assert (history.features.dtype, history.outputs.dtype) == (np.float16, np.float16)
    model.eval()
    with torch.no_grad():
        features = model[:4](sample.inputs)
    np.testing.assert_allclose(history.features[-1], features.numpy(), atol=5e-3)


def test_own_head_gives_the_accuracy_of_the_epoch() -> None:
    model, sample = toy_net(), toy_sample()
    recorder = FeatureRecorder(model, sample)
    found = []
    for epoch in range(3):
        step(model, torch.optim.SGD(model.parameters(), 0.1), epoch)
        recorder.record(epoch)
        with torch.no_grad():
            scores = copy.deepcopy(model).eval()(sample.inputs[120:])
        found.append(float((scores.argmax(1) == sample.labels[120:]).double().mean()))
    assert recorder.history().own_accuracy().tolist() == pytest.approx(found)


def test_close_scores_stay_apart_in_half_precision() -> None:
    """Scores may be large and differ by little, as in networks that are about to blow up."""
    model, sample = toy_net(), toy_sample()
    with torch.no_grad():
        model[4].bias += 3000.0
        expected = copy.deepcopy(model).eval()(sample.inputs).argmax(1)
    recorder = FeatureRecorder(model, sample)
    recorder.record(0)
    assert (recorder.history().outputs[0].argmax(1) == expected.numpy()).mean() > 0.99


def test_training_goes_on_as_if_nothing_was_recorded() -> None:
    """Dropout draws the same, statistics of norms are the same, gradients stand."""
    plain, watched = toy_net(), toy_net()
    for a, b in zip(trained(plain, None), trained(watched, FeatureRecorder(watched, toy_sample())), strict=True):
        assert torch.equal(a, b)


def test_modes_gradients_and_random_streams_are_left_as_they_were() -> None:
    model = toy_net()
    model[1].eval()  # a frozen norm in a network that trains
    step(model, torch.optim.SGD(model.parameters(), 0.1), 0)
    modes, state = [m.training for m in model.modules()], torch.random.get_rng_state()
    gradients = [p.grad.clone() for p in model.parameters()]
    FeatureRecorder(model, toy_sample()).record(0)
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert not any(m._forward_hooks for m in model.modules())


def test_modes_are_restored_where_the_model_fails() -> None:
    model = toy_net()
    sample = FixedSample(torch.zeros(4, 5), torch.tensor([0, 1, 2, 0]), 2)
    with pytest.raises(RuntimeError):
        FeatureRecorder(model, sample, layer="4").record(0)
    assert model.training
    assert not model[4]._forward_hooks


class Cached(nn.Module):
    """Keeps a tensor of its first call for later ones, as rotary embeddings do."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.table = nn.Linear(6, 3), None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.table is None:
            self.table = torch.ones(6) * 2
        return self.head(x * self.table)


def test_what_a_model_caches_while_recording_is_fit_for_training() -> None:
    model = Cached()
    FeatureRecorder(model, toy_sample()).record(0)
    step(model, torch.optim.SGD(model.parameters(), 0.1), 0)


def test_wide_features_are_projected_by_the_same_directions_always() -> None:
    model = toy_net(width=300)
    first, second = (FeatureRecorder(model, toy_sample(), width=20, seed=3) for _ in range(2))
    for t, recorder in enumerate((first, second)):
        recorder.record(t)
    a, b = first.history(), second.history()
    assert a.features.shape == (1, 240, 20)
    np.testing.assert_array_equal(a.features, b.features)
    # Distances are kept, about.
    whole = FeatureRecorder(model, toy_sample(), width=300)
    whole.record(0)
    pairs = [
        np.linalg.norm(h[:100].astype(float) - h[100:200], axis=1) for h in (whole.history().features[0], a.features[0])
    ]
    assert np.median(pairs[1] / pairs[0]) == pytest.approx(1.0, abs=0.15)


def test_memory_is_bounded() -> None:
    model = toy_net()
    recorder = FeatureRecorder(model, toy_sample(), checkpoints=2)
    assert [recorder.record(t) for t in (1, 2, 3)] == [True, True, False]
    assert recorder.full
    assert recorder.history().t.tolist() == [1, 2]


def test_above_the_limit_checkpoints_go_to_disk(tmp_path) -> None:
    model = toy_net()
    kept, written = (
        FeatureRecorder(model, toy_sample()),
        FeatureRecorder(model, toy_sample(), memory=1000, folder=tmp_path),
    )
    for recorder in (kept, written):
        recorder.record(0.5)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    np.testing.assert_array_equal(kept.history().features, written.history().features)
    away = FeatureRecorder(model, toy_sample(), memory=1000)
    away.record(1)
    folder = away._store.folder
    assert folder.is_dir()
    del away
    assert not folder.exists()
    next(tmp_path.iterdir()).unlink()
    with pytest.raises(DataError, match=r"checkpoint 0\.5 cannot be read"):
        written.history()


@pytest.mark.parametrize("memory", [10**9, 1000])
def test_resume(tmp_path, memory: int) -> None:
    whole, halves = toy_net(), toy_net()
    recorder = FeatureRecorder(whole, toy_sample(), memory=memory, folder=tmp_path / "a")
    trained(whole, recorder)
    first = FeatureRecorder(halves, toy_sample(), memory=memory, folder=tmp_path / "b")
    torch.manual_seed(1)
    optimiser = torch.optim.Adam(halves.parameters(), 1e-2)
    for epoch in range(4):
        step(halves, optimiser, epoch)
        first.record(epoch + 1)
        if epoch == 1:
            torch.save(first.state_dict(), tmp_path / "state.pt")
            first = FeatureRecorder(halves, toy_sample(), memory=memory, folder=tmp_path / "b")
            first.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    a, b = recorder.history(), first.history()
    assert a.t.tolist() == b.t.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(a.features, b.features)


def test_a_state_of_another_sample_is_refused() -> None:
    model = toy_net()
    recorder = FeatureRecorder(model, toy_sample())
    recorder.record(0)
    state = recorder.state_dict()
    with pytest.raises(DataError, match="another sample"):
        FeatureRecorder(model, toy_sample(200)).load_state_dict(state)
    with pytest.raises(DataError, match="another width and seed"):
        FeatureRecorder(model, toy_sample(), width=3, seed=1).load_state_dict(state)
    with pytest.raises(DataError, match="another layer"):
        FeatureRecorder(model, toy_sample(), layer="0").load_state_dict(state)


class Backwards(nn.Module):
    """Its head is defined first; takes keywords and gives an object, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Linear(8, 3), nn.Linear(6, 8)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(torch.relu(self.body(x * scale))))


def test_layers_are_found_by_use_and_inputs_may_be_keywords() -> None:
    x, y = (torch.from_numpy(a) for a in toy_rows())
    sample = FixedSample({"x": x, "scale": torch.full((240, 1), 2.0)}, y, 120)
    found, named = Backwards(), FeatureRecorder(Backwards(), sample, layer="body")
    recorder = FeatureRecorder(found, sample)
    assert recorder.layer == "head"
    recorder.record(0)
    named.record(0)
    assert recorder.history().features.shape == (1, 240, 8)
    np.testing.assert_allclose(named.history().features[0], 2 * x.numpy(), atol=2e-2)


def test_a_sample_is_drawn_from_datasets() -> None:
    x, y = toy_rows()
    train, val = ([(x[i], int(y[i])) for i in rows] for rows in (range(150), range(150, 240)))
    sample = FixedSample.draw(train, val, n_train=40, n_val=30, seed=1)
    assert (sample.inputs.shape, sample.n_train, len(sample)) == ((70, 6), 40, 70)
    again = FixedSample.draw(train, val, n_train=40, n_val=30, seed=1)
    assert again.fingerprint() == sample.fingerprint() != FixedSample.draw(train, val, 40, 30, seed=2).fingerprint()
    # 150 examples, seen 8 times in training: 5 % of that is 60 examples, of which each counts .8, at 7 checkpoints.
    small = FixedSample.draw(train, val, epochs=8)
    assert (FixedSample.affordable(150, 8), len(small), small.n_train) == (10, 10, 5)
    words = [{"ids": torch.arange(3), "labels": i % 2} for i in range(6)]
    mapped = FixedSample.draw(words, words, 4, 6)
    assert (mapped.inputs["ids"].shape, mapped.labels.tolist()[:2], mapped.n_train) == (
        (10, 3),
        mapped.labels.tolist()[:2],
        4,
    )


def test_batches_fit_a_processors_cache() -> None:
    """64 large pictures, 512 short rows, and what lies between."""
    labels = torch.tensor([0, 1, 0])
    rows = [FixedSample(torch.zeros(3, size), labels, 2).cached_rows() for size in (6, 300, 12_288)]
    assert rows == [512, 218, 64]


def test_a_network_that_blows_up_is_recorded() -> None:
    model = toy_net()
    with torch.no_grad():
        model[0].weight.fill_(float("inf"))
    recorder = FeatureRecorder(model, toy_sample())
    recorder.record(0)
    assert np.isfinite(recorder.history().features).all()


def test_a_history_is_written_and_read(tmp_path) -> None:
    model = toy_net()
    recorder = FeatureRecorder(model, toy_sample())
    recorder.record(2.5)
    recorder.history().save(tmp_path / "h.safetensors")
    read = History.load(tmp_path / "h.safetensors")
    assert (read.t.tolist(), read.n_train, read.n_classes) == ([2.5], 120, 3)
    np.testing.assert_array_equal(read.outputs, recorder.history().outputs)
    (tmp_path / "h.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="no history of features"):
        History.load(tmp_path / "h.safetensors")


@pytest.mark.parametrize(
    ("model", "layer", "complaint"),
    [
        (nn.Conv1d(1, 1, 1), None, "uses no linear layer"),
        (toy_net(), "5", "no layer '5'; its linear layers are '0', '4'"),
    ],
)
def test_layers_that_are_not_there_are_refused(model: nn.Module, layer: str | None, complaint: str) -> None:
    sample = FixedSample(torch.zeros(4, 1, 1), torch.tensor([0, 1, 2, 0]), 2)
    with pytest.raises(DataError, match=complaint):
        FeatureRecorder(model, sample, layer=layer).record(0)


def test_refusals() -> None:
    recorder = FeatureRecorder(toy_net(), toy_sample())
    with pytest.raises(DataError, match="no checkpoint is recorded"):
        recorder.history()
    recorder.record(1)
    with pytest.raises(DataError, match="not recorded yet"):
        recorder.record(1)
    with pytest.raises(ValueError, match="width is at least 1"):
        FeatureRecorder(toy_net(), toy_sample(), width=0)
    for inputs, labels, n_train, complaint in (
        (torch.zeros(3, 2), torch.zeros(4).long(), 2, "4 labels"),
        (torch.zeros(4, 2), torch.zeros(4).long(), 4, "of training and of validation"),
        (torch.zeros(4, 2), torch.zeros(4), 2, "class numbers"),
        (3, torch.zeros(4).long(), 2, "a tensor, a mapping"),
        (torch.zeros(4, 2), torch.tensor([1, 1, 0, 1]), 2, "all of one class; draw more, or from all classes"),
    ):
        with pytest.raises(DataError, match=complaint):
            FixedSample(inputs, labels, n_train)
    with pytest.raises(DataError, match=r"holds no scores.*; return them, or name them logits"):
        FeatureRecorder(nn.Sequential(nn.Linear(6, 3), nn.Softmax(1), nn.Flatten(0)), toy_sample()).record(0)
