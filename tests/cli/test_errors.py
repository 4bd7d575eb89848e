"""Whatever a person can mend: exit code 2, one line that names file, column, runs and mend, and nothing written."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

METRIC = "val_loss:min:0"


def write(name: str, text: str | bytes | pd.DataFrame) -> str:
    if isinstance(text, pd.DataFrame):
        text = text.to_csv(index=False)
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def table(**changes: object) -> pd.DataFrame:
    return pd.read_csv("runs.csv").assign(**changes)


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture(params=["adapt", "forecast"])
def use(request, home, bad):
    """Hand a table to each command that reads one."""

    def run(curves: str, *more: object, metric: str = METRIC) -> str:
        last = ("--out", "made") if request.param == "adapt" else ("--at", 20, "--out", "made.csv")
        return bad(request.param, "tiny-base", "--curves", curves, "--metric", metric, *last, *more)

    return run


def test_a_missing_file(use):
    assert "nowhere.csv: there is no such file" in use("nowhere.csv")


def test_a_folder_instead_of_a_file(use):
    Path("folder").mkdir()
    assert "folder: is a folder" in use("folder")


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
def test_an_empty_file(use, name):
    assert f"{name}: the file is empty; give at least a header" in use(write(name, ""))


def test_a_header_alone(use):
    assert "head.csv: the table is empty; give at least one row" in use(write("head.csv", "run,t,value\n"))


@pytest.mark.parametrize("column", ["run", "t", "value"])
def test_wrong_columns(use, column):
    line = use(write("cols.csv", table().rename(columns={column: "other"})))
    assert f"cols.csv: no column '{column}'" in line
    assert "'other'" in line
    assert "run, t, value" in line


def test_semicolons(use):
    line = use(write("semi.csv", table().to_csv(index=False, sep=";")))
    assert "semi.csv: no column" in line
    assert "'run;t;value'" in line


def test_duplicate_points(use):
    twice = pd.concat([table(), table().iloc[[0, 25, 45]]])
    line = use(write("dup.csv", twice))
    assert "dup.csv: column 't' repeats a time within runs 'r0', 'r1', 'r2'; keep one row" in line


def test_values_outside_the_bounds_name_five_runs(use):
    line = use(write("out.csv", table(value=lambda f: f["value"] - 5)))
    assert "out.csv: column 'value' leaves the bounds [0.0, None]" in line
    assert "'r0', 'r1', 'r2', 'r3', 'r4' and 4 more" in line
    assert "declare wider bounds" in line


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("val_loss", "metric 'val_loss' has no goal; write name:goal"),
        ("val_loss:down", "goal 'down' is unknown; declare 'max' or 'min'"),
        ("val_loss:", "goal '' is unknown"),
        (":min", "a metric needs a name"),
        ("val_loss:min:zero", "a bound is not a number"),
        ("val_loss:min:1:0", "lower bound 1.0 is not below upper bound 0.0"),
        ("val_loss:min:nan", "lower bound nan is not finite"),
    ],
)
def test_a_metric_without_a_goal_or_with_odd_bounds(use, metric, said):
    assert said in use("runs.csv", metric=metric)


def test_text_where_numbers_belong(use):
    words = table()
    words["value"] = words["value"].astype(object)
    words.loc[words["run"] == "r4", "value"] = "great"
    line = use(write("words.csv", words))
    assert "words.csv: column 'value' holds 'great', which is no number, in runs 'r4'" in line


def test_times_that_are_not_finite(use):
    assert "t.csv: column 't' is not finite in runs 'r0'" in use(
        write("t.csv", "run,t,value\nr0,1,1\nr0,,2\nr1,inf,1\n")
    )


def test_runs_without_an_id(use):
    assert "column 'run' is missing in row 2" in use(write("id.csv", "run,t,value\nr0,1,1\n,2,2\n"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\1\2\3" * 50, "is neither CSV nor a whole Parquet file"),
        (b"PAR1" + b"\0" * 50, "is no whole Parquet file"),
        ("run,t,value\nr0,1,caf\xe9\n".encode("latin-1"), "is not text in UTF-8"),
        (b"run,t,value\nr0,1,1\nr0,2,2,3,4\n", "is no CSV table"),
        (b'run,t,value\n"r0,1,1\n', "is no CSV table"),
        (b"run,t,value\nr0,1,1,9\nr0,2,2,9\n", "rows have more fields than the header"),
    ],
)
def test_binary_junk_and_torn_tables(use, content, said):
    assert f"junk.csv: {said}" in use(write("junk.csv", content))


def test_half_a_parquet_file(use):
    whole = parquet(table())
    line = use(write("half.parquet", whole[: len(whole) // 2]))
    assert "half.parquet: is no whole Parquet file" in line
    assert "it does not end in a footer); write it again" in line
    assert "text.parquet: is neither CSV nor a whole Parquet" in use(write("text.parquet", table()))


def test_several_tasks_need_a_choice(use):
    both = pd.concat([table(task="cifar10"), table(task="svhn")])
    write("both.csv", both)
    assert "both.csv: column 'task' holds 'cifar10', 'svhn'; choose one with --task" in use("both.csv")
    assert "both.csv: column 'task' holds no 'mnist'; there is 'cifar10', 'svhn'" in use("both.csv", "--task", "mnist")
    assert "runs.csv: no column 'task' to choose 'mnist' from" in use("runs.csv", "--task", "mnist")
    both.loc[both.index[3], "task"] = None
    assert "column 'task' is missing in row 4" in use(write("gap.csv", both), "--task", "svhn")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,status\nr0,completed\n", "known.csv: no column 'run'"),
        ("run,lr\nr0,1\nr0,2\n", "known.csv: run ids repeat: 'r0'"),
        ("run,lr\nr0,1\nr1,2\n", "known.csv: no row for runs 'r2', 'r3', 'r4', 'r5', 'r6' and 2 more of runs.csv"),
        (
            "run,status\n" + "".join(f"r{i},done\n" for i in range(9)),
            "known.csv: column 'status' is not one of completed",
        ),
    ],
)
def test_a_table_of_runs_that_does_not_fit(use, text, said):
    assert said in use("runs.csv", "--runs", write("known.csv", text))


def test_a_folder_that_is_no_model(home, bad):
    Path("folder").mkdir()
    for command in (
        ("adapt", "folder", "--curves", "runs.csv", "--metric", METRIC, "--out", "made"),
        ("forecast", "folder", "--curves", "runs.csv", "--metric", METRIC, "--at", 20),
        ("models", "show", "folder"),
    ):
        assert "folder: holds no config.json, so it is not a model" in bad(*command)
    assert "no model of that name (shipped are 'tiny-base')" in bad("models", "show", "missing")
    assert "there is no such folder" in bad("models", "show", "./missing")


def test_a_model_file_cut_in_half(home, good, bad):
    good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    weights = Path("mine/model.safetensors")
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    for command in (
        ("forecast", "mine", "--curves", "runs.csv", "--metric", METRIC, "--at", 20),
        ("models", "show", "mine"),
        ("adapt", "mine", "--curves", "runs.csv", "--metric", METRIC, "--out", "again"),
    ):
        assert "model.safetensors: is cut short" in bad(*command)


def test_an_adapted_model_is_not_adapted_again(home, good, bad):
    good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    line = bad("adapt", "mine", "--curves", "runs.csv", "--metric", METRIC, "--out", "again")
    assert "mine: is itself adapted; adapt its base 'tiny-base'" in line


def test_an_adapted_model_forecasts_its_own_metric_only(home, good, bad):
    good("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--out", "mine")
    line = bad("forecast", "mine", "--curves", "runs.csv", "--metric", "val_loss:max", "--at", 20)
    assert "measure val_loss:max, but the support measured val_loss:min:0.0; declare the same metric" in line


def test_nothing_to_adapt_to_and_nothing_to_forecast(home, bad):
    line = bad("adapt", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--horizon", 99, "--out", "made")
    assert "runs.csv: none of its 9 runs is finished" in line
    assert "--horizon" in line
    line = bad("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--horizon", 3, "--at", 20)
    assert "runs.csv: all of its 9 runs are finished" in line


@pytest.mark.parametrize("place", ["file/below", "/proc/metalcx-cannot-write-here"])
def test_no_permission_to_write(home, bad, place):
    write("file", "mine")
    arguments = ("tiny-base", "--curves", "runs.csv", "--metric", METRIC)
    assert f"{place}: cannot be written" in bad("adapt", *arguments, "--out", place)
    assert f"{place}.csv: cannot be written" in bad("forecast", *arguments, "--at", 20, "--out", f"{place}.csv")


def test_outputs_that_would_replace_something_else(home, bad):
    Path("full").mkdir()
    write("full/notes.txt", "mine")
    arguments = ("tiny-base", "--curves", "runs.csv", "--metric", METRIC)
    assert "full: holds 'notes.txt'; nothing but a model is replaced" in bad("adapt", *arguments, "--out", "full")
    assert "runs.csv: is a file" in bad("adapt", *arguments, "--out", "runs.csv")
    assert "full.xlsx: the ending says neither CSV nor Parquet" in bad(
        "forecast", *arguments, "--at", 1, "--out", "full.xlsx"
    )
    Path("folder.csv").mkdir()
    assert "folder.csv: is a folder" in bad("forecast", *arguments, "--at", 1, "--out", "folder.csv")


@pytest.mark.parametrize("time", ["nan", "inf"])
def test_a_time_that_is_not_finite(home, bad, time):
    line = bad("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", time)
    assert "is not finite" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("adapt",), "Missing argument 'MODEL'; `metalcx adapt --help`"),
        (("adapt", "tiny-base", "--curves", "runs.csv"), "Missing option '--metric'"),
        (("forecast", "tiny-base", "--at", "soon"), "Invalid value for '--at'"),
        (("nonsense",), "No such command 'nonsense'"),
        (("models", "nonsense"), "No such command 'nonsense'"),
        (("--nonsense",), "No such option: --nonsense"),
        (("meta-train", "--algorithm", "magic"), "Invalid value for '--algorithm'"),
        (("demo", "--out", "picture.txt"), "picture.txt: the picture is a PNG"),
        (("demo", "--corpus", "missing"), "'missing' is neither a corpus folder nor a named corpus"),
        (("corpus", "show", "missing"), "'missing' is neither a corpus folder nor a named corpus"),
        (("corpus", "validate", "missing"), "'missing' is neither a corpus folder nor a named corpus"),
        (("corpus", "validate", "."), "holds no corpus.json, so it is no corpus"),
    ],
)
def test_wrong_calls(home, bad, arguments, said):
    assert said in bad(*arguments)


def test_a_message_of_several_lines_becomes_one(capsys):
    from metalcx.cli._group import fail

    assert fail("a\n  b\nc") == 2
    assert capsys.readouterr().err == "metalcx: a b c\n"


def test_an_error_of_ours_keeps_its_traceback(home, call, monkeypatch):
    def breaks(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("metalcx.hub.load", breaks)
    with pytest.raises(ZeroDivisionError):
        call("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20)


def test_an_interrupt_is_said_in_one_line(home, call, monkeypatch):
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metalcx.hub.load", interrupted)
    result = call("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20)
    assert (result.exit_code, result.stderr) == (130, "metalcx: interrupted\n")


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EROFS, "give a place that you may write to"),
        (errno.ENOSPC, "make room, and run the same command again"),
        (errno.EIO, "mend that, and run the same command again"),
    ],
)
def test_a_failing_system_call_is_named_with_a_mend(home, bad, monkeypatch, number, mend):
    def fails(*args: object, **options: object) -> None:
        raise OSError(number, "Something", "a.parquet")

    monkeypatch.setattr("metalcx.hub.load", fails)
    line = bad("forecast", "tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20)
    assert line.strip() == f"metalcx: a.parquet: Something; {mend}"


def test_an_older_output_survives_a_failed_write(home, bad, monkeypatch):
    write("old.csv", "mine\n")

    def full(self: object, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    arguments = ("tiny-base", "--curves", "runs.csv", "--metric", METRIC, "--at", 20, "--out", "old.csv")
    assert "old.csv: cannot be written (No space left on device)" in bad("forecast", *arguments)
    assert Path("old.csv").read_text() == "mine\n"
    assert np.isfinite(pd.read_csv("runs.csv")["value"]).all()
