from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from metalcx.curves import Metric
from metalcx.errors import DataError

NAN = float("nan")
RECIPE = {
    "i": {"op": "linear", "input": ["x", "h_prev_0"]},
    "h_new_1_part": {"op": "activation_tanh", "input": ["i"]},
    "h_new_1": {"op": "elementwise_sum", "input": ["h_new_1_part", "h_prev_1"]},
    "h_new_0": {"op": "elementwise_prod", "input": ["h_new_1", "i"]},
    "unused": {"op": "linear", "input": ["x"]},
}
LOSSES = [5.564831170550847, 5.190218154131356, 4.9954237288135594]


def log(recipe=1000001, val=LOSSES, status="OK", data="data/wikitext-2", **more):
    known = {
        "data": data,
        "recepie_id": recipe,
        "cuda": True,
        "batch_size": 20,
        "model": "CustomRNN",
        "nlayers": 3,
        "dropout": 0.1,
        "lr": 0.001,
        "epochs": 50,
        "recepie": json.dumps(RECIPE),
        "num_params": 10896400,
        "wall_times": [2.5] * len(val),
        "train_losses": [v - 0.1 for v in val],
        "val_losses": val,
        "test_losses": [v + 0.1 for v in val],
        "status": status,
    }
    return {**known, **more}


def name(number):
    return f"log_stats_model_{number}_2020-04-19_08-20-59_999949254.json"


def write(path, logs):
    path.mkdir(exist_ok=True)
    for i, entry in enumerate(logs):
        (path / name(i)).write_text(entry if isinstance(entry, str) else json.dumps(entry))
    return path


def pack(path, logs, home="logs/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{home}notes.txt", "x")
        for i, entry in enumerate(logs):
            archive.writestr(home + name(i), entry if isinstance(entry, str) else json.dumps(entry))
    return path


LOGS = [log(), log(7, [9.2, 9.1, NAN], "loss is nan!"), log(8, LOSSES[:2], "KeyboardInterrupt"), log(9, [])]


@pytest.mark.parametrize("make", [lambda root: write(root / "logs", LOGS), lambda root: pack(root / "logs.zip", LOGS)])
def test_a_folder_and_an_archive_give_the_same_corpus(tmp_path, convert, make):
    corpus, report = convert("nas-bench-nlp", make(tmp_path))
    assert (report.tasks, report.runs, report.points) == (1, 3, 8)
    assert report.skipped == {"no epoch was finished": [name(3).removesuffix(".json")]}
    assert corpus.tasks[["task", "dataset", "family", "domain", "metric"]].values.tolist() == [
        ["wikitext-2", "wikitext", "wikitext-2", "language-modelling", "val_loss"]
    ]
    assert corpus.runs["status"].tolist() == ["completed", "diverged", "censored"]
    assert corpus.runs["group"].tolist() == ["recipe-1000001", "recipe-7", "recipe-8"]
    curves = corpus.task("wikitext-2").curves(metrics=["val_loss", "test_loss", "seconds"])
    assert curves.t.tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert np.array_equal(np.float32(curves.y[:3]), np.float32(LOSSES))
    assert np.isinf(curves.y[5])
    assert curves.values["seconds"][:3].tolist() == [2.5, 5.0, 7.5]
    config = json.loads(corpus.runs["config"][0])
    assert config == {"batch_size": 20, "nlayers": 3, "dropout": 0.1, "lr": 0.001}
    arch = corpus.architectures.set_index("arch").loc["recipe-1000001"]
    assert json.loads(arch["spec"]) == RECIPE
    assert json.loads(arch["features"]) == {"n_params": 10896400}


