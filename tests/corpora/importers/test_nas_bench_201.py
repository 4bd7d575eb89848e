from __future__ import annotations

import bz2
import collections
import json
import os
import pickle

import numpy as np
import pytest

from metalcx.corpora.importers._nas_cells import canonical_cell
from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError

CELL = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
EMPTY = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def result(dataset, seed, epochs, times=True):
    """What `ResultsCount.state_dict()` holds: values by epoch, those of evaluated sets by name@epoch."""
    names = {"cifar10-valid": ("x-valid", "ori-test"), "cifar10": ("ori-test",)}.get(
        dataset, ("x-valid", "x-test", "ori-test")
    )
    # As published: some sets are evaluated after the last epoch only.
    late = {"ori-test"} if dataset == "cifar10-valid" else {"x-valid", "x-test"} if "cifar10" not in dataset[:8] else ()
    late = {"x-valid", "x-test"} if dataset == "cifar100" else late
    tags = [(n, e) for n in names for e in range(epochs) if n not in late or e == epochs - 1]
    acc = {f"{n}@{e}": 10.0 + 3.25 * e + len(n) for n, e in tags}
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": collections.OrderedDict((e, 11.5 + e) for e in range(epochs)),
        "train_acc5es": None,
        "train_losses": collections.OrderedDict((e, 2.3 - 0.1 * e) for e in range(epochs)),
        "train_times": collections.OrderedDict((e, 1.5) for e in range(epochs)) if times else None,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": CELL, "class_num": 10},
        "params": 0.073306,
        "flop": 7.78305,
        "seed": seed,
        "epochs": epochs,
        "latency": [0.0139],
        "eval_names": list(names),
        "eval_acc1es": acc,
        "eval_times": dict.fromkeys(acc, 0.5),
        "eval_losses": {tag: np.float64(value / 10) for tag, value in acc.items()},
    }


def state(index, cell, epochs, trials=(("cifar10-valid", 777), ("cifar10", 777), ("cifar100", 888))):
    seeds = collections.defaultdict(list)
    for dataset, seed in trials:
        seeds[dataset].append(seed)
    return {
        "arch_index": index,
        "arch_str": cell,
        "all_results": {(dataset, seed): result(dataset, seed, epochs) for dataset, seed in trials},
        "dataset_seed": dict(seeds),
        "clear_net_done": True,
    }


def infos(less="less", full="full"):
    one = {less: state(0, CELL, 2), full: state(0, CELL, 4, (("cifar10", 777), ("cifar10", 888), ("cifar100", 777)))}
    return {0: one, 3: {less: state(3, EMPTY, 2), full: state(3, EMPTY, 4)}}


def whole(**keys):
    return {"meta_archs": [CELL, "a", "b", EMPTY], "arch2infos": infos(**keys), "evaluated_indexes": [0, 3]}


def write_pth(root):
    import torch

    torch.save(whole(), root / "NAS-Bench-201-v1_1-096897.pth", _use_new_zipfile_serialization=False)
    return root / "NAS-Bench-201-v1_1-096897.pth"


def write_zip(root):
    import torch

    torch.save(whole(), root / "bench.pth")
    return root / "bench.pth"


def write_packed(root):
    file = root / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    file.write_bytes(bz2.compress(pickle.dumps(whole(less="12", full="200"), protocol=4)))
    return file


