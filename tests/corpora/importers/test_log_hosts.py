"""Logs that the hosts' own loggers write in real trainings, tiny ones."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from read_logs import opened, read

from metalcx.curves import Metric
from metalcx.errors import DataError, MissingDependencyError

pytestmark = pytest.mark.slow

LOSS = Metric("val_loss", "min", 0.0)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def test_lightning_trainer(src: Path) -> None:
    pl = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
    import torch
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Line(pl.LightningModule):
        def __init__(self, lr: float, sizes: tuple[int, ...]) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(1, 1)
            self.seen: list[float] = []

        def training_step(self, batch, index):
            loss = (self.layer(batch[0]) - 3 * batch[0]).square().mean()
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch, index):
            loss = (self.layer(batch[0]) - 3 * batch[0]).square().mean()
            self.log("val_loss", loss)

        def on_validation_epoch_end(self):
            if not self.trainer.sanity_checking:
                self.seen.append(float(self.trainer.callback_metrics["val_loss"]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.hparams.lr)

    loader = DataLoader(TensorDataset(torch.linspace(-1, 1, 16)[:, None]), batch_size=4)
    seen, epochs = {}, {0.1: 6, 0.01: 3}
    for lr, last in epochs.items():
        trainer = pl.Trainer(
            max_epochs=last,
            logger=CSVLogger(src, name="line"),
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
        )
        model = Line(lr, (1, 2))
        trainer.fit(model, loader, loader)
        seen[lr] = model.seen
    report, runs = read("lightning-csv", src, LOSS, metrics=(Metric("train_loss", "min"),))
    assert report.skipped == {}
    for i, (lr, last) in enumerate(epochs.items()):
        one = runs[f"line/version_{i}"]
        assert one.t.tolist() == list(range(4 * last)), "a training loss a step"
        assert np.isfinite(one.values["train_loss"]).all()
        measured = np.isfinite(one.y)
        assert one.t[measured].tolist() == [4 * epoch + 3 for epoch in range(last)]
        assert one.y[measured] == pytest.approx(seen[lr])
    assert [json.loads(c) for c in opened(src).runs["config"]] == [{"lr": lr, "sizes": [1, 2]} for lr in epochs]
    _, runs = read("lightning-csv", src, LOSS, time="epoch")
    assert runs["line/version_0"].t.tolist() == [0, 1, 2, 3, 4, 5]


KERAS = """
import sys
import keras, numpy as np
x = np.linspace(-1, 1, 32)[:, None]
both = (x, 3 * x)
fits = (("a", 0.1, 7, both), ("b", 0.01, 4, both), ("c", 0.1, 2, None), ("d", 1e9, 9, both))
for name, lr, epochs, validation in fits:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(lr), "mse")
    log = keras.callbacks.CSVLogger(f"{name}.csv", separator=";" if name == "b" else ",")
    seen = model.fit(x, 3 * x, epochs=epochs, verbose=0, validation_data=validation, callbacks=[log])
    np.savetxt(f"{name}.seen", seen.history.get("val_loss", []))
"""

TRAINER = """
import sys
from pathlib import Path
# In a checkout, the folder `datasets` looks like the library of that name, which is not installed.
sys.path = [p for p in sys.path if not (Path(p) / "datasets").is_dir() or "site-packages" in p]
import numpy as np, torch, transformers

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        out = self.layer(x)
        return {"loss": (out - labels).square().mean(), "logits": out}

points = np.linspace(-1, 1, 16, dtype=np.float32)
data = [{"x": torch.tensor([v]), "labels": torch.tensor([3 * v])} for v in points]
for name, epochs in (("a", 5), ("b", 3)):
    trainer = transformers.Trainer(Line(), transformers.TrainingArguments(
        output_dir=name, num_train_epochs=epochs, per_device_train_batch_size=4, logging_steps=1,
        eval_strategy="epoch", save_strategy="epoch", report_to=[], use_cpu=True, disable_tqdm=True,
    ), train_dataset=data, eval_dataset=data)
    trainer.train()
    np.savetxt(f"{name}.seen", [float(e["eval_loss"]) for e in trainer.state.log_history if "eval_loss" in e])
