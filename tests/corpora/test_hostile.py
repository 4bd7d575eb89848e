"""Corpus folders made to do harm: links, names that lead elsewhere, texts that fill the memory, lies about types."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metalcx.corpora import Corpus, list_corpora, open_corpus, validate, write_corpus
from metalcx.errors import CorpusError, MetalcxError

from .conftest import LOSS, make_curves, manifest, task_row, write_tiny

AWAY = "../../away"


def read_all(path: Path) -> None:
    for task in Corpus.open(path):
        task.curves()


def said(path: Path) -> str:
    """Why a folder is refused: soon, whether it is checked or opened and read."""
    start = time.process_time()
    report = validate(path)
    assert not report.ok
    with pytest.raises(CorpusError) as caught:
        read_all(path)
    assert time.process_time() - start < 5
    return f"{report.problems[0]} {caught.value}"


def rewritten(path: Path, file: str, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(path / file)
    pq.write_table(change(table), path / file)


def test_names_that_lead_elsewhere_are_names(tmp_path, monkeypatch):
    """No name of a corpus, task, run, architecture or dataset becomes a path."""
    home = tmp_path / "deep" / "home"
    home.mkdir(parents=True)
    curves = make_curves(name=AWAY)
    archs = pd.DataFrame([{"arch": "net", "format": "name", "spec": AWAY}])
    write_corpus(home / "c", pd.DataFrame([task_row(AWAY)]), [(AWAY, curves)], archs, **manifest(name=AWAY))
    assert validate(home / "c").ok
    assert Corpus.open(home / "c").task(AWAY).curves().ids[0] == f"{AWAY}0"
    monkeypatch.setenv("METALCX_DATA", str(home))
    assert "c" in {known.name for known in list_corpora()}
    with pytest.raises(CorpusError, match="neither a corpus folder nor a named corpus"):
        open_corpus(AWAY)
    assert sorted(p.relative_to(tmp_path).parts[0] for p in tmp_path.iterdir()) == ["deep"]


def test_links_are_read_and_never_written_through(tmp_path):
    real = write_tiny(tmp_path / "real" / "c").path
    before = {p.name: p.read_bytes() for p in real.iterdir()}
    (tmp_path / "linked").mkdir()
    for name in before:
        (tmp_path / "linked" / name).symlink_to(real / name)
    assert validate(tmp_path / "linked").ok
    write_tiny(tmp_path / "linked", tasks=("x",))
    assert Corpus.open(tmp_path / "linked").task_names == ("x",)
    assert {p.name: p.read_bytes() for p in real.iterdir()} == before
    assert not any(p.is_symlink() for p in (tmp_path / "linked").iterdir())


@pytest.mark.parametrize("file", ["corpus.json", "tasks.parquet", "runs.parquet", "curves.parquet"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop"])
def test_what_is_no_file_is_not_waited_for(tiny, file, kind):
    path = tiny.path / file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else file)
    assert "is missing" in said(tiny.path) or "holds no corpus.json" in said(tiny.path)


def test_a_manifest_that_lies(tiny):
    path = tiny.path / "corpus.json"
    whole = json.loads(path.read_text())
    for change, reason in (
        ({"format": "metalcx-corpus/2"}, "'format' is 'metalcx-corpus/2'"),
        ({"format": ["metalcx-corpus/1"]}, "'format' is"),
        ({"n_runs": 10**400}, "says 1000"),
        ({"n_runs": -1}, "write a count"),
        ({"name": ""}, "write a text"),
        ({"metrics": [{"name": "loss", "goal": "min", "lower": 1e308, "upper": 1e307}]}, "is not below"),
        ({"metrics": []}, "declares nothing"),
        ({"redistributable": "yes"}, "write true or false"),
    ):
        path.write_text(json.dumps(whole | change))
        assert reason in str(validate(tiny.path).problems[0])
    path.write_text(json.dumps(whole).replace('"name": "tiny"', '"name": "tiny", "name": "other"'))
    assert "the key 'name' stands there twice" in said(tiny.path)
    path.write_text('{"format": "metalcx-corpus/1", "a": ' * 100_000 + "1" + "}" * 100_000)
    assert "nested too deeply" in said(tiny.path)


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("runs.parquet", lambda t: t.set_column(0, "run", t["run"].cast(pa.int64())), "holds int64"),
        ("runs.parquet", lambda t: t.append_column("run", t["run"]), "more than once"),
        ("curves.parquet", lambda t: t.set_column(1, "t", t["t"].cast(pa.string())), "holds string"),
        ("curves.parquet", lambda t: t.set_column(2, "loss", t["loss"].cast(pa.float64())), "holds double"),
        ("runs.parquet", lambda t: t.set_column(7, "config", pa.array(["[" * 5000] * len(t))), "is not JSON|no JSON"),
        ("runs.parquet", lambda t: t.set_column(7, "config", pa.array(['{"a": 1, "a": 2}'] * len(t))), "JSON"),
        ("runs.parquet", lambda t: t.set_column(8, "n_points", pa.array([2**40] * len(t))), "points"),
        (
            "runs.parquet",
            lambda t: t.set_column(2, "task", pa.array([AWAY] * len(t))),
            "is not in tasks.parquet|points",
        ),
        ("curves.parquet", lambda t: t.take(list(range(len(t)))[::-1]), "goes back"),
        ("curves.parquet", lambda t: t.slice(0, 5), "points"),
    ],
)
def test_tables_that_lie(tmp_path, file, change, reason):
    path = write_tiny(tmp_path / "c").path
    rewritten(path, file, change)
    report = validate(path)
    assert not report.ok
    assert any(re.search(reason, str(problem)) for problem in report.problems)
    with contextlib.suppress(MetalcxError):
        read_all(path)


def test_run_numbers_beyond_what_there_is(tmp_path):
    path = write_tiny(tmp_path / "c").path
    far = np.iinfo(np.int32).max

    def change(table: pa.Table) -> pa.Table:
        run = table["run"].to_numpy().copy()
        run[-1] = far
        return table.set_column(0, "run", pa.array(run, pa.int32()))

    rewritten(path, "curves.parquet", change)
    assert "is no run number from 0 to 7" in str(validate(path).problems[0])
    rewritten(path, "runs.parquet", change)
    start = time.process_time()
    with pytest.raises(CorpusError):
        Corpus.open(path).task("b").curves()
    assert time.process_time() - start < 5
    shutil.rmtree(path)


def test_a_text_as_long_as_a_page_may_be_is_read(tmp_path):
    archs = pd.DataFrame([{"arch": "net", "format": "name", "spec": "x" * (1 << 24)}])
    curves = make_curves(diverged=())
    path = tmp_path / "c"
    write_corpus(
        path, pd.DataFrame([task_row("a")]), [("a", curves)], archs, **manifest(metrics=(LOSS, curves.metrics[1]))
    )
    assert len(Corpus.open(path).architectures["spec"][0]) == 1 << 24