def write_folder(root):
    folder = root / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    meta = {"meta_archs": [CELL], "arch2infos": None, "evaluated_indexes": [0]}
    for name, value in {"meta": meta, **{f"{i:06d}": v for i, v in infos("12", "200").items()}}.items():
        (folder / f"{name}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(value, protocol=4)))
    return folder


def write_archive(root):
    import torch

    (root / "archive").mkdir()
    for index, value in infos().items():
        value["less"]["all_results"]["cifar10", 777]["net_state_dict"] = {"conv.weight": torch.ones(2, 3)}
        torch.save(value, root / "archive" / f"{index:06d}-FULL.pth")
    return root / "archive"


@pytest.mark.parametrize("write", [write_pth, write_zip, write_packed, write_folder, write_archive])
def test_every_published_layout_gives_the_same_corpus(tmp_path, convert, write):
    corpus, report = convert("nas-bench-201", write(tmp_path))
    assert (report.tasks, report.runs, report.points, report.skipped) == (3, 12, 36, {})
    assert corpus.tasks[["task", "dataset", "family", "metric"]].values.tolist() == [
        ["cifar10-valid", "cifar10", "cifar10", "val_accuracy"],
        ["cifar10", "cifar10", "cifar10", "test_accuracy"],
        ["cifar100", "cifar100", "cifar100", "valtest_accuracy"],
    ]
    runs = corpus.runs.set_index("name")
    assert {json.loads(config)["epochs"] for config in runs["config"]} == {12, 200}
    assert runs.loc["cifar10-0-e200-s888", ["arch", "seed", "n_points"]].tolist() == [CELL, "888", 4]
    assert runs["status"].unique().tolist() == ["completed"]
    curves = corpus.task("cifar10").curves(metrics=["test_accuracy", "test_loss", "train_accuracy", "seconds"])
    curves = curves.take(curves.ids == "cifar10-0-e200-s888")
    assert curves.t.tolist() == [1, 2, 3, 4]
    accuracy = 10.0 + 3.25 * np.arange(4) + len("ori-test")
    assert np.array_equal(np.float32(curves.y), np.float32(accuracy / 100))
    assert np.array_equal(np.float32(curves.values["test_loss"]), np.float32(accuracy / 10))
    assert np.array_equal(np.float32(curves.values["train_accuracy"]), np.float32((11.5 + np.arange(4)) / 100))
    assert curves.values["seconds"].tolist() == [1.5, 3.0, 4.5, 6.0]
    late = corpus.task("cifar100").curves(metrics=["valtest_accuracy", "val_accuracy", "test_accuracy"])
    assert np.isfinite(late.y).all()
    for name in ("val_accuracy", "test_accuracy"):
        assert np.isfinite(late.values[name]).sum() == len(late)
    archs = corpus.architectures.set_index("arch")
    assert json.loads(archs.loc[CELL, "features"]) == {"flop_m": 7.78305, "params_m": 0.073306}
    assert json.loads(archs.loc[EMPTY, "graph"]) == {"nodes": [{"op": "input"}, {"op": "output"}], "edges": []}
    assert set(archs["format"]) == {"nasbench201"}


def test_the_metric_may_be_chosen(tmp_path, convert):
    src = write_packed(tmp_path)
    corpus, _ = convert("nas-bench-201", src, metric=Metric("train_loss", "min"), task="cifar10")
    assert corpus.tasks[["task", "metric"]].values.tolist() == [["cifar10", "train_loss"]]


def test_runs_without_the_metric_are_told(tmp_path, convert):
    _, report = convert("nas-bench-201", write_packed(tmp_path), metric=Metric("val_accuracy", "max"))
    assert len(report.skipped["no point of val_accuracy was measured"]) == 5


def test_cells_become_functional_graphs():
    assert stated_graph(CELL, "nasbench201") == {
        "nodes": [
            {"op": op} for op in ("input", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "output")
        ],
        "edges": [[0, 1], [1, 2], [0, 3], [2, 4], [3, 5], [4, 5]],
    }
    # What feeds only operations that are left out is left out, too.
    dead = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    assert stated_graph(dead, "nasbench201") == {
        "nodes": [{"op": op} for op in ("input", "skip_connect", "output")],
        "edges": [[0, 1], [1, 2]],
    }


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            "(0)@avg_pool_3x3+(0)@avg_pool_3x3+(0)@nor_conv_1x1+(0)@nor_conv_1x1",
        ),
        ("|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|", "#+#+#+0"),
        ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|", "#+#+#+#"),
    ],
)
def test_cells_that_compute_the_same_share_the_text_of_nats_bench(cell, text):
    assert canonical_cell(cell) == text


@pytest.mark.parametrize("text", ["", "64:64:8", "|a~1|", "|a~x|+|b~0|", "|a|"])
def test_what_is_no_cell(text):
    assert stated_graph(text, "nasbench201") is None
    with pytest.raises(DataError, match="the NAS-Bench-201 cell"):
        canonical_cell(text)


