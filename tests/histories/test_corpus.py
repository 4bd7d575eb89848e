"""The corpora that ship: what is written there follows from what else is written there."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from metalcx.corpora import validate
from metalcx.errors import CorpusError
from metalcx.histories import History, HistoryCorpus
from metalcx.histories._corpus import FEATURES, HISTORIES, LABELS, PREDICTED, _majority
from metalcx.histories._traits import SKILLS, TRAITS, proxies_of, traits_of


@pytest.fixture(scope="module", params=["histories", "histories-fresh"])
def data(request: pytest.FixtureRequest) -> HistoryCorpus:
    return HistoryCorpus.open(request.param)


@pytest.fixture(scope="module")
def labels(data: HistoryCorpus) -> pd.DataFrame:
    table = pd.read_parquet(data.corpus.path / LABELS).set_index("task")
    return table.map(lambda text: np.frombuffer(text, np.uint8))


def test_it_is_valid_and_as_large_as_its_card_says(data: HistoryCorpus) -> None:
    validate(data.corpus.path).raise_if_invalid()
    assert (data.corpus.runs.groupby("task").size() >= 100).all()
    assert len(data.corpus.tasks) == {"histories": 7, "histories-fresh": 6}[data.corpus.name]
    card = (data.corpus.path / "README.md").read_text()
    assert f"{data.corpus.n_runs} trainings" in card
    assert sum(path.stat().st_size for path in data.corpus.path.iterdir()) < 6_000_000


def test_the_fresh_tasks_are_of_families_of_their_own() -> None:
    known, fresh = (set(HistoryCorpus.open(name).corpus.tasks["family"]) for name in ("histories", "histories-fresh"))
    assert len(fresh) == 6
    assert not known & fresh


def test_predicted_classes_give_the_accuracies(data: HistoryCorpus, labels: pd.DataFrame) -> None:
    rows = data.rows[data.rows["chance"].notna()]
    tasks = data.corpus.runs["task"].to_numpy()[rows["run"]]
    for name in PREDICTED:
        known = np.stack([np.frombuffer(c, np.uint8) for c in rows[f"{name}_classes"]])
        truth = np.stack([labels.loc[task, "val"] for task in tasks])
        accuracy = (known == truth).mean(1)
        skills = rows[name].to_numpy(np.float64)
        told = rows["chance"] + (1 - rows["chance"]) * skills
        np.testing.assert_allclose(accuracy, told, atol=1e-6)


def test_the_networks_own_predictions_are_its_curve(data: HistoryCorpus, labels: pd.DataFrame) -> None:
    for task in data.corpus:
        curves = task.curves()
        runs = data.corpus.runs[data.corpus.runs["task"] == task.name]
        own = data.rows[data.rows["run"].isin(runs["run"])]
        said = np.stack([np.frombuffer(c, np.uint8) for c in own["own_classes"]])
        accuracy = (said == labels.loc[task.name, "val"]).mean(1)
        place = own["run"].to_numpy() - int(runs["run"].iloc[0])
        told = curves.padded().at(np.unique(own["t"]).astype(np.float64))
        column = np.searchsorted(np.unique(own["t"]), own["t"])
        # These scores were rounded to half precision as they were, in which those of two classes may be equal.
        gap = np.abs(accuracy - told[place, column])
        assert (gap > 1e-6).mean() < 0.1
        assert (gap > 0.0051).mean() < 0.02


def test_features_give_the_traits(data: HistoryCorpus, labels: pd.DataFrame) -> None:
    tensors = load_file(data.corpus.path / FEATURES)
    names = sorted({name.rpartition(".")[0] for name in tensors})
    assert len(names) == len(data.corpus.tasks)
    numbers = dict(zip(data.corpus.runs["name"], data.corpus.runs["run"], strict=True))
    for name in names:
        y = np.concatenate([*labels.loc[name.partition("/")[0], ["train", "val"]]]).astype(np.int64)
        parts = {what: tensors[f"{name}.{what}"] for what in ("t", "features", "outputs")}
        history = History(**parts, labels=y, n_train=len(labels.loc[name.partition("/")[0], "train"]))
        for t in (1, 2, 4):
            row = data.rows[(data.rows["run"] == numbers[name]) & (data.rows["t"] == t)].iloc[0]
            traits = dict(zip(TRAITS, traits_of(history.until(t)), strict=True))
            # An example on the border may fall the other way on another processor.
            for trait in TRAITS:
                assert traits[trait] == pytest.approx(float(row[trait]), abs=0.02 if trait in SKILLS else 0.05), trait
            mine = proxies_of(history.until(t))["concat"].val.argmax(1)
            assert (mine == np.frombuffer(row["concat_classes"], np.uint8)).mean() > 0.99


def test_lessons_are_of_runs_that_were_alive(data: HistoryCorpus) -> None:
    lessons = data.lessons()
    assert np.isfinite(lessons.x).all()
    assert np.isfinite(lessons.z).all()
    assert set(lessons.family) == set(data.corpus.tasks["family"])
    name = data.corpus.task_names[2]
    some = data.lessons([name])
    assert set(some.task) == {name}
    # The peak by half of the budget is at most that by all of it.
    one = data.corpus.task(name).curves()
    assert len(some) <= len(one) * 4 * 2


def test_a_task_without_a_recorded_run_is_refused(data: HistoryCorpus) -> None:
    task = data.corpus.task_names[0]
    others = data.rows[data.corpus.runs["task"].to_numpy()[data.rows["run"]] != task]
    lacking = HistoryCorpus(data.corpus, others)
    with pytest.raises(CorpusError, match=f"no run of task '{task}' is in it; leave the task out"):
        lacking.lessons([task])
    assert len(lacking.lessons([data.corpus.task_names[1]]).z)


def test_histories_are_looked_at_before_room_is_made_for_them(tmp_path, data: HistoryCorpus, monkeypatch) -> None:
    monkeypatch.setattr("metalcx.corpora._read_table.MAX_CELLS", 5)
    with pytest.raises(CorpusError, match=r"histories\.parquet: .*too many for a table"):
        HistoryCorpus.open(data.corpus.path)


def test_a_vote_is_of_the_majority() -> None:
    classes = np.array([[0, 1, 2, 0], [0, 1, 1, 1], [1, 2, 0, 1]], dtype=np.uint8)
    assert _majority(classes).tolist() == [0, 1, 0, 1]
    assert _majority(classes[:1]).tolist() == [0, 1, 2, 0]


def test_a_corpus_without_histories_is_refused(tmp_path, data: HistoryCorpus) -> None:
    for name in ("corpus.json", "tasks.parquet", "runs.parquet", "curves.parquet", "architectures.parquet"):
        shutil.copy2(data.corpus.path / name, tmp_path / name)
    with pytest.raises(CorpusError, match="needs its histories"):
        HistoryCorpus.open(tmp_path)
    data.rows.drop(columns="probe").to_parquet(tmp_path / HISTORIES)
    with pytest.raises(CorpusError, match="'probe' is missing"):
        HistoryCorpus.open(tmp_path)
