import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metalcx.corpora import Corpus, CorpusWriter, validate, write_corpus
from metalcx.curves import Curves, Metric
from metalcx.errors import CorpusError

from .conftest import ACC, LOSS, make_curves, manifest, task_row, write_tiny


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def beside(path):
    """What else stands in the folder of a corpus."""
    return sorted(p.name for p in path.parent.iterdir() if p.name != path.name)


def test_what_is_written_is_valid_and_nothing_else_is_left(tmp_path):
    corpus = write_tiny(tmp_path / "c", checksums=True, card="# Where from\n", extra={"note": 1})
    assert validate(corpus.path).ok
    assert beside(corpus.path) == []
    assert (corpus.path / "SOURCE.md").read_text() == "# Where from\n"
    assert Corpus.open(corpus.path).manifest.extra == {"note": 1}
    assert stat.S_IMODE(corpus.path.stat().st_mode) == 0o777 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_row_groups_hold_whole_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr("metalcx.corpora._writer._SMALL_TASK", 40)
    corpus = write_tiny(tmp_path / "c", tasks=tuple("abcd"), n=6)  # 45 points a task
    metadata = pq.ParquetFile(corpus.path / "curves.parquet").metadata
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [45] * 4
    monkeypatch.setattr("metalcx.corpora._writer._SMALL_TASK", 80)
    corpus = write_tiny(tmp_path / "c", tasks=tuple("abcd"), n=6)
    metadata = pq.ParquetFile(corpus.path / "curves.parquet").metadata
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [90] * 2


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_curves_survive_the_disk(tmp_path, data):
    """Ragged lengths, NaN anywhere, divergence, huge values and odd names come back to the last bit."""
    n = data.draw(st.integers(1, 5))
    length = data.draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    offsets = np.concatenate([[0], np.cumsum(length)])
    value = st.just(np.nan) | st.floats(width=32, allow_infinity=False, min_value=0)
    y = np.array(data.draw(st.lists(value, min_size=sum(length), max_size=sum(length))))
    status = np.array(
        data.draw(st.lists(st.sampled_from(["completed", "censored", "diverged"]), min_size=n, max_size=n)),
        dtype=object,
    )
    for end, start, how in zip(offsets[1:], offsets, status, strict=False):
        if how == "diverged":
            y[end - 1] = np.inf
            y[max(start, end - 2) : end - 1] = 1.0
    name = st.text(min_size=1, max_size=8).filter(lambda s: s.isprintable())
    curves = Curves(
        metric=LOSS,
        ids=np.array(data.draw(st.lists(name, min_size=n, max_size=n, unique=True)), dtype=object),
        offsets=offsets,
        t=np.concatenate([np.arange(k) + data.draw(st.floats(-1e6, 1e6)) for k in length]),
        values={"loss": y},
        status=status,
    )
    corpus = write_corpus(tmp_path / "c", pd.DataFrame([task_row("a")]), [("a", curves)], **manifest())
    read = corpus.task("a").curves()
    np.testing.assert_array_equal(read.y, y)
    np.testing.assert_array_equal(read.t, curves.t)
    np.testing.assert_array_equal(read.offsets, offsets)
    assert list(read.ids) == list(curves.ids)
    assert list(read.status) == list(status)


def test_configuration_keeps_its_types(tmp_path):
    curves = make_curves(n=2, diverged=())
    config = pd.DataFrame(
        {"i": np.array([1, 2]), "f": [0.5, np.nan], "s": ["x", None], "b": [True, False], "l": [[1, 2], None]}
    )
    curves = replace(curves, config=config, arch=None, group=None)
    corpus = write_corpus(tmp_path / "c", pd.DataFrame([task_row("a")]), [("a", curves)], **manifest())
    assert list(corpus.runs["config"]) == [
        '{"b": true, "f": 0.5, "i": 1, "l": [1, 2], "s": "x"}',
        '{"b": false, "i": 2}',
    ]
    assert list(corpus.runs["group"]) == ["run0", "run1"]
    assert corpus.task("a").curves().arch.tolist() == [None, None]


