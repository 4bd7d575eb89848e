"""Everything of metalcx that reads what others wrote, as a function of bytes, with good examples to damage.

A reader ends well or with a `MetalcxError`; whatever else happens is a fault of ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from metalcx import hub
from metalcx._checkpoint import Checkpoint
from metalcx.corpora import Corpus, curves_of_tables, read_table, validate, write_corpus
from metalcx.corpora._format import ARCHITECTURES, CURVES, MANIFEST, RUNS, TASKS
from metalcx.corpora.build import read_recipe
from metalcx.corpora.build._pieces import piece_file, read_piece, write_piece
from metalcx.corpora.importers import ImportOptions, import_corpus
from metalcx.corpora.importers._restricted import load_plain
from metalcx.corpora.importers._settings import flat, read_yaml
from metalcx.curves import Curves, Metric
from metalcx.decide import DecisionLog
from metalcx.decide._decision import Decision
from metalcx.graphs import FORMATS, parse
from metalcx.histories import History
from metalcx.integrations._board import Board

LOSS = Metric("val_loss", "min", 0.0)
#: Parts two files in one text.
CUT = b"\n=====\n"


@dataclass(frozen=True)
class Reader:
    """How one kind of file is read.

    Attributes:
        seeds: Makes good contents; it may use the folder.
        read: Reads contents, put into the folder.
        tokens: Words of the format, for whoever damages the contents.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]
    tokens: tuple[bytes, ...] = ()


JSON = (*(bytes([sign]) for sign in b'"{}[]:,'), b"NaN", b"null", b"true", b"-1", b"1e999", b"9" * 400, b"[" * 3000)
NUMBERS = tuple(
    w.encode() for w in ("inf", "-inf", "nan", "NA", "1e400", "0x1", "1_0", "True", "9" * 30, "-0", "\xa0", '"', "\0")
)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def table(n: int = 4) -> pd.DataFrame:
    rows = [(f"r{i}", t, 1 / (1 + i + t)) for i in range(n) for t in range(1, 5 - i % 2)]
    return pd.DataFrame(rows, columns=["run", "t", "value"])


def curves() -> Curves:
    frame = table()
    frame.loc[3, "value"] = np.inf
    known = pd.DataFrame({"run": [f"r{i}" for i in range(4)], "lr": [0.1, None, 1, 2], "arch": ["net", None] * 2})
    return Curves.from_frame(frame, LOSS, known)


def read_tables(data: bytes, folder: Path) -> Curves:
    first, _, second = data.partition(CUT)
    frame = read_table(put(folder, "curves.any", first))
    known = read_table(put(folder, "runs.any", second)) if second else None
    return curves_of_tables(frame, LOSS, known)


def parquet_seeds(folder: Path) -> list[bytes]:
    table().to_parquet(folder / "a.parquet", index=False)
    table(2).to_parquet(folder / "b.parquet", compression=None, use_dictionary=False)
    return [(folder / name).read_bytes() for name in ("a.parquet", "b.parquet")]


def made_corpus(folder: Path) -> Path:
    """A small corpus; made once a folder."""
    path = folder / "corpus"
    if not path.exists():
        row = {"task": "a", "dataset": "a", "family": "a", "domain": "toy", "metric": "val_loss", "n_train": 9}
        graph = '{"nodes": [{"op": "input"}, {"op": "output"}], "edges": [[0, 1]]}'
        archs = pd.DataFrame([{"arch": "net", "format": "graph", "features": "{}", "graph": graph}])
        known = {"name": "tiny", "time_unit": "epoch", "metrics": (LOSS,), "licence": "x", "citation": "x"}
        write_corpus(path, pd.DataFrame([row]), [("a", curves().finished())], archs, redistributable=True, **known)
    return path


def corpus_reader(name: str) -> Reader:
    """One file of a corpus is damaged, the others are as they were."""

    def read(data: bytes, folder: Path) -> object:
        path = folder / "damaged"
        if not path.exists():
            shutil.copytree(made_corpus(folder), path)
        (path / name).write_bytes(data)
        report = validate(path)
        corpus = Corpus.open(path)
        found = [task.curves() for task in corpus]
        assert sum(len(points) for points in corpus.scan()) >= 0
        return report, found, corpus.runs, corpus.architectures

    def seeds(folder: Path) -> list[bytes]:
        path = made_corpus(folder) / name
        return [path.read_bytes()] if name == MANIFEST else [path.read_bytes(), plain(path)]

    return Reader(seeds, read, JSON if name == MANIFEST else (b"PAR1",))


def plain(path: Path) -> bytes:
    """A table that is not packed, and lacks the checksums by which most damage is known before anything is read."""
    out = io.BytesIO()
    pq.write_table(pq.read_table(path), out, compression="none", use_dictionary=False)
    return out.getvalue()


