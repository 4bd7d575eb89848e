"""Whatever happens to a writer, and whenever, the old or the new corpus can be read."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metalcx._swap import readable, replacing, retired
from metalcx.corpora import Corpus, validate
from metalcx.corpora._table import TableFile
from metalcx.errors import CorpusError

from .conftest import write_tiny

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")


def start(code, *arguments):
    lines = f"import sys\nsys.path[:0] = [{str(ROOT)!r}]\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", lines, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


# Replaces one folder by another, and dies at the moment that it is told.
KILL_IN_SWAP = """
import os, shutil, signal
from pathlib import Path
from metalcx import _swap
source, target, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
inner = {name: getattr(os, name) for name in ("rename", "fsync")}
count = {"rename": 0, "fsync": 0}
def dying(name):
    def call(*arguments):
        count[name] += 1
        if moment == f"before {name} {count[name]}":
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner[name](*arguments)
        if moment == f"after {name} {count[name]}":
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
for name in inner:
    setattr(_swap.os, name, dying(name))
with _swap.replacing(target) as fresh:
    for file in source.iterdir():
        shutil.copy(file, fresh)
"""


def test_files_and_then_their_names_are_brought_to_the_disk_before_the_swap(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("metalcx._swap.flush", flushed.append)
    with replacing(tmp_path / "c") as fresh:
        (fresh / "file").write_text("x")
    assert flushed == [fresh / "file", fresh, fresh.parent]


@posix
@pytest.mark.parametrize(
    ("moment", "found"),
    [
        ("before fsync 1", ("a", "b")),
        ("before rename 1", ("a", "b")),
        ("after rename 1", ("a", "b")),
        ("before rename 2", ("a", "b")),
        ("after rename 2", ("x",)),
        ("never", ("x",)),
    ],
)
def test_killed_at_each_step_of_the_swap(tmp_path, moment, found):
    write_tiny(tmp_path / "old" / "c")
    write_tiny(tmp_path / "new" / "c", tasks=("x",))
    target = tmp_path / "old" / "c"
    done = start(KILL_IN_SWAP, tmp_path / "new" / "c", target, moment).wait(120)
    assert done == (0 if moment == "never" else -signal.SIGKILL)
    assert target.exists() == (moment not in ("after rename 1", "before rename 2"))
    assert Corpus.open(target).task_names == found
    assert validate(target).ok
    assert Corpus.open(target).task(found[0]).n_runs == 4
    # The next writer sweeps up, and finds nothing in its way.
    write_tiny(target, tasks=("y",))
    assert Corpus.open(target).task_names == ("y",)
    assert [p.name for p in target.parent.iterdir()] == ["c"]


REWRITE = """
import itertools
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2])))
import numpy as np
from metalcx.corpora import CorpusWriter
from metalcx.curves import Curves, Metric
loss = Metric("loss", "min", 0.0)
known = dict(name="n", time_unit="epoch", metrics=[loss], licence="x", citation="x", redistributable=True)
print("ready", flush=True)
for k in itertools.count(1):
    n = 1 + k % 3
    with CorpusWriter(sys.argv[1], **known) as writer:
        writer.add_task("a", dataset=f"version{n}", family="f", domain="x", metric="loss")
        writer.add_runs("a", Curves(metric=loss, ids=np.array([f"r{i}" for i in range(n)], dtype=object),
            offsets=np.arange(n + 1) * 5, t=np.tile(np.arange(5.0), n), values={"loss": np.full(5 * n, float(n))},
            status=np.array(["completed"] * n, dtype=object)))
"""


def whole(corpus):
    """Read one of three versions, which differ in dataset, number of runs and values; False if it was replaced."""
    try:
        curves = corpus.task("a").curves()
    except CorpusError as error:
        if "was replaced or removed since it was opened" not in str(error):
            raise
        return False
    assert corpus.task("a").dataset == f"version{len(curves)}"
    assert (curves.y == len(curves)).all()
    return True


@posix
@pytest.mark.parametrize("_", [0, *(pytest.param(i, marks=pytest.mark.soak) for i in range(1, 25))])
def test_killed_at_any_moment_and_read_all_the_while(tmp_path, _):
    target = tmp_path / "c"
    opened = stale = 0
    for pause in (0.0, 0.013):
        writer = start(REWRITE, target, ROOT)
        try:
            assert writer.stdout.readline() == "ready\n"
            while not target.exists() and not retired(target).exists():
                time.sleep(0.005)
            end = time.monotonic() + 0.5 + pause
            while time.monotonic() < end:
                corpus = Corpus.open(target)  # never fails, in the middle of a swap or not
                opened += 1
                stale += not whole(corpus)
        finally:
            writer.kill()
            writer.wait()
        assert whole(Corpus.open(target))
        assert validate(target).ok
    assert opened > stale


def test_readers_look_at_the_retired_folder_and_touch_nothing(tmp_path):
    corpus = write_tiny(tmp_path / "c")
    os.rename(tmp_path / "c", retired(tmp_path / "c"))
    assert readable(tmp_path / "c") == retired(tmp_path / "c")
    assert Corpus.open(tmp_path / "c").task_names == corpus.task_names
    assert validate(tmp_path / "c").ok
    assert not (tmp_path / "c").exists()


def test_a_failing_second_rename_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_tiny(tmp_path / "c")
    inner, calls = os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no")
        inner(source, target)

    monkeypatch.setattr("metalcx._swap.os.rename", rename)
    with pytest.raises(OSError, match="no"), replacing(tmp_path / "c"):
        pass
    assert Corpus.open(tmp_path / "c").task_names == ("a", "b")
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_names_with_wildcards_sweep_only_their_own(tmp_path):
    (tmp_path / ".ab.12345678.tmp").mkdir()
    with replacing(tmp_path / "a?"):
        pass
    assert (tmp_path / ".ab.12345678.tmp").is_dir()


def test_an_open_file_is_read_to_its_end_after_another_has_taken_its_place(tmp_path):
    tables = [pa.table({"a": np.full(3, value)}) for value in (1, 2)]
    for name, table in zip(("old", "new"), tables, strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with TableFile(tmp_path / "old.parquet") as file:
        (tmp_path / "new.parquet").rename(tmp_path / "old.parquet")
        assert [batch["a"].to_pylist() for _, batch in file.batches()] == [[1, 1, 1]]
        (tmp_path / "old.parquet").unlink()
        assert file.read()["a"].to_pylist() == [1, 1, 1]
