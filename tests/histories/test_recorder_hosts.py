"""The recorder in the callback of a host, which trains as it would without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from metalcx.histories import FeatureRecorder, FixedSample

from .made import toy_rows

pytestmark = pytest.mark.slow


def data(seed: int) -> TensorDataset:
    return TensorDataset(*map(torch.from_numpy, toy_rows(120, seed=seed)))


def test_lightning(tmp_path: Path) -> None:
    """What was recorded goes on from a checkpoint, and training is the same with and without."""
    pl = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 1e-2)

    class Recording(pl.Callback):
        def __init__(self, model: Net) -> None:
            self.recorder = FeatureRecorder(model, FixedSample.draw(data(0), data(1), epochs=100))

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.recorder.record(trainer.current_epoch + 1)

        def state_dict(self) -> dict[str, object]:
            return self.recorder.state_dict()

        def load_state_dict(self, state: dict[str, object]) -> None:
            self.recorder.load_state_dict(state)

    def trained(epochs: int, record: bool, path: Path | None = None) -> tuple[pl.Trainer, Net, Recording]:
        model = Net()
        recording = Recording(model)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", enable_checkpointing=False,
            callbacks=[recording] if record else [], **quiet,
        )  # fmt: skip
        torch.manual_seed(1)
        trainer.fit(model, DataLoader(data(0), batch_size=40), ckpt_path=path)
        return trainer, model, recording

    _, plain, _ = trained(4, record=False)
    _, model, recording = trained(4, record=True)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)
    history = recording.recorder.history()
    assert history.t.tolist() == [1, 2, 3, 4]
    assert recording.recorder.layer == "net.3"
    assert (np.diff(history.features.astype(float), axis=0) != 0).any()

    first, _, broken = trained(2, record=True)
    first.save_checkpoint(tmp_path / "half.ckpt")
    _, _, whole = trained(4, record=True, path=tmp_path / "half.ckpt")
    again = whole.recorder.history()
    assert again.t.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(again.features[:2], broken.recorder.history().features)


# In a process of its own, because in a checkout the folder `datasets` looks like the library of that name.
HUGGINGFACE = """
import json, sys
import metalcx.histories
from pathlib import Path
sys.path = [p for p in sys.path if not (Path(p or ".") / "datasets").is_dir() or "site-packages" in p]
import torch, transformers
from metalcx.histories import FeatureRecorder, FixedSample, fit_proxy

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = torch.nn.Linear(6, 12), torch.nn.Linear(12, 3)

    def forward(self, values, labels=None):
        logits = self.head(self.body(values).relu())
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}

def data(seed):
    made = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (120,), generator=made)
    values = torch.randn(120, 6, generator=made)
    values[:, :3] += 3 * torch.nn.functional.one_hot(labels, 3)
    return [{"values": x, "labels": y} for x, y in zip(values, labels)]

class Recording(transformers.TrainerCallback):
    def __init__(self, recorder):
        self.recorder = recorder

    def on_epoch_end(self, args, state, control, **kwargs):
        self.recorder.record(round(state.epoch))

def trained(record):
    model = Net()
    recorder = FeatureRecorder(model, FixedSample.draw(data(0), data(1)))
    args = transformers.TrainingArguments(output_dir="out", report_to="none", use_cpu=True, disable_tqdm=True,
        logging_strategy="no", save_strategy="no", num_train_epochs=4, learning_rate=1e-2)
    transformers.Trainer(model, args, train_dataset=data(0), callbacks=[Recording(recorder)] if record else []).train()
    return model, recorder

plain, _ = trained(False)
model, recorder = trained(True)
same = all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), model.state_dict().values()))
history = recorder.history()
proxy = fit_proxy(history, "concat")
accuracy = float((proxy.val.argmax(1) == proxy.y_val).mean())
print("SAID", json.dumps([history.t.tolist(), recorder.layer, list(history.features.shape), same, accuracy]))
"""


def test_huggingface(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    done = subprocess.run(
        [sys.executable, "-c", HUGGINGFACE], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = next(line for line in done.stdout.splitlines() if line.startswith("SAID "))
    t, layer, shape, same, accuracy = json.loads(said[5:])
    assert (t, layer, shape, same) == ([1, 2, 3, 4], "head", [4, 240, 12], True)
    assert accuracy > 0.6