def tiny_class() -> type:
    """The small model of `tiny.py`, known to the hub."""
    import tiny

    hub.CLASSES["FuzzTiny"] = "tiny:FuzzTiny"
    tiny.FuzzTiny = type("FuzzTiny", (tiny.Tiny,), {})
    return tiny.FuzzTiny


def made_models(folder: Path) -> Path:
    """A model `base` and what it adapts to, `adapted`; made once a folder."""
    if not (folder / "adapted").exists():
        kind = tiny_class()
        hub.save(kind(width=0.2), folder / "base", name="fuzz-base")
        hub.save_adapted(hub.load(folder / "base").adapt(curves().finished()), folder / "base", folder / "adapted")
    return folder


def read_model(data: bytes, folder: Path, name: str = "config.json") -> object:
    path = made_models(folder) / "damaged-model"
    if not path.exists():
        shutil.copytree(folder / "adapted", path)
    (path / name).write_bytes(data)
    return hub.load(path)


def read_tensors(data: bytes, folder: Path) -> object:
    """`config.json` is made to agree with what the file says of itself, so that more than its sha256 is looked at."""
    path = made_models(folder) / "damaged-model"
    if not path.exists():
        shutil.copytree(folder / "adapted", path)
    config = json.loads((folder / "adapted" / "config.json").read_text()) | {"sha256": hashlib.sha256(data).hexdigest()}
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        types = hub._folder.DTYPES
        config["tensors"] = {
            name: {"dtype": types.get(entry["dtype"], entry["dtype"]), "shape": entry["shape"]}
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    (path / "config.json").write_text(json.dumps(config))
    try:
        return read_model(data, folder, "model.safetensors")
    finally:
        shutil.copy(folder / "adapted" / "config.json", path)


def record(event: bytes) -> bytes:
    """A record of an event file around an event, its checksums right."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", masked_crc32c(length)) + event + struct.pack("<I", masked_crc32c(event))


def event_seeds(folder: Path) -> list[bytes]:
    """Events, each after its length in two bytes."""
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2

    def event(step: int, value: summary_pb2.Summary.Value) -> bytes:
        summary = summary_pb2.Summary(value=[value])
        return event_pb2.Event(wall_time=1e9 + step, step=step, summary=summary).SerializeToString()

    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[0.5])
    packed = tensor_pb2.TensorProto(dtype=1, tensor_content=struct.pack("<f", 0.25))
    values = [
        summary_pb2.Summary.Value(tag="val_loss", simple_value=0.5),
        summary_pb2.Summary.Value(tag="val_loss", tensor=tensor),
        summary_pb2.Summary.Value(tag="val_loss", tensor=packed),
    ]
    session = plugin_data_pb2.HParamsPluginData()
    session.session_start_info.hparams["lr"].number_value = 0.5
    hparams = summary_pb2.Summary.Value(tag="_hparams_/session_start_info")
    hparams.metadata.plugin_data.plugin_name = "hparams"
    hparams.metadata.plugin_data.content = session.SerializeToString()
    start = event_pb2.Event(wall_time=1e9, file_version="brain.Event:2").SerializeToString()
    events = [start, event(0, hparams), *(event(k + 1, value) for k, value in enumerate(values))]
    return [b"".join(struct.pack("<H", len(e)) + e for e in events)]


def read_events(data: bytes, folder: Path) -> object:
    """The contents as events; what begins with an 0xff, as the file itself."""
    records = data[1:] if data[:1] == b"\xff" else b""
    while data and data[:1] != b"\xff":
        length = int.from_bytes(data[:2], "little")
        records, data = records + record(data[2 : 2 + length]), data[2 + length :]
    path = put(folder, "logs/events.out.tfevents.1.host", records)
    return import_corpus("tensorboard", path.parent, folder / "imported", ImportOptions(LOSS))


def import_reader(format: str, name: str, seeds: list[bytes], tokens: tuple[bytes, ...], second: str = "") -> Reader:
    """A log of one format; what stands behind `CUT` is the file `second` beside it."""

    def read(data: bytes, folder: Path) -> object:
        first, cut, beside = data.partition(CUT)
        path = put(folder, f"{format}/{name}", first)
        if second:
            put(folder, f"{format}/{second}", beside) if cut else (path.parent / second).unlink(missing_ok=True)
        return import_corpus(format, path.parent, folder / "imported", ImportOptions(LOSS))

    return Reader(lambda folder: seeds, read, tokens)


def read_wide(data: bytes, folder: Path) -> object:
    return import_corpus("wide-csv", put(folder, "wide.csv", data), folder / "imported", ImportOptions(LOSS))


def read_lcbench(data: bytes, folder: Path) -> object:
    return import_corpus("lcbench", put(folder, "lcbench.json", data), folder / "imported", ImportOptions())


def decision_seeds(folder: Path) -> list[bytes]:
    log = DecisionLog(folder / "log.jsonl")
    log.append([Decision("r0", 3.0, True, "stopped: P = 0.01", 0.01, 0.05, 0.5, 20.0, "val_loss")] * 2)
    return [log.path.read_bytes()]


def board_seeds(folder: Path) -> list[bytes]:
    board = Board(LOSS, folder / "board")
    board.start("a", {"lr": 0.1, "deep": {"er": [1]}})
    for t, value in ((1, 0.5), (2, 0.25), (3, float("inf"))):
        board.report("a", t, value)
    board.end("a", "diverged")
    return [(folder / "board" / "a.jsonl").read_bytes()]


def read_board(data: bytes, folder: Path) -> object:
    put(folder, "read-board/a.jsonl", data)
    board = Board(LOSS, folder / "read-board")
    board.start("other")
    board.report("other", 1.0, 0.5)
    found = board.curves("other")
    (folder / "read-board" / "other.jsonl").unlink()
    return found


def history_seeds(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    features, outputs = (rng.normal(size=(2, 3, d)).astype(np.float16) for d in (2, 2))
    History(np.array([1.0, 2.0]), features, outputs, np.array([0, 1, 0]), 2).save(folder / "h.safetensors")
    return [(folder / "h.safetensors").read_bytes()]


def read_history(data: bytes, folder: Path) -> object:
    history = History.load(put(folder, "h.safetensors", data))
    assert 0 <= history.n_train <= len(history.labels)
    return history.own_accuracy() if len(history.y_val) and history.n_classes else history


def read_settings(data: bytes, folder: Path) -> object:
    return json.dumps(flat(read_yaml(put(folder, "hparams.yaml", data))), default=str)


def piece_seeds(folder: Path) -> list[bytes]:
    write_piece(folder, "k", {"a": np.arange(3.0), "b": np.array(["x"])})
    return [piece_file(folder, "k").read_bytes()]


def checkpoint_seeds(folder: Path) -> list[bytes]:
    from safetensors.numpy import save_file

    save_file({"module.weight": np.ones((1, 2), np.float32)}, folder / "c.safetensors", {"step": "3"})
    return [(folder / "c.safetensors").read_bytes()]


GRAPHS = {
    "nasbench101": '{"matrix": [[0, 1, 1], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv3x3", "output"]}',
    "nasbench201": "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|",
    "cell-6edge": "skip|zero|lif1.0_conv3x3|skip|zero|skip",
    "genotype": "Genotype(normal=[('sep_conv_3x3', 1), ('none', 0)], normal_concat=range(2, 3), "
    "reduce=[('skip_connect', 0), ('max_pool_3x3', 1)], reduce_concat=[2])",
    "nasbench-nlp": '{"node_0": {"op": "linear", "input": ["x", "h_prev_0"]}, "h_new_0": {"op": "tanh", '
    '"input": ["node_0"]}}',
    "nas-bench-graph": "0012|gat|fc|skip|gin",
    "nas-bench-macro": "02012100",
    "metaqnn": "[C(64,3,1), P(2,2), D(1,2), FC(256), GAP(10), SM(10)]",
    "rnn": "lstm-l2-u90",
    "layers": '["conv3x3", {"op": "linear", "out": 10}]',
    "graph": '{"nodes": [{"op": "input"}, {"op": "conv", "kernel": 3}, {"op": "output"}], "edges": [[0, 1], [1, 2]]}',
}


def graph_reader(format: str) -> Reader:
    def read(data: bytes, folder: Path) -> object:
        graph = parse(data.decode("utf-8", "surrogateescape"), format)
        return graph.hash, graph.depth, parse(graph.to_json(), "graph")

    words = tuple(w.encode() for w in ("input", "output", "none", "range(0, 3)", "(" * 90, "-" * 500, "9" * 5000))
    return Reader(lambda folder: [GRAPHS[format].encode()], read, JSON + words)


def pickle_seeds(folder: Path) -> list[bytes]:
    import pickle

    held = {"a": [1, 2.5, "x", None, True], "b": (np.arange(3), np.float32(1.5)), 3: {1, 2}}
    return [pickle.dumps(held, protocol) for protocol in (2, 4)]


RECIPE = b"""name = "x"
licence = "CC0-1.0"
citation = "x"
epochs = [2, 4]
[[data]]
source = "sklearn"
dataset = ["wine"]
[runs.vector]
stacks = 1
stack = 2
"""
CSV = b"run,t,value\na,1,0.5\na,2,0.25\nb,1,1\nb,2,inf\n"
WIDE = b"run,lr,1,2,4.5,status\n01,0.1,3,2,1,\n02,0.2,3,,,\n"
STATE = (
    b'{"global_step": 2, "log_history": [{"step": 1, "val_loss": 0.5}, {"step": 2, "epoch": 1.0, "val_loss": "0.25"}]}'
)
LCBENCH = (
    b'{"wine": {"0": {"log": {"Train/loss": [1, 0.5], "epoch": [0, 1], "time": [0.5, 1]}, "results": {"seed": 1, '
    b'"instances": "98"}, "config": {"num_layers": 3, "max_units": 106, "lr": 0.1}}}}'
)
YAML = b"lr: 0.1\nname: x\nlist: [1, 2]\nmap: {a: 1, b: .inf}\npy: !!python/tuple [1, 2]\nref: &a {x: 1}\nuse: *a\n"
YAML_WORDS = (b"&a ", b"*a", b"<<: *a", b"!!python/object:x ", b"!!timestamp ", b"[" * 2000, b"? ", b"- ", b"\t")

READERS: dict[str, Reader] = {
    "csv": Reader(
        lambda folder: [CSV, CSV + CUT + b"run,lr,arch,status\na,0.1,net,completed\nb,,,diverged\n"],
        read_tables,
        (*NUMBERS, b",", b"\n", b"run", b"t", b"value", b"task", b"status", b"running"),
    ),
    "parquet": Reader(parquet_seeds, read_tables, (b"PAR1", b"pandas", b"index_columns")),
    **{f"corpus/{name}": corpus_reader(name) for name in (MANIFEST, TASKS, RUNS, CURVES, ARCHITECTURES)},
    "model/config.json": Reader(
        lambda folder: [(made_models(folder) / "adapted" / "config.json").read_bytes()], read_model, JSON
    ),
    "model/model.safetensors": Reader(
        lambda folder: [(made_models(folder) / "adapted" / "model.safetensors").read_bytes()],
        read_tensors,
        (*JSON, b"F64", b"BOOL", b"BF16", b"F8_E4M3", b"data_offsets", b"__metadata__"),
    ),
    "tensorboard": Reader(event_seeds, read_events, (b"\x0a", b"\x12", b"\xff" * 9 + b"\x01", b"\x42")),
    "lightning-csv": import_reader(
        "lightning-csv",
        "metrics.csv",
        [b"epoch,step,val_loss\n0,1,0.5\n0,2,\n1,3,0.25\n", b"epoch,step,val_loss\n0,1,0.5\n" + CUT + YAML],
        NUMBERS,
        "hparams.yaml",
    ),
    "keras-csv": import_reader("keras-csv", "log.csv", [b"epoch,val_loss\n0,0.5\n1,0.25\n"], NUMBERS),
    "wide-csv": Reader(lambda folder: [WIDE], read_wide, NUMBERS),
    "wandb": import_reader(
        "wandb",
        "history.csv",
        [b"_step,_runtime,val_loss\n0,1,0.5\n1,2,0.25\n" + CUT + b'{"_step": 5}'],
        NUMBERS + JSON,
        "wandb-summary.json",
    ),
    "hf-trainer": import_reader("hf-trainer", "trainer_state.json", [STATE], JSON),
    "lcbench": Reader(lambda folder: [LCBENCH], read_lcbench, JSON),
    "pickle": Reader(pickle_seeds, lambda data, folder: load_plain(put(folder, "p.pkl", data))),
    "settings.yaml": Reader(lambda folder: [YAML], read_settings, YAML_WORDS),
    "recipe.toml": Reader(
        lambda folder: [RECIPE],
        lambda data, folder: read_recipe(put(folder, "r.toml", data)),
        (*JSON, b"[[", b"1979-05-27"),
    ),
    "decision log": Reader(
        decision_seeds, lambda data, folder: DecisionLog(put(folder, "d.jsonl", data)).read(), (*JSON, b"\n")
    ),
    "run recording": Reader(board_seeds, read_board, (*JSON, b"\n", b'"status"', b'"running"')),
    "history": Reader(history_seeds, read_history, (*JSON, b'"n_train"', b"F16", b"F64", b"BF16")),
    "checkpoint": Reader(
        checkpoint_seeds, lambda data, folder: Checkpoint.read(put(folder, "c.safetensors", data)), (*JSON, b"BF16")
    ),
    "piece": Reader(piece_seeds, lambda data, folder: read_piece(put(folder, "k.npz", data).parent, "k"), (b"PK\1\2",)),
    **{f"graph/{format}": graph_reader(format) for format in FORMATS},
}

if str(Path(__file__).parents[1]) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parents[1]))
