from __future__ import annotations

import json

import numpy as np
import pytest

from metalcx.errors import DataError

NAN = float("nan")
NAME = "FixedTextRNNClassification_imdb_patch32_GRU64_avg_bs128.json"
LOSSES = [0.6941490292549133, 0.6826954007148742, 0.6745887994766235]


def run(valid=LOSSES, rate=0.1):
    return {
        "hp": {"learning_rate": rate, "beta1": 0.9},
        "train": {"loss": [v - 0.01 for v in valid]},
        "valid": {"loss": valid},
        "test": {"loss": [v + 0.01 for v in valid]},
    }


def write(path, data, name=NAME):
    path.mkdir(exist_ok=True)
    (path / name).write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_the_exported_layout(tmp_path, convert):
    src = write(tmp_path / "taskset", [run(), run([0.7, NAN, NAN], 5.0), run([0.7, 0.6, 1e39])])
    write(src, [run()], "FixedTextRNNClassification_imdb_patch128_LSTM128_bs64.json")
    write(src, "{}", "other.json")
    corpus, report = convert("taskset", src)
    assert (report.tasks, report.runs, report.points) == (2, 4, 11)
    assert corpus.tasks[["task", "dataset", "family", "domain", "metric"]].values.tolist()[1] == [
        "patch32_GRU64_avg_bs128",
        "imdb",
        "imdb",
        "txt-classification",
        "valid_loss",
    ]
    assert corpus.runs["status"].tolist() == ["completed", "completed", "diverged", "diverged"]
    assert corpus.runs["group"].tolist() == ["cfg0", "cfg0", "cfg1", "cfg2"]
    assert json.loads(corpus.runs["config"][2]) == {"learning_rate": 5.0, "beta1": 0.9, "batch": 128}
    curves = corpus.task("patch32_GRU64_avg_bs128").curves(metrics=["valid_loss", "train_loss"])
    assert curves.t.tolist() == [0, 200, 400, 0, 200, 0, 200, 400]
    assert np.array_equal(np.float32(curves.y[:3]), np.float32(LOSSES))
    assert np.isinf(curves.y[[4, 7]]).all()
    assert np.isnan(curves.values["train_loss"][[4, 7]]).all()
    graphs = corpus.architectures.set_index("arch")["graph"]
    assert json.loads(graphs["gru-64-avg-patch32"])["nodes"][2] == {"op": "gru", "out": 64}
    assert "lstm-128--patch128" in graphs


def test_one_file_of_another_name_has_no_architecture(tmp_path, convert):
    corpus, _ = convert("taskset", write(tmp_path / "t", [run()], "mine.json") / "mine.json")
    assert corpus.task_names == ("mine",)
    assert corpus.runs["arch"].isna().all()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("[", "no whole JSON"),
        ("{}", "a list of runs was expected"),
        ([{"hp": {}}], "run 0: has no 'valid'"),
        ([{**run(), "hp": 3}], "'hp' is int"),
        ([{**run(), "test": {}}], "run 0: test: has no 'loss'"),
        ([run(), {**run(), "valid": {"loss": ["0.5"]}}], "run 1: valid loss: '0.5' is no number"),
        ([3], "an object with 'valid' was expected"),
        ([], "no run was found"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, convert, data, match):
    src = write(tmp_path / "t", data)
    with pytest.raises(DataError, match=match):
        convert("taskset", src)
    assert not (tmp_path / "corpus").exists()


def test_an_empty_folder_is_refused(tmp_path, convert):
    with pytest.raises(DataError, match="holds no FixedTextRNNClassification_imdb_"):
        convert("taskset", tmp_path)