def with_value(curves, name, row, value):
    column = curves.values[name].copy()
    column[row] = value
    return replace(curves, values={**curves.values, name: column})


BAD = [
    (
        lambda c: replace(c, status=np.array(["running"] * 4, dtype=object)),
        "'run0', 'run1', 'run2', 'run3' are still running",
    ),
    (lambda c: c.mirrored(), r"'loss', 'acc' not declared so"),
    (lambda c: replace(c, values={**c.values, "f1": c.y}), r"'f1' not declared so"),
    (lambda c: replace(c, values={**c.values, "seconds": c.t}), r"'seconds' not declared so"),
    (lambda c: with_value(c, "acc", 0, 1.5), r"'acc' leaves its declared bounds in runs 'run0'"),
    (lambda c: with_value(c, "loss", 0, 1e39), r"'loss' overflows single precision in runs 'run0'"),
    (lambda c: with_value(c, "loss", 0, np.inf), r"curves\.parquet: row 0, column 'run': holds inf"),
    (lambda c: replace(c, arch=np.array(["other"] * 4, dtype=object)), r"'other' has no row in architectures\.parquet"),
    (lambda c: replace(c, config=pd.DataFrame({"x": [1j] * 4})), "has no JSON form"),
    (lambda c: replace(c, config=pd.DataFrame({"x": [np.inf] * 4})), "has no JSON form"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD)
def test_what_does_not_fit_is_refused_and_the_old_corpus_stays(tmp_path, spoil, message):
    old = contents(write_tiny(tmp_path / "c").path)
    table = pd.DataFrame([task_row("a")])
    archs = pd.DataFrame([{"arch": "net", "format": "name"}])
    pieces = [("a", spoil(make_curves()))]
    with pytest.raises(CorpusError, match=message):
        write_corpus(tmp_path / "c", table, pieces, archs, **manifest())
    assert contents(tmp_path / "c") == old
    assert beside(tmp_path / "c") == []


def test_runs_without_a_point_are_refused(tmp_path):
    curves = make_curves(n=2, diverged=())
    empty = replace(
        curves,
        ids=np.array(["a", "b", "c"], dtype=object),
        offsets=np.append(curves.offsets, curves.offsets[-1]),
        status=np.array(["completed"] * 3, dtype=object),
        config=None,
        arch=None,
        group=None,
    )
    with pytest.raises(CorpusError, match="runs 'c' have no point"):
        write_corpus(tmp_path / "c", pd.DataFrame([task_row("a")]), [("a", empty)], **manifest())


def use_writer(path, use):
    with CorpusWriter(path, **manifest()) as writer:
        use(writer)


KNOWN = {"task": "a", "dataset": "d", "family": "f", "domain": "x", "metric": "loss"}


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda w: w.add_task(**{**KNOWN, "metric": "f1"}), "'f1' is not declared"),
        (lambda w: w.add_task(**{**KNOWN, "family": ""}), "'family' must be one text"),
        (lambda w: (w.add_task(**KNOWN), w.add_task(**KNOWN)), "was added already"),
        (lambda w: w.add_runs("a", make_curves()), "add_task comes first"),
        (lambda w: (w.add_task(**KNOWN), w.add_runs("a", replace(make_curves(), metric=ACC))), "these curves by 'acc'"),
        (lambda w: None, "no task was added"),
    ],
)
def test_tasks_are_checked_when_they_are_added(tmp_path, use, message):
    with pytest.raises(CorpusError, match=message):
        use_writer(tmp_path / "c", use)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_leaves_the_old_corpus(tmp_path):
    old = contents(write_tiny(tmp_path / "c").path)

    def interrupted(writer):
        writer.add_task(**KNOWN)
        writer.add_runs("a", make_curves())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use_writer(tmp_path / "c", interrupted)
    assert contents(tmp_path / "c") == old
    assert beside(tmp_path / "c") == []


