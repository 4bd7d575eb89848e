"""A study is followed from another process's storage, whatever becomes of the storage."""

from __future__ import annotations

import pytest

from metalcx.corpora.live import LiveOptions, live_curves, open_live
from metalcx.curves import Metric
from metalcx.errors import DataError

pytestmark = pytest.mark.slow
optuna = pytest.importorskip("optuna", reason="optuna is not installed")

SCORE = Metric("score", "max")


@pytest.fixture(params=["sqlite", "journal"])
def storage(request, tmp_path):
    """How to follow it, and the storage that a study writes to."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/study.db"
        return url, lambda: optuna.storages.RDBStorage(url)
    path = str(tmp_path / "study.journal")
    backend = optuna.storages.journal.JournalFileBackend
    return path, lambda: optuna.storages.JournalStorage(backend(path))


def followed(src, **options):
    return open_live(src, LiveOptions(SCORE, **options))


def test_trials_are_followed_as_they_report(storage):
    src, make = storage
    source = followed(src)
    source.poll()
    assert "no such file yet" in source.notes[0]
    study = optuna.create_study(storage=make(), study_name="s", direction="maximize")
    source.poll()
    trials = [study.ask({"lr": optuna.distributions.FloatDistribution(0.1, 1.0)}) for _ in range(4)]
    for step in range(3):
        for trial in trials:
            trial.report(trial.number + step / 10, step)
        assert source.poll()
    assert not source.poll()
    study.tell(trials[0], 1.0)
    study.tell(trials[1], state=optuna.trial.TrialState.PRUNED)
    study.tell(trials[2], state=optuna.trial.TrialState.FAIL)
    assert source.poll()
    curves, notes = live_curves(source.runs, SCORE)
    assert notes == source.notes == []
    assert list(curves.status) == ["completed", "censored", "censored", "running"]
    assert curves.take([3]).y.tolist() == pytest.approx([3.0, 3.1, 3.2])
    assert (curves.config["lr"] >= 0.1).all()


def test_the_study_is_named_where_there_are_several(storage):
    src, make = storage
    for name in "ab":
        optuna.create_study(storage=make(), study_name=name, direction="maximize")
    with pytest.raises(DataError, match="holds the studies 'a', 'b'; choose one with --task"):
        followed(src).poll()
    source = followed(src, task="c")
    source.poll()
    assert "holds no study 'c' yet" in source.notes[0]
    source = followed(src, task="b")
    source.poll()
    assert source.notes == []


def test_a_study_that_goes_the_other_way_is_refused(storage):
    src, make = storage
    optuna.create_study(storage=make(), direction="minimize")
    with pytest.raises(DataError, match="goes for minimize, the metric for max"):
        followed(src).poll()


def test_a_deleted_study_and_a_broken_storage_break_nothing(storage, tmp_path):
    src, make = storage
    study = optuna.create_study(storage=make(), study_name="s", direction="maximize")
    study.ask().report(1.0, 0)
    source = followed(src)
    source.poll()
    assert len(source.runs) == 1
    optuna.delete_study(study_name="s", storage=make())
    source.poll()
    assert source.notes != []
    next(path for path in tmp_path.iterdir() if path.name.startswith("study.")).write_bytes(b"no storage at all")
    for _ in range(3):
        source.poll()
    assert source.notes != []
