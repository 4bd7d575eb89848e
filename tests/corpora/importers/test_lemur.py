from __future__ import annotations

import json

import numpy as np
import pytest

from metalcx.errors import DataError

SCORES = [0.2619207029694148, 0.3, 0.31]
UIDS = ("a" * 32, "b" * 32)


def trial(score, uid=UIDS[0], duration=840297820363, lr=0.01, **more):
    known = {"accuracy": score, "batch": 16, "duration": duration, "lr": lr, "transform": "echo_256", **more}
    return {**known, "uid": uid} if uid else known


def write(root, network, epochs):
    folder = root / "ab" / "nn" / "stat" / network
    folder.mkdir(parents=True)
    for epoch, trials in epochs.items():
        (folder / f"{epoch}.json").write_text(trials if isinstance(trials, str) else json.dumps(trials))
    return root


def tree(root):
    two = {e: [trial(s, UIDS[0], e * 10**9), trial(s / 2, UIDS[1])] for e, s in enumerate(SCORES, 1)}
    two[10] = [trial(0.4, duration=10**10)]
    write(root, "img-classification_cifar-10_acc_Air_Net-1", two)
    write(root, "img-classification_imagenette_acc_AirNet", {1: [trial(0.5, None, lr=0.1), trial(0.6, None, lr=0.2)]})
    return write(root, "txt-generation_wikitext_ppl_LSTM", {1: [trial(0.5)], 2: [trial(float("nan"))]})


@pytest.mark.parametrize("part", ["", "ab/nn/stat"])
def test_the_published_tree(tmp_path, convert, part):
    root = tree(tmp_path / "nn-dataset")
    (root / "ab/nn/stat/1.json").write_text("[]")
    (root / "ab/nn/stat/img-classification_imagenette_acc_AirNet/notes.txt").write_text("")
    corpus, report = convert("lemur", root / part)
    assert (report.tasks, report.runs, report.points) == (3, 5, 11)
    assert report.skipped == {
        "is no folder <task>_<dataset>_<metric>_<network>": ["1.json"],
        "is no <epoch>.json": ["img-classification_imagenette_acc_AirNet/notes.txt"],
    }
    assert corpus.tasks[["task", "dataset", "family", "domain", "metric"]].values.tolist() == [
        ["img-classification/cifar-10/acc", "cifar10", "cifar10", "img-classification", "score"],
        ["img-classification/imagenette/acc", "imagenette", "imagenet", "img-classification", "score"],
        ["txt-generation/wikitext/ppl", "wikitext", "wikitext-2", "txt-generation", "score"],
    ]
    curves = corpus.task("img-classification/cifar-10/acc").curves(metrics=["score", "seconds"])
    assert curves.t.tolist() == [1, 2, 3, 10, 1, 2, 3]
    assert np.array_equal(np.float32(curves.y[:4]), np.float32([*SCORES, 0.4]))
    assert curves.values["seconds"][:4].tolist() == [1, 2, 3, 10]
    assert corpus.runs["arch"].tolist()[:2] == ["Air_Net-1", "Air_Net-1"]
    assert json.loads(corpus.runs["config"][0]) == {"batch": 16, "lr": 0.01, "transform": "echo_256"}
    assert corpus.runs["status"].tolist()[-1] == "diverged"


def test_scores_that_cannot_be_kept_are_told(tmp_path, convert):
    twice = [trial(0.1), trial(0.2), trial(1.5, UIDS[1])]
    corpus, report = convert("lemur", write(tmp_path / "r", "a_b_c_Net", {1: twice}))
    assert report.runs == 1
    assert corpus.task("a/b/c").curves().y.tolist() == [pytest.approx(0.1)]
    assert {why: len(what) for why, what in report.skipped.items()} == {
        "a second score of a trial at the same epoch": 1,
        "score leaves its bounds": 1,
    }


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("[{", "1.json: is no whole JSON"),
        ("{}", "1.json: a list of trials was expected"),
        ([{"batch": 1}], "1.json: has no 'accuracy'"),
        ([trial("0.5")], "'0.5' is no number"),
        ([trial(0.5, duration="long")], "'long' is no number"),
        ([3], "1.json: an object with 'accuracy' was expected"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, convert, content, match):
    src = write(tmp_path / "r", "a_b_c_Net", {1: content})
    with pytest.raises(DataError, match=match):
        convert("lemur", src)
    assert not (tmp_path / "corpus").exists()


def test_folders_without_networks_are_refused(tmp_path, convert):
    (tmp_path / "src").mkdir()
    for make in (lambda: None, lambda: (tmp_path / "src" / "a_b").mkdir()):
        make()
        with pytest.raises(DataError, match="holds no folder"):
            convert("lemur", tmp_path / "src")
    with pytest.raises(DataError, match="no run was found"):
        convert("lemur", write(tmp_path / "r", "a_b_c_Net", {}))