def test_a_folder_that_is_no_corpus_is_never_overwritten(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(CorpusError, match="is no corpus; it is not overwritten"):
        write_tiny(folder)
    (folder / "corpus.json").write_text('{"format": "something else"}')
    with pytest.raises(CorpusError, match="is no corpus; it is not overwritten"):
        write_tiny(folder)
    with pytest.raises(CorpusError, match="is a file; give a folder"):
        write_tiny(folder / "thesis.txt")
    assert contents(folder) == {"corpus.json": b'{"format": "something else"}', "thesis.txt": b"years of work"}
    write_tiny(tmp_path / "c")
    (tmp_path / "c" / "more").mkdir()
    with pytest.raises(CorpusError, match=r"holds folders \('more'\)"):
        write_tiny(tmp_path / "c")


def test_an_empty_folder_may_become_a_corpus_and_cards_are_kept(tmp_path):
    (tmp_path / "c").mkdir()
    write_tiny(tmp_path / "c", checksums=True)
    (tmp_path / "c" / "SOURCE.md").write_text("from here")
    write_tiny(tmp_path / "c", seed=5)
    assert (tmp_path / "c" / "SOURCE.md").read_text() == "from here"
    assert validate(tmp_path / "c").ok  # with checksums that were written anew


def test_a_link_to_a_corpus_stays_a_link(tmp_path):
    write_tiny(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_tiny(tmp_path / "link", tasks=("x",))
    assert (tmp_path / "link").is_symlink()
    assert Corpus.open(tmp_path / "real").task_names == ("x",)


def test_two_writers_do_not_meet(tmp_path):
    with CorpusWriter(tmp_path / "c", **manifest()) as writer:
        writer.add_task("a", dataset="d", family="f", domain="x", metric="loss")
        writer.add_architecture("net", format="name", features={"params": 1})
        writer.add_runs("a", make_curves(), seed=[0, 1, None, 3])
        with pytest.raises(CorpusError, match="another process is writing"):
            write_tiny(tmp_path / "c")
    assert Corpus.open(tmp_path / "c").runs["seed"].tolist()[:2] == ["0", "1"]
    assert beside(tmp_path / "c") == []


def run_python(code, *arguments):
    root = Path(__file__).resolve().parents[2]
    code = "import sys\nsys.path.insert(0, sys.argv[1])\n" + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", code, str(root), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of file size are POSIX")
def test_a_full_disk_leaves_the_old_corpus(tmp_path):
    old = contents(write_tiny(tmp_path / "c").path)
    done = run_python(
        """
        import resource, signal
        import numpy as np
        from metalcx.corpora import CorpusWriter
        from metalcx.curves import Curves, Metric
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        loss, n = Metric("loss", "min", 0.0), 100_000
        known = dict(dataset="d", family="f", domain="x", metric="loss")
        try:
            with CorpusWriter(sys.argv[2], name="n", time_unit="epoch", metrics=[loss], licence="x", citation="x",
                              redistributable=True, row_group_points=10_000) as writer:
                writer.add_task("a", **known)
                writer.add_runs("a", Curves(metric=loss, ids=np.array(["r"], dtype=object), offsets=np.array([0, n]),
                                t=np.arange(float(n)), values={"loss": np.random.default_rng(0).random(n)},
                                status=np.array(["completed"], dtype=object)))
        except Exception as error:
            print(type(error).__name__, error)
        """,
        tmp_path / "c",
    )
    assert done.stdout.startswith("CorpusError"), done.stdout + done.stderr
    assert "could not be written" in done.stdout
    assert contents(tmp_path / "c") == old
    assert beside(tmp_path / "c") == []


def test_no_permission_to_write(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    write_tiny(tmp_path / "c")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(CorpusError, match=r"could not be written .*Permission denied"):
            write_tiny(tmp_path / "c")
    finally:
        tmp_path.chmod(0o755)


def test_metrics_that_no_piece_measures_are_not_measured(tmp_path):
    curves = make_curves(diverged=())
    curves = replace(curves, values={"loss": curves.y}, metrics=(LOSS,), arch=None)
    extra = Metric("seconds_to_target", "min", 0)
    known = manifest(metrics=(LOSS, ACC, extra))
    corpus = write_corpus(tmp_path / "c", pd.DataFrame([task_row("a")]), [("a", curves)], **known)
    assert np.isnan(corpus.task("a").curves(metrics=["acc"]).values["acc"]).all()
