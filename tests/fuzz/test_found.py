"""Inputs that once crashed, hung, filled the memory or were misread; each is refused for what it is."""

from __future__ import annotations

import io
import json
import re
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metalcx.corpora import validate
from metalcx.corpora.build._pieces import read_piece
from metalcx.corpora.importers._event_file import hyperparameters
from metalcx.curves import Metric
from metalcx.errors import CorpusError, DataError, MetalcxError
from metalcx.transfer._pieces import _read as pool_piece

from .readers import CUT, GRAPHS, READERS, RECIPE, made_corpus

FOUND = Path(__file__).with_name("found")
DEEP = b"[" * 100_000
DECISION = {
    "run": "a",
    "t": 1.0,
    "stop": True,
    "reason": "x",
    "probability": 0.1,
    "threshold": 0.05,
    "incumbent": None,
    "horizon": 9,
    "metric": "m",
}


def decision(**changes: object) -> bytes:
    return json.dumps(DECISION | changes).encode() + b"\n"


def run(point: bytes) -> bytes:
    head = {"format": "metalcx-run/1", "run": "a", "metric": Metric("val_loss", "min", 0.0).to_dict(), "config": {}}
    return json.dumps(head).encode() + b"\n" + point + b"\n"


def event(data: bytes) -> bytes:
    return struct.pack("<H", len(data)) + data


def bomb(depth: int) -> bytes:
    """Each line refers nine times to the one before."""
    lines = ["a0: &a0 x", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, depth))]
    return "\n".join(lines).encode()


def parquet(frame: pd.DataFrame, pandas: bytes | None = None) -> bytes:
    table = pa.Table.from_pandas(frame)
    out = io.BytesIO()
    pq.write_table(table if pandas is None else table.replace_schema_metadata({b"pandas": pandas}), out)
    return out.getvalue()


def manifest(folder: Path, **changes: object) -> bytes:
    return json.dumps(json.loads((made_corpus(folder) / "corpus.json").read_text()) | changes).encode()


TABLE = pd.DataFrame({"run": ["a", "a"], "t": [1.0, 2.0], "value": [0.5, 0.25]})
LONG = b"9" * 5000

TEXTS: list[tuple[str, bytes, str]] = [
    ("decision log", b'{"run": "\xff"}\n', "line 1: 'utf-8' codec"),
    ("decision log", DEEP + b"\n", "line 1: it is nested too deeply"),
    ("decision log", decision(t="soon"), "line 1: not a decision: t is 'soon'"),
    ("decision log", decision(stop=1), "line 1: not a decision: stop is 1"),
    ("decision log", decision(threshold=True), "threshold is True"),
    ("decision log", decision(horizon=10**400), "horizon is 1000"),
    ("decision log", b'{"run": "a", "run": "b"}\n', "the key 'run' stands there twice"),
    ("run recording", run(b'{"t": 1, "value": ' + b"9" * 400 + b"}"), "line 2: is no line of a run"),
    ("run recording", b"\xff\n", "line 1: 'utf-8' codec"),
    ("corpus/corpus.json", DEEP, "is not JSON .it is nested too deeply"),
    ("hf-trainer", b'{"log_history": ' + DEEP, "that can be read"),
    ("hf-trainer", b'{"global_step": [1], "log_history": [{"step": 1, "val_loss": "x"}]}', "which|what is no number"),
    ("hf-trainer", b'{"log_history": [{"step": 1, "val_loss": ' + b"9" * 400 + b"}]}", "holds what is no number"),
    ("wandb", b"_step,val_loss\n0,1\n" + CUT + DEEP, "is no whole JSON file"),
    ("keras-csv", b"epoch\xe2\x80\x8b,val_loss\n1,0.5\n", "holds no table whose first column is 'epoch'"),
    ("settings.yaml", bomb(12), "references unfold to more than"),
    ("settings.yaml", b"a: !!timestamp soon\n", "is no whole YAML file"),
    ("settings.yaml", b"a: &a [*a]\n", "references unfold to more than"),
    ("settings.yaml", b"a: " + b"[" * 1200, "is no whole YAML file"),
    ("settings.yaml", b"a: " + b"x" * (1 << 20), "bytes long, more than"),
    ("recipe.toml", RECIPE + b"\nseed = " + LONG, "is no TOML"),
    ("recipe.toml", b"x = " + DEEP, "is no TOML"),
    ("recipe.toml", RECIPE.replace(b'"sklearn"', b'"' + b"s" * 5000 + b'"'), "unknown source"),
    ("recipe.toml", RECIPE.replace(b'["wine"]', b"1"), "dataset is 1; give some of"),
    ("tensorboard", event(b"\x18\x80"), "a damaged event file"),
    ("graph/metaqnn", b"[FC(" + LONG + b")]", "is no layer"),
    ("graph/rnn", b"input-64", "'input' is no operation"),
    ("graph/rnn", b"output-l2-u8", "'output' is no operation"),
    ("graph/layers", b'["a", {"op": "a", "op": "b"}]', "the key 'op' stands there twice"),
]


