"""The bench of histories on a few runs of the corpus that ships."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from metalcx.bench._tau import tau
from metalcx.bench.histories import _run as _histories
from metalcx.bench.histories import _scores
from metalcx.bench.histories._scores import OURS, PLAIN, RAW, judged_tasks, scores
from metalcx.cli._app import app
from metalcx.corpora import CorpusWriter
from metalcx.forecasters import Baseline
from metalcx.histories import HistoryCorpus
from metalcx.histories._corpus import HISTORIES, LABELS

TASKS = ("clusters", "quantiles", "merged-digits")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> HistoryCorpus:
    """Twenty runs of three tables."""
    whole, path = HistoryCorpus.open(), tmp_path_factory.mktemp("few") / "corpus"
    kept = []
    manifest = whole.corpus.manifest
    about = {"licence": manifest.licence, "citation": manifest.citation, "redistributable": True}
    with CorpusWriter(
        path, name="few", time_unit="epoch", metrics=whole.corpus.metrics, seconds=True, **about
    ) as writer:
        architectures = whole.corpus.architectures.set_index("arch")
        known = set()
        for name in TASKS:
            task = whole.corpus.task(name)
            writer.add_task(name, dataset=task.dataset, family=task.family, domain=task.domain, metric=task.metric.name)
            numbers = whole.corpus.runs.query("task == @name")["run"].to_numpy()[:20]
            curves = task.curves(("ema_accuracy", "train_loss", "seconds"), numbers)
            for arch in set(curves.arch) - known:
                row = architectures.loc[arch]
                writer.add_architecture(arch, format=row["format"], spec=row["spec"], graph=row["graph"])
                known.add(arch)
            writer.add_runs(name, curves)
            kept += list(numbers)
    rows = whole.rows[whole.rows["run"].isin(kept)]
    place = {number: i for i, number in enumerate(kept)}
    rows.assign(run=rows["run"].map(place).astype(np.int32)).to_parquet(path / HISTORIES)
    shutil.copy2(whole.corpus.path / LABELS, path / LABELS)
    return HistoryCorpus.open(path)


def test_plain_estimates_are_read_off_the_curves(few: HistoryCorpus) -> None:
    judged = {(j.name, j.cut): j for j in judged_tasks(few)}
    assert len(judged) == 9
    one = judged["quantiles", 0.1]
    assert one.t == 4.0
    curve, plain = few.corpus.task("quantiles").curves(), one.plain()
    for i, run in enumerate(one.curves.ids):
        y = curve.take(curve.ids == run).y
        finite = np.where(np.isfinite(y), y, -1)
        assert one.peaks[i] == finite.max()
        assert (plain["last"][i], plain["best"][i]) == (y[4], finite[:5].max())
        assert plain["best of one more"][i] == finite[:6].max()
    assert set(plain) == {*PLAIN, *RAW}


def test_scores() -> None:
    peak = np.array([0.5, 0.6, 0.7, 0.9])
    found = scores(np.array([0.7, 0.6, 0.5, 0.4]), peak, None)
    assert (found["tau"], found["regret@1"], found["n"]) == (-1.0, pytest.approx(0.4), 4)
    assert found["regret@3"] == pytest.approx(0.2)
    assert tau(np.zeros(4), peak) == 0.0


def test_the_command_writes_its_tables(few: HistoryCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two forecasters of curves, one cut and few resamples."""
    curves = {name: Baseline(name) for name in ("med5", "affine")}
    monkeypatch.setattr(_histories, "_curve_forecasters", lambda family: curves)
    monkeypatch.setattr(_histories, "RESAMPLES", 4)
    monkeypatch.setattr(_scores, "CUTS", (0.1,))
    command = ["bench", "histories", "--data", str(few.corpus.path), "--out", str(tmp_path), "--draws", "1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(tmp_path / "scores.csv")
    assert {*OURS, *PLAIN, *RAW, "med5", "affine", "med5, accuracy"} <= set(found.method)
    assert found.groupby("task")["n"].nunique().eq(1).all()
    page = (tmp_path / "tables.md").read_text()
    assert page.count("is ahead of every other method on") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "versus.csv", "cost.csv", "tables.md"}


def test_another_corpus_may_be_what_is_learned_from(
    few: HistoryCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each family is held out of it, too."""
    held: list[tuple[str, ...]] = []
    learn = HistoryCorpus.calibration
    monkeypatch.setattr(_histories, "_curve_forecasters", lambda family: {"med5": Baseline("med5")})
    monkeypatch.setattr(
        HistoryCorpus,
        "calibration",
        lambda self, holdout: (held.append((self.corpus.name, *holdout)), learn(self, holdout=holdout))[1],
    )
    monkeypatch.setattr(_histories, "RESAMPLES", 4)
    monkeypatch.setattr(_scores, "CUTS", (0.1,))
    _histories.run_histories(few.corpus.path, tmp_path, sources=few.corpus.path, draws=1)
    assert {family for _, family in held} == {"make-classification", "make-gaussian-quantiles", "digits"}
    assert "judged by what learned from few" in (tmp_path / "tables.md").read_text()


def test_a_model_is_not_judged_on_a_family_of_its_sources() -> None:
    assert set(_histories._curve_forecasters("digits")) == {"med5", "affine"}
