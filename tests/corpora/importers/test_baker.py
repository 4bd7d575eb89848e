from __future__ import annotations

import json

import numpy as np
import pytest

from metalcx.corpora.importers._stated import stated_graph
from metalcx.curves import Metric
from metalcx.errors import DataError

NET = "[C(64,3,1), D(1,2), P(5,3), FC(128), D(2,2), GAP(10), SM(10)]"
METAQNN = f'net,training_dataset,num_params,depth,lr,acc_1,acc_2\n"{NET}",cifar10,370112,8,0.001,0.3152,0.4004\n'
RESNET = (
    "base_model,training_dataset,num_blocks,num_filters,filter_size,lr,ss,acc_0,acc_1\n"
    "resnet,tinyimagenet,1,4,3,0.1,35000,0.0046,0.0171\n"
    "resnet,tinyimagenet,1,4,3,0.1,35000,0,0\n"
    "resnet,tinyimagenet,1,4,3,0.1,35000,0,0\n"
)
# As published: one epoch more than the header names.
LSTM = "location,n_layer,n_inputs,base_lr,ss,ep_0,ep_1\nmodels//n_2/ ,2,90,0.1,15000,296,204.5,177.4\n"
SMALL = "num_params,lr,acc_0,acc_1\n282804,0.001,0.3095703125,0.3527644231\n"
FILES = {
    "metaqnn_cifar10": METAQNN,
    "deep_resnets_tinyimagenet": RESNET,
    "lstm_ptb": LSTM,
    "deep_resnets_cifar10": SMALL,
}


def write(root, files=FILES):
    (root / "data").mkdir(parents=True)
    for name, text in files.items():
        (root / "data" / f"{name}.csv").write_text(text)
    return root


def test_the_published_files(tmp_path, convert):
    src = write(tmp_path / "baker", {**FILES, "notes": "a,b\n"})
    corpus, report = convert("baker", src)
    assert (report.tasks, report.runs, report.points) == (4, 6, 13)
    assert report.skipped == {"is none of the files of this dataset": ["notes.csv"]}
    tasks = corpus.tasks.set_index("task")
    assert tasks.loc["lstm_ptb", ["dataset", "family", "domain", "metric"]].tolist() == [
        "penntreebank",
        "penntreebank",
        "language-modelling",
        "val_perplexity",
    ]
    assert tasks.loc["deep_resnets_tinyimagenet", ["dataset", "family"]].tolist() == ["tinyimagenet", "imagenet"]
    lstm = corpus.task("lstm_ptb").curves()
    assert lstm.t.tolist() == [0, 1, 2]
    assert np.array_equal(np.float32(lstm.y), np.float32([296, 204.5, 177.4]))
    assert corpus.task("metaqnn_cifar10").curves().t.tolist() == [1, 2]
    runs = corpus.runs.set_index("name")
    assert runs.loc["lstm_ptb-0", "arch"] == "lstm-l2-u90"
    assert runs.loc["deep_resnets_tinyimagenet-1", "arch"] == "resnet-b1-f4-k3"
    assert runs["arch"].isna().sum() == 1
    assert json.loads(runs.loc["metaqnn_cifar10-0", "config"]) == {"depth": 8, "lr": 0.001, "num_params": 370112}
    assert json.loads(runs.loc["lstm_ptb-0", "config"])["base_model"] == "lstm"
    assert json.loads(runs.loc["metaqnn_cifar10-0", "group"])["net"] == NET
    # Repeated trials are one group, and runs of nothing but zeros are kept.
    assert runs["group"].nunique() == 4
    archs = corpus.architectures.set_index("arch")
    assert json.loads(archs.loc[NET, "features"]) == {"depth": 8, "n_params": 370112}
    assert [n["op"] for n in json.loads(archs.loc["lstm-l2-u90", "graph"])["nodes"]] == [
        *("input", "embedding", "lstm", "lstm", "linear", "output")
    ]


def test_one_file_alone(tmp_path, convert):
    corpus, _ = convert("baker", write(tmp_path / "b") / "data" / "lstm_ptb.csv")
    assert corpus.task_names == ("lstm_ptb",)


def graph_of(arch, corpus):
    text = corpus.architectures.set_index("arch").loc[arch, "graph"]
    return json.loads(text) if isinstance(text, str) else None


def test_layers_are_read_with_their_sizes(tmp_path, convert):
    corpus, _ = convert("baker", write(tmp_path / "b"))
    graph = graph_of(NET, corpus)
    assert graph["nodes"] == [
        {"op": "input"},
        {"op": "conv", "out": 64, "kernel": 3, "stride": 1},
        {"op": "dropout", "index": 1},
        {"op": "max_pool", "kernel": 5, "stride": 3},
        {"op": "linear", "out": 128},
        {"op": "dropout", "index": 2},
        {"op": "global_pool", "out": 10},
        {"op": "softmax", "out": 10},
        {"op": "output"},
    ]
    assert graph["edges"] == [[i, i + 1] for i in range(8)]
    graph = graph_of("lstm-l2-u90", corpus)
    sized = [{"op": op, "out": 90} for op in ("embedding", "lstm", "lstm")]
    assert graph["nodes"] == [{"op": "input"}, *sized, {"op": "linear"}, {"op": "output"}]
    assert graph["edges"] == [[i, i + 1] for i in range(5)]


@pytest.mark.parametrize("net", ["[]", "[X(1)]", "[C(1)]", "[SM(10), what]"])
def test_a_net_that_is_not_understood_has_no_graph(tmp_path, convert, net):
    corpus, report = convert("baker", write(tmp_path / "b", {"metaqnn_svhn": METAQNN.replace(NET, net)}))
    assert report.runs == 1
    assert corpus.architectures[["arch", "format", "spec"]].values.tolist() == [[net, "metaqnn", net]]
    assert graph_of(net, corpus) is None


def test_an_empty_text_has_no_graph():
    assert stated_graph("", "metaqnn") is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "has no columns acc_0 on"),
        ("a,b\n1,2\n", "has no columns acc_0 on, but 'a', 'b'"),
        (METAQNN.replace("0.4004", "high"), "row 2: an epoch is no number .*high"),
        (METAQNN.replace(",0.4004", ""), "row 2: ends after 1 epochs"),
        (METAQNN.replace("0.4004", ""), "an epoch is no number"),
        (METAQNN.replace(']"', "]"), "cannot be read as CSV"),
        (METAQNN.splitlines()[0] + "\n", "no run was found"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, convert, text, match):
    src = write(tmp_path / "b", {"metaqnn_svhn": text})
    with pytest.raises(DataError, match=match):
        convert("baker", src)
    assert not (tmp_path / "corpus").exists()


def test_what_is_asked_must_fit(tmp_path, convert):
    src = write(tmp_path / "b")
    with pytest.raises(DataError, match="leave --metric out"):
        convert("baker", src, metric=Metric("val_accuracy", "max"))
    with pytest.raises(DataError, match=r"holds no \*.csv"):
        convert("baker", tmp_path)
    (src / "data" / "lstm_ptb.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as CSV"):
        convert("baker", src)