trainer.save_state()
"""


def train(code: str, folder: Path, needs: str, **environment: str) -> None:
    """Run a training in a process and a folder of its own: hosts choose backends once, and look around them."""
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_keras_fit(src: Path) -> None:
    train(KERAS, src, "keras", KERAS_BACKEND="torch", KERAS_HOME=str(src.parent))
    report, runs = read("keras-csv", src, LOSS, metrics=(Metric("loss", "min"),))
    assert report.skipped == {"no value of 'val_loss'": ["c"]}
    assert {name: len(one.t) for name, one in runs.items() if name != "d"} == {"a": 7, "b": 4}
    for name in "ab":
        assert runs[name].y == pytest.approx(np.loadtxt(src / f"{name}.seen"), rel=1e-6)
    assert (runs["d"].status[0], runs["d"].y[-1]) == ("diverged", np.inf)


def test_hf_trainer(src: Path) -> None:
    train(TRAINER, src, "transformers")
    assert (src / "b" / "trainer_state.json").is_file()
    assert len(list(src.glob("*/checkpoint-*/trainer_state.json"))) == 8
    report, runs = read("hf-trainer", src, Metric("eval_loss", "min"), metrics=(Metric("loss", "min"),))
    for name, epochs in (("a", 5), ("b", 3)):
        one = runs[name]
        assert one.t.tolist() == list(range(1, 4 * epochs + 1))
        assert np.isfinite(one.values["loss"]).all()
        assert one.y[np.isfinite(one.y)] == pytest.approx(np.loadtxt(src / f"{name}.seen"), rel=1e-5)
    assert sum(map(len, report.skipped.values())) == 7, "older states"
    assert [runs[name].status[0] for name in "ab"] == ["completed", "censored"]
    _, runs = read("hf-trainer", src, Metric("eval_loss", "min"), time="epoch")
    assert runs["a"].t.tolist() == [1, 2, 3, 4, 5]


@pytest.fixture
def mlflow_store(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two experiments: long, failed, running, diverged and foreign runs, logged by the client."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    from mlflow import MlflowClient
    from mlflow.entities import Metric as Point
    from mlflow.entities import Param

    store = tmp_path / ("mlruns" if request.param == "file" else "mlflow.db")
    if request.param == "sqlite":
        pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
    client = MlflowClient(store.as_uri() if request.param == "file" else f"sqlite:///{store}")

    def log(experiment: str, name: str, values: list[float], end: str | None, tag: str = "val_loss", again: int = 0):
        run = client.create_run(experiment, run_name=name)
        start = run.info.start_time
        points = [Point(tag, v, start + 1000 * k, k) for k, v in enumerate(values)]
        points += [Point(tag, 9.0, start + 1000 * (len(values) + k), k) for k in range(again)]
        for first in range(0, len(points), 500):
            client.log_batch(run.info.run_id, points[first : first + 500])
        client.log_batch(run.info.run_id, params=[Param("lr", "0.1"), Param("deep", "True"), Param("opt", "adam")])
        if end:
            client.set_terminated(run.info.run_id, end)
        return run

    one = client.create_experiment("one", artifact_location=str(tmp_path / "artifacts"))
    log(one, "long", (1 / np.arange(1, 1201)).tolist(), "FINISHED", again=2)
    log(one, "failed", [1.0, 0.5], "FAILED")
    log(one, "going", [1.0, 0.5], None)
    log(one, "broken", [1.0, float("inf")], "FINISHED")
    log(one, "nan", [1.0, float("nan"), 1.0], "FINISHED")
    log(one, "parent", [1.0], "FINISHED", tag="other")
    client.delete_run(log(one, "deleted", [1.0], "FINISHED").info.run_id)
    two = client.create_experiment("two", artifact_location=str(tmp_path / "artifacts"))
    log(two, "long", [1.0, 0.25, 0.125], "FINISHED")
    return store


@pytest.mark.parametrize("mlflow_store", ["file", "sqlite"], indirect=True)
def test_mlflow_client(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    before = contents(mlflow_store)
    report, runs = read("mlflow", mlflow_store, LOSS)
    assert contents(mlflow_store) == before, "the store is only read"
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    assert report.tasks == 2
    status = {name: one.status[0] for name, one in runs.items()}
    (second,) = [name for name in runs if name.startswith("long (")]
    ends = {"long": "completed", second: "completed", "failed": "censored", "broken": "diverged", "nan": "diverged"}
    assert status == ends
    sizes = sorted(len(one.t) for name, one in runs.items() if name.startswith("long"))
    assert sizes == [3, 1200]
    long = max((runs["long"], runs[second]), key=lambda one: len(one.t))
    assert long.y[:3] == pytest.approx([9, 9, 1 / 3])
    assert long.values["seconds"][2:5].tolist() == [2, 3, 4]
    assert runs["broken"].y.tolist() == runs["nan"].y.tolist() == [1, np.inf]
    assert {why: what for why, what in report.skipped.items() if "running" in why}.popitem()[1] == ["going"]
    assert report.skipped["no value of 'val_loss'"] == ["parent"]
    assert sum(len(what) for what in report.skipped.values()) == 3
    for config in opened(mlflow_store).runs["config"]:
        assert json.loads(config) == {"lr": 0.1, "deep": True, "opt": "adam"}
    _, runs = read("mlflow", mlflow_store, LOSS, time="seconds", horizon=1.0, task="both")
    assert runs["going"].status[0] == "completed", "it reached the horizon that was given"
    assert opened(mlflow_store).tasks["task"].tolist() == ["both"]


def contents(store: Path) -> dict[str, bytes]:
    files = [store] if store.is_file() else [p for p in store.rglob("*") if p.is_file()]
    return {str(p): p.read_bytes() for p in files}


@pytest.mark.parametrize("mlflow_store", ["sqlite"], indirect=True)
def test_mlflow_uris_and_what_is_no_store(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from metalcx.corpora.importers import ImportOptions
    from metalcx.corpora.importers._base import Tally
    from metalcx.corpora.importers._mlflow import read_mlflow

    def names(src: str) -> list[str]:
        return [
            str(run) for task in read_mlflow(Path(src), ImportOptions(LOSS), Tally()).tasks for run in task.curves.ids
        ]

    wanted = names(str(mlflow_store))
    assert wanted == names(f"sqlite:///{mlflow_store}") == names("sqlite:///mlflow.db") == names(".")
    for src, said in (
        ("http://localhost:5000", "tracking servers are not read"),
        ("nowhere", "there is no such store"),
        (str(mlflow_store.parent / "artifacts"), "there is no such store|holds no experiment"),
    ):
        with pytest.raises(DataError, match=said):
            names(src)
    other = mlflow_store.with_name("other.db")
    sqlite3.connect(other).execute("create table experiments (id)").connection.close()
    with pytest.raises(DataError, match=r"other\.db: is a database, but not of MLflow"):
        names(str(other))
    other.write_bytes(mlflow_store.read_bytes()[:20000])
    with pytest.raises(DataError, match=r"other\.db: is no whole SQLite database|MLflow cannot"):
        names(str(other))
    other.write_text("no database")
    with pytest.raises(DataError, match=r"other\.db: is no SQLite database"):
        names(str(other))
    for name in ("sqlalchemy", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingDependencyError, match=r'pip install "metalcx\[mlflow\]"'):
            names(str(mlflow_store))


@pytest.mark.parametrize("mlflow_store", ["file"], indirect=True)
def test_an_mlflow_folder_that_may_not_be_written_to(mlflow_store: Path) -> None:
    shutil.rmtree(mlflow_store / ".trash", ignore_errors=True)
    read("mlflow", mlflow_store, LOSS)
    assert not (mlflow_store / ".trash").exists()