def test_datasets_are_told_apart(tmp_path, convert):
    src = write(tmp_path / "logs", [log(), log(2, data="data/ptb"), log(3, data="data/kkwiki/")])
    corpus, _ = convert("nas-bench-nlp", src)
    assert corpus.tasks["family"].tolist() == ["kkwiki", "penntreebank", "wikitext-2"]
    with pytest.raises(DataError, match="several datasets"):
        convert("nas-bench-nlp", src, dataset="x")
    one = write(tmp_path / "one", [log(data="data/mine")])
    corpus, _ = convert("nas-bench-nlp", one, task="t", dataset="d", family="f")
    assert corpus.tasks[["task", "dataset", "family"]].values.tolist() == [["t", "d", "f"]]
    with pytest.raises(DataError, match="the metric is val_loss:min"):
        convert("nas-bench-nlp", one, metric=Metric("test_loss", "min"))


def test_recipes_become_functional_graphs(tmp_path, convert):
    recipes = [RECIPE, {"unused": RECIPE["unused"]}, {"h_new_0": {"op": "linear", "input": ["h_new_0"]}}]
    logs = [log(i, recepie=json.dumps(recipe)) for i, recipe in enumerate(recipes)]
    corpus, report = convert("nas-bench-nlp", write(tmp_path / "logs", logs))
    assert report.runs == 3
    # Without a new state, or read by itself, a recipe has no graph.
    assert corpus.architectures["graph"].isna().tolist() == [False, True, True]
    graph = json.loads(corpus.architectures["graph"][0])
    assert [node["op"] for node in graph["nodes"]] == [
        *("input", "input", "input"),  # x, h_prev_0, h_prev_1
        *("linear", "activation_tanh", "elementwise_sum", "elementwise_prod", "output"),
    ]
    assert graph["edges"] == [[0, 3], [1, 3], [3, 4], [4, 5], [2, 5], [5, 6], [3, 6], [5, 7], [6, 7]]


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("{", "0_2020.*is no whole JSON"),
        ([1], "an object with 'data' was expected"),
        ({k: v for k, v in log().items() if k != "val_losses"}, "has no 'val_losses'"),
        (log(val_losses=["5.5"]), "'5.5' is no number"),
        (log(val_losses="5.5"), "a list of numbers was expected"),
        (log(recepie_id="x"), "'recepie_id' is str"),
        (log(recepie="{"), "recepie: is no whole JSON"),
        (log(recepie="[]"), "the recipe is list"),
        (log(recepie='{"h_new_0": {"op": "linear"}}'), "h_new_0: has no 'input'"),
        (log(recepie='{"h_new_0": {"input": ["x"]}}'), "h_new_0: has no 'op'"),
    ],
)
def test_logs_of_another_kind_are_refused(tmp_path, convert, entry, match):
    for src in (write(tmp_path / "logs", [entry]), pack(tmp_path / "logs.zip", [entry])):
        with pytest.raises(DataError, match=match):
            convert("nas-bench-nlp", src)
    assert not (tmp_path / "corpus").exists()


def test_sources_of_another_kind_are_refused(tmp_path, convert):
    (tmp_path / "text.zip").write_text("no archive")
    whole = pack(tmp_path / "whole.zip", [log()]).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-40])
    (tmp_path / "flipped.zip").write_bytes(whole[:300] + b"\0\1\2" + whole[303:])
    for name_, match in (
        ("text.zip", "is no zip archive"),
        ("cut.zip", "is no zip archive"),
        ("flipped.zip", "is no zip archive|no run was found"),
        ("none", "is no zip archive"),
        (".", "holds no log_stats_model_"),
    ):
        with pytest.raises(DataError, match=match):
            convert("nas-bench-nlp", tmp_path / name_)
    with pytest.raises(DataError, match="no run was found"):
        convert("nas-bench-nlp", pack(tmp_path / "empty.zip", []))


def test_a_log_that_unpacks_to_a_bomb_is_refused(tmp_path, convert):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name(0), b" " * ((1 << 26) + 1))
    with pytest.raises(DataError, match="that is no log"):
        convert("nas-bench-nlp", tmp_path / "bomb.zip")