def test_a_network_known_by_its_sizes_is_a_group_of_its_own(tmp_path, convert):
    (tmp_path / "f").mkdir()
    for index, sizes in enumerate(["64:64:8", "64:8:64"]):
        data = {"12": state(index, sizes, 2)}
        (tmp_path / "f" / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(data)))
    corpus, _ = convert("nas-bench-201", tmp_path / "f")
    assert (corpus.runs["group"] == corpus.runs["arch"]).all()
    assert corpus.architectures[["arch", "format"]].values.tolist() == [
        ["64:64:8", "nats-size"],
        ["64:8:64", "nats-size"],
    ]
    assert corpus.architectures["graph"].isna().all()


def change(path, value):
    """`infos` of one architecture with the entry at `path` changed."""
    data = infos("12", "200")[0]
    target = data
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return data


TRIAL = ("200", "all_results", ("cifar10", 888))
BAD = [
    ([1, 2], "no results by number of epochs"),
    ({"meta_archs": []}, "no results by number of epochs"),
    ({}, "no results by number of epochs"),
    (change(("200", "arch_str"), None), "has no 'arch_str'"),
    (change(("200", "arch_str"), 3), "'arch_str' is int"),
    (change(("200", "all_results"), None), "has no 'all_results'"),
    (change(("200", "all_results"), {"cifar10": {}}), r"not filed by \(dataset, seed\)"),
    (change((*TRIAL, "epochs"), None), "seed 888: has no 'epochs'"),
    (change((*TRIAL, "epochs"), 10**9), "make no curve; fetch the file again"),
    (change((*TRIAL, "eval_acc1es"), None), "has no 'eval_acc1es'"),
    (change((*TRIAL, "eval_acc1es"), "high"), "values by epoch were expected, not str"),
    (change((*TRIAL, "train_acc1es"), {0: "high"}), "a value is no number"),
    (change((*TRIAL, "train_acc1es"), {0: [1]}), "a value is no number"),
]


@pytest.mark.parametrize(("data", "match"), BAD)
def test_folders_of_another_kind_are_refused(tmp_path, convert, data, match):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(data)))
    with pytest.raises(DataError, match=match) as caught:
        convert("nas-bench-201", tmp_path / "f")
    assert "000000.pickle.pbz2" in str(caught.value)
    assert not (tmp_path / "corpus").exists()


def test_files_of_another_kind_are_refused(tmp_path, convert):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no 000000\.pickle\.pbz2"):
        convert("nas-bench-201", tmp_path / "empty")
    for value, match in (({"meta_archs": []}, "has no 'arch2infos'"), ([1], "was expected, not list; fetch it again")):
        (tmp_path / "f.pth").write_bytes(pickle.dumps(value))
        with pytest.raises(DataError, match=match):
            convert("nas-bench-201", tmp_path / "f.pth")
    (tmp_path / "f.pth").write_bytes(write_pth(tmp_path).read_bytes()[:500])
    with pytest.raises(DataError, match="is not plain data"):
        convert("nas-bench-201", tmp_path / "f.pth")


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


def test_an_attack_in_a_published_layout_does_nothing(tmp_path, convert, monkeypatch):
    monkeypatch.setenv("EVIL", str(tmp_path / "mark"))
    (tmp_path / "f").mkdir()
    data = bz2.compress(pickle.dumps(change((*TRIAL, "latency"), Evil())))
    (tmp_path / "f" / "000000.pickle.pbz2").write_bytes(data)
    with pytest.raises(DataError, match="mkdir is not one of plain data"):
        convert("nas-bench-201", tmp_path / "f")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["f"]


def test_the_size_space_of_nats_bench_has_no_graph(tmp_path, convert):
    (tmp_path / "f").mkdir()
    data = {"90": state(7, "64:64:8:24:48", 3)}
    (tmp_path / "f" / "000007.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(data)))
    corpus, _ = convert("nas-bench-201", tmp_path / "f")
    row = corpus.architectures.iloc[0]
    assert (row["arch"], row["format"]) == ("64:64:8:24:48", "nats-size")
    assert row["graph"] is None or row["graph"] != row["graph"]
    assert json.loads(corpus.runs["config"][0]) == {"epochs": 90}