@pytest.mark.parametrize(("name", "data", "reason"), TEXTS, ids=[f"{k} {text[0]}" for k, text in enumerate(TEXTS)])
def test_text_that_is_refused(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    READERS[name].seeds(tmp_path)
    start = time.process_time()
    with pytest.raises(MetalcxError, match=reason) as caught:
        READERS[name].read(data, tmp_path)
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 900


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="reads ten times as deep")
def test_what_can_be_read_but_not_written_for_its_depth(tmp_path: Path) -> None:
    with pytest.raises(MetalcxError, match="graph"):
        READERS["graph/graph"].read(GRAPHS["graph"].encode().replace(b"3", b"[" * 980 + b"]" * 980), tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metrics": [{"name": "val_loss", "goal": "min", "lower": 10**400}]}, "lower bound 1000.* is not finite"),
        ({"extra": "x" * (17 << 20)}, "bytes long, more than the 16777216 of any corpus"),
        ({"n_runs": 1e400}, "is no JSON|count"),
    ],
)
def test_a_manifest_that_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(CorpusError, match=reason):
        READERS["corpus/corpus.json"].read(manifest(tmp_path, **change), tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.assign(t=pd.to_datetime(["2026-01-01", "2026-01-02"])), "column 't' holds Timestamp"),
        (lambda f: f.assign(t=pd.to_timedelta([1, 2])), "column 't' holds Timedelta"),
        (lambda f: f.assign(value=[True, False]), "column 'value' holds .*True"),
        (lambda f: f.assign(run=[["a"], ["a"]]), "column 'run' holds what is no id"),
    ],
)
def test_columns_of_other_kinds(tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        READERS["parquet"].read(parquet(change(TABLE)), tmp_path)


NO_UTF8 = b"\xe43"


def no_text(n: int) -> pa.Array:
    return pa.array([NO_UTF8] * n).view(pa.string())


def test_text_that_is_no_utf8_in_a_table(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"run": no_text(2), "t": [1.0, 2.0], "value": [0.5, 0.25]}), out)
    with pytest.raises(DataError, match=r"is no whole Parquet file .*UTF"):
        READERS["parquet"].read(out.getvalue(), tmp_path)


@pytest.mark.parametrize(
    ("file", "column"), [("runs", "config"), ("tasks", "task"), ("architectures", "arch"), ("architectures", "spec")]
)
def test_text_that_is_no_utf8_in_a_corpus(tmp_path: Path, file: str, column: str) -> None:
    path = made_corpus(tmp_path) / f"{file}.parquet"
    known = pq.read_table(path)
    pq.write_table(known.set_column(known.schema.get_field_index(column), column, no_text(len(known))), path)
    (problem,) = validate(path.parent).problems
    assert problem.file == path.name
    assert re.search(f"is damaged in rows .*column '{column}'.*UTF", problem.message)


