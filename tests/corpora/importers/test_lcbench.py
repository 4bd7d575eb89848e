from __future__ import annotations

import json

import numpy as np
import pytest

from metalcx.curves import Metric
from metalcx.errors import DataError

CONFIG = {
    "batch_size": 124,
    "imputation_strategy": "mean",
    "mlp_shape": "funnel",
    "num_layers": 3,
    "max_units": 106,
    "learning_rate": 0.07113964491331314,
}
ACCURACY = [51.19464874267578, 63.48247146606445, 65.89944458007811]
LOSS = [0.7022241950035095, 0.6901828646659851, 0.6828941702842712]


def run(accuracy=ACCURACY, loss=LOSS, **results):
    log = {
        "time": [1.5, 3.25, 5.0][: len(accuracy)],
        "epoch": list(range(len(accuracy))),
        "Train/loss": loss,
        "Train/val_accuracy": accuracy,
        "Train/test_result": accuracy[::-1],
        "Train/gradient_mean": [0.0] * len(accuracy),
        "Train/lr": [0.1] * len(accuracy),
    }
    known = {"OpenML_task_id": 167200, "seed": 1, "instances": "98050", "classes": "2", "features": "28.0"}
    return {"config": CONFIG, "log": log, "results": {**known, **results}}


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def test_the_published_layout(tmp_path, convert):
    src = write(
        tmp_path / "data_2k_lw.json",
        {"higgs": {"0": run(), "1": run(ACCURACY[:2], LOSS[:2])}, "mfeat-factors": {"7": run(seed=5)}},
    )
    corpus, report = convert("lcbench", src)
    assert (report.tasks, report.runs, report.points, report.skipped) == (2, 3, 8, {})
    tasks = corpus.tasks.set_index("task")
    assert tasks.loc["mfeat-factors", ["dataset", "family", "domain", "metric"]].tolist() == [
        "mfeat-factors",
        "mfeat",
        "tabular-classification",
        "val_accuracy",
    ]
    assert tasks.loc["higgs", ["n_train", "n_features", "n_classes"]].tolist() == [98050, 28, 2]
    curves = corpus.task("higgs").curves(metrics=["val_accuracy", "test_accuracy", "train_loss"])
    assert curves.t.tolist() == [0, 1, 2, 0, 1]
    single = np.float32(np.array(ACCURACY) / 100)
    assert np.array_equal(np.float32(curves.values["val_accuracy"][:3]), single)
    assert np.array_equal(np.float32(curves.values["test_accuracy"][:3]), single[::-1])
    assert np.array_equal(np.float32(curves.values["train_loss"][:3]), np.float32(LOSS))
    assert corpus.runs["group"].tolist() == ["cfg0", "cfg1", "cfg7"]
    assert corpus.runs["seed"].tolist() == ["1", "1", "5"]
    assert json.loads(corpus.runs["config"][0]) == CONFIG
    assert corpus.runs["arch"].unique().tolist() == ["mlp-funnel-l3-u106"]


def test_a_run_that_turns_nan_diverges_there(tmp_path, convert):
    src = write(tmp_path / "d.json", {"higgs": {"0": run([50.0, float("nan"), 60.0]), "1": run()}})
    corpus, _ = convert("lcbench", src)
    assert corpus.runs["status"].tolist() == ["diverged", "completed"]
    assert corpus.task("higgs").curves().y[:2].tolist() == [0.5, np.inf]


def test_the_metric_and_the_task_may_be_chosen(tmp_path, convert):
    src = write(tmp_path / "d.json", {"higgs": {"0": run()}, "adult": {"0": run()}})
    corpus, report = convert("lcbench", src, metric=Metric("train_loss", "min"), task="adult", name="mine")
    assert corpus.tasks[["task", "metric"]].values.tolist() == [["adult", "train_loss"]]
    assert report.skipped == {"is not the task adult": ["higgs"]}
    for options, match in (
        ({"metric": Metric("loss", "min")}, "has no metric loss:min"),
        ({"metric": Metric("train_loss", "max")}, "has no metric train_loss:max"),
        ({"dataset": "x"}, "leave --dataset"),
        ({"task": "nothing"}, "2 left out: is not the task nothing"),
    ):
        with pytest.raises(DataError, match=match):
            convert("lcbench", src, **options)


def test_runs_that_cannot_be_kept_are_told(tmp_path, convert):
    ragged = run()
    ragged["log"]["Train/loss"] = LOSS[:2]
    backwards = run()
    backwards["log"]["epoch"] = [2, 1, 0]
    bad = {"0": run(), "1": ragged, "2": run([50.0, 101.0, 60.0]), "3": backwards, "4": run([], [])}
    _, report = convert("lcbench", write(tmp_path / "d.json", {"higgs": bad}))
    assert report.runs == 1
    assert report.skipped == {
        "curves of one run differ in length": ["higgs-1"],
        "val_accuracy leaves its bounds": ["higgs-2"],
        "times do not ascend": ["higgs-3"],
        "no point of val_accuracy was measured": ["higgs-4"],
    }


def spoilt(change):
    data = {"higgs": {"0": run(), "1": run()}}
    change(data["higgs"]["1"])
    return json.dumps(data)


WHOLE = json.dumps({"higgs": {"0": run()}})
BAD = [
    ("", "expecting '{'"),
    ("[]", "expecting '{'"),
    ("{}", "holds no run"),
    ('{"higgs": {}}', "holds no run"),
    ('{"higgs": {"0": {"config": {}, "results": {}}}}', "has no 'log'"),
    ('{"higgs": {"0": {"log": {"loss": []}}}}', "none of the tags of LCBench"),
    ('{"higgs": {"0": 3}}', "an object with 'log' was expected"),
    (WHOLE[:-1], "expecting"),
    (WHOLE[:200], "is not the JSON"),
    (WHOLE + "{}", "more after its end"),
    ('{"higgs"; {}}', "expecting ':'"),
    (spoilt(lambda r: r.pop("config")), "higgs: 1: has no 'config'"),
    (spoilt(lambda r: r["log"].pop("Train/loss")), "higgs: 1: has no 'Train/loss'"),
    (spoilt(lambda r: r["log"].update({"Train/loss": ["a", 1, 2]})), "'a' is no number"),
    (spoilt(lambda r: r["log"].update({"Train/loss": "0.1"})), "a list of numbers was expected"),
    (spoilt(lambda r: r["log"].update({"Train/loss": [True, 1, 2]})), "True is no number"),
    (spoilt(lambda r: r["log"].update({"Train/loss": [10**400, 1, 2]})), "beyond double precision"),
]


@pytest.mark.parametrize(("text", "match"), BAD)
def test_files_that_are_no_lcbench_are_refused(tmp_path, convert, text, match):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(DataError, match=match) as caught:
        convert("lcbench", tmp_path / "d.json")
    assert str(caught.value).startswith(str(tmp_path / "d.json"))
    assert [file.name for file in tmp_path.iterdir()] == ["d.json"]


def test_a_file_that_is_missing_or_binary(tmp_path, convert):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none", "binary", "."):
        with pytest.raises(DataError, match="cannot be read"):
            convert("lcbench", tmp_path / name)
