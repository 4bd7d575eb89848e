from __future__ import annotations

import json

import numpy as np
import pytest

from metalcx.corpora.importers._families import openml_family
from metalcx.errors import DataError

META = {
    "learners": ["SVM_Linear", "KNN"],
    "dataset_ids": [11, 6],
    "anchors": [16, 18, 20],
    "stat_labels": ["mean", "stderr"],
    "tvt_labels": ["train", "val", "test"],
    "dims": "(learner, stat, anchor, train-val-test)",
}
NONE = [None, None, None]
ERROR = [[0.01, 0.01, 0.01]] * 3
SVM = [[[0.05, 0.2014, 0.2102], [0.0533, 0.1867, 0.1835], NONE], ERROR]
KNN = [[[0.0025, 0.3039, 0.3117], NONE, [0.1, None, 0.3]], ERROR]
SUMMARY = "Index_in_LCDB_1.1_FULL,OpenML_ID,Name,#Features,#Samples,#Classes,MaxClassRatio\n2,11,b,4,625,3,0.46\n"


def write(root, tables=None, meta=META, names=None, summary=SUMMARY):
    home = root / "docs" / "data"
    (home / "er").mkdir(parents=True)
    for name, table in (tables or {"11": [SVM, KNN], "6": [SVM, [[NONE] * 3, [NONE] * 3]]}).items():
        (home / "er" / f"{name}.json").write_text(table if isinstance(table, str) else json.dumps(table))
    (home / "meta.json").write_text(meta if isinstance(meta, str) else json.dumps(meta))
    (home / "names.json").write_text(json.dumps(names or {"11": "balance-scale", "6": "optdigits"}))
    if summary:
        (root / "metadata").mkdir()
        (root / "metadata" / "datasets_FULL_summary.csv").write_text(summary)
    return root


@pytest.mark.parametrize("part", ["", "docs/data"])
def test_the_published_layout(tmp_path, convert, part):
    corpus, report = convert("lcdb", write(tmp_path / "lcdb") / part)
    assert (report.tasks, report.runs, report.points) == (2, 3, 6)
    assert report.skipped == {"no point of val_error_rate was measured": ["openml-6-KNN"]}
    assert corpus.task_names == ("openml-6", "openml-11")
    row = corpus.tasks.set_index("task").loc["openml-11"]
    assert row[["dataset", "family", "openml_name"]].tolist() == ["openml-11", "balance-scale", "balance-scale"]
    assert row[["n_train", "n_features", "n_classes"]].tolist() == [625, 4, 3]
    curves = corpus.task("openml-11").curves(metrics=["val_error_rate", "train_error_rate", "test_error_rate"])
    assert curves.t.tolist() == [16, 18, 16, 20]
    assert np.array_equal(np.float32(curves.y), np.float32([0.2014, 0.1867, 0.3039, np.nan]), equal_nan=True)
    assert np.array_equal(np.float32(curves.values["train_error_rate"]), np.float32([0.05, 0.0533, 0.0025, 0.1]))
    assert np.array_equal(np.float32(curves.values["test_error_rate"][2:]), np.float32([0.3117, 0.3]))
    assert set(corpus.runs["status"]) == {"completed"}
    assert corpus.runs["arch"].tolist() == ["SVM_Linear", "SVM_Linear", "KNN"]
    assert corpus.time_unit == "training-set size"


def test_without_the_summary_sizes_are_unknown(tmp_path, convert):
    corpus, _ = convert("lcdb", write(tmp_path / "lcdb", summary=None))
    assert "n_train" not in corpus.tasks.columns


@pytest.mark.parametrize(
    ("known", "match"),
    [
        ({"tables": {"11": "[[0.5"}}, "11.json: is no whole JSON"),
        ({"tables": {"11": [SVM]}}, r"has shape \(1, 2, 3, 3\), and meta.json says \(2, 2, 3, 3\)"),
        ({"tables": {"11": [[["a"]]]}}, "11.json: is no table of numbers"),
        ({"tables": {"7": [SVM, KNN]}}, "names.json: has no '7'"),
        ({"meta": {k: v for k, v in META.items() if k != "anchors"}}, "has no 'anchors'"),
        ({"meta": {**META, "learners": "SVM"}}, "'learners' is str"),
        ({"meta": {**META, "tvt_labels": ["a", "b", "c"]}}, "names no mean of train, val and test"),
        ({"meta": "{"}, "meta.json: is no whole JSON"),
        ({"summary": "a,b\n1,2\n"}, "is not the summary"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, convert, known, match):
    src = write(tmp_path / "lcdb", **known)
    with pytest.raises(DataError, match=match):
        convert("lcdb", src)
    assert not (tmp_path / "corpus").exists()


def test_an_empty_folder_is_refused(tmp_path, convert):
    with pytest.raises(DataError, match=r"holds no er/\*.json"):
        convert("lcdb", tmp_path)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("mfeat-pixel", "mfeat"),
        ("fri_c3_1000_25", "fri_c3_1000"),
        ("pc4", "pc"),
        ("optdigits", "digits"),
        ("MagicTelescope", "magictelescope"),
        ("gina_prior", "gina"),
        ("CIFAR_10", "cifar10"),
    ],
)
def test_datasets_that_share_examples_are_one_family(name, family):
    assert openml_family(name) == family