def npy(header: bytes) -> bytes:
    """An array whose header says that."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize("read", [lambda path: read_piece(path.parent, path.stem), pool_piece])
@pytest.mark.parametrize(
    ("member", "packed", "reason"),
    [
        (b"0" * 999, b"\xff" * 8, "decompressing"),
        (npy(b"{'descr': '<f8', ((\n"), b"", "multi-line statement|never closed"),
        (npy(b"if x:\n    y\n  z\n"), b"", "unindent|header"),
    ],
)
def test_an_archive_of_arrays_that_cannot_be_read(
    tmp_path: Path, read: Callable[[Path], object], member: bytes, packed: bytes, reason: str
) -> None:
    path = tmp_path / "00000.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"1 arrays"
        archive.writestr("a.npy", member)
    whole = path.read_bytes()
    start = 30 + len("a.npy")  # where what is packed begins
    path.write_bytes(whole[:start] + packed + whole[start + len(packed) :])
    with pytest.raises(MetalcxError, match=rf"00000\.npz: damaged .*({reason})"):
        read(path)


def test_a_hyperparameter_without_a_value_is_none() -> None:
    from tensorboard.compat.proto import summary_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2

    stored = plugin_data_pb2.HParamsPluginData()
    stored.session_start_info.hparams["lr"].number_value = 0.5
    stored.session_start_info.hparams["depth"].Clear()
    value = summary_pb2.Summary.Value(tag="x")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = stored.SerializeToString()
    assert hyperparameters(value) == {"lr": 0.5}


@pytest.mark.parametrize("pandas", [b"{}", b"[]", b'{"columns": [{"name": 3}], "index_columns": ["t"]}'])
def test_what_pandas_noted_in_a_table_is_not_needed(tmp_path: Path, pandas: bytes) -> None:
    curves = READERS["parquet"].read(parquet(TABLE, pandas), tmp_path)
    assert curves.y.tolist() == [0.5, 0.25]
    indexed = READERS["parquet"].read(parquet(TABLE.set_index("run")), tmp_path)
    assert indexed.ids.tolist() == ["a"]
    assert list(READERS["parquet"].read(parquet(TABLE.set_index(np.array([5, 7]))), tmp_path).values) == ["val_loss"]


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("corpus/curves.parquet", "contradicting-statistics", "is damaged in rows .*histogram size mismatch"),
        ("corpus/runs.parquet", "pages-of-gigabytes", "is damaged in rows .*a page states"),
        ("parquet", "pages-of-gigabytes", "is no whole Parquet file .a page states"),
    ],
)
def test_files_that_ended_the_process_or_filled_its_memory(tmp_path: Path, name: str, file: str, reason: str) -> None:
    READERS[name].seeds(tmp_path)
    start = time.process_time()
    with pytest.raises(DataError, match=reason):
        READERS[name].read((FOUND / f"{file}.parquet").read_bytes(), tmp_path)
    assert time.process_time() - start < 3


def test_a_table_that_states_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant column of a billion rows takes a few bytes on disk."""
    monkeypatch.setattr("metalcx.corpora._read_table.MAX_CELLS", 5)
    with pytest.raises(DataError, match="states 2 rows, too many"):
        READERS["parquet"].read(parquet(TABLE), tmp_path)
    monkeypatch.setattr("metalcx.corpora._table.MAX_CELLS", 5)
    with pytest.raises(CorpusError, match=r"tasks\.parquet: states 1 rows, too many"):
        READERS["corpus/corpus.json"].read(manifest(tmp_path), tmp_path)


@pytest.mark.parametrize("n_train", [-1, 4, 10**30])
def test_a_history_whose_parts_do_not_fit(tmp_path: Path, n_train: int) -> None:
    (whole,) = READERS["history"].seeds(tmp_path)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length]) | {"__metadata__": {"n_train": str(n_train)}}
    text = json.dumps(header).encode()
    with pytest.raises(DataError, match=r"the training part has|too large"):
        READERS["history"].read(struct.pack("<Q", len(text)) + text + whole[8 + length :], tmp_path)


def test_tensors_and_hyperparameters_of_an_event_file_that_contradict_themselves(tmp_path: Path) -> None:
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2

    def logged(value: summary_pb2.Summary.Value) -> bytes:
        return event(event_pb2.Event(wall_time=1.0, summary=summary_pb2.Summary(value=[value])).SerializeToString())

    short = tensor_pb2.TensorProto(dtype=1, tensor_content=b"\0\0\0")
    told = summary_pb2.Summary.Value(tag="x")
    told.metadata.plugin_data.plugin_name, told.metadata.plugin_data.content = "hparams", b"\x12\x7f"
    for value in (summary_pb2.Summary.Value(tag="val_loss", tensor=short), told):
        with pytest.raises(DataError, match="a damaged event file"):
            READERS["tensorboard"].read(logged(value), tmp_path)
