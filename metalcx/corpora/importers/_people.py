"""The importers of people's own logs and tables, by format."""

from __future__ import annotations

from metalcx.corpora.importers._base import Importer
from metalcx.corpora.importers._csv_logs import read_keras_csv, read_lightning_csv
from metalcx.corpora.importers._hf_trainer import read_hf_trainer
from metalcx.corpora.importers._long_and_wide import read_csv, read_wide_csv
from metalcx.corpora.importers._mlflow import read_mlflow
from metalcx.corpora.importers._tensorboard import read_tensorboard
from metalcx.corpora.importers._wandb import read_wandb

#: Format -> importer. All of them want the metric declared.
PEOPLE: dict[str, Importer] = {
    "csv": read_csv,
    "hf-trainer": read_hf_trainer,
    "keras-csv": read_keras_csv,
    "lightning-csv": read_lightning_csv,
    "mlflow": read_mlflow,
    "tensorboard": read_tensorboard,
    "wandb": read_wandb,
    "wide-csv": read_wide_csv,
}
