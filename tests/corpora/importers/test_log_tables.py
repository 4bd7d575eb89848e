"""Logs that are text, in the layouts of their writers: every point is there, and what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from read_logs import opened, read, write

from metalcx.curves import Metric
from metalcx.errors import DataError

ACC = Metric("acc", "max", 0.0, 1.0)
TRAIN = Metric("train_loss", "min", 0.0)
INF = np.inf


@pytest.fixture
def src(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def lightning(src: Path, name: str, rows: str, hparams: str | None = None) -> None:
    write(src / name / "metrics.csv", "epoch,step,train_loss,val_loss\n" + rows)
    if hparams is not None:
        write(src / name / "hparams.yaml", hparams)


def test_lightning_csv_has_sparse_columns(src: Path) -> None:
    lightning(
        src, "version_0", "0,9,0.9,\n0,9,,1.5\n1,19,0.8,\n1,19,,1.25\n", "lr: 0.1\nopt:\n  name: adam\nclip: .inf\n"
    )
    lightning(src, "version_1", "0,9,0.9,\n0,9,,1.5\n")
    report, runs = read("lightning-csv", src, metrics=(TRAIN,))
    assert (report.tasks, report.runs, report.points, dict(report.skipped)) == (1, 2, 3, {})
    first = runs["version_0"]
    assert (first.t.tolist(), first.y.tolist(), first.status[0]) == ([9, 19], [1.5, 1.25], "completed")
    assert first.values["train_loss"] == pytest.approx([0.9, 0.8])
    assert runs["version_1"].status[0] == "censored"
    assert json.loads(opened(src).runs["config"][0]) == {"lr": 0.1, "opt.name": "adam", "clip": "inf"}
    assert opened(src).time_unit == "step"
    _, runs = read("lightning-csv", src, time="epoch")
    assert runs["version_0"].t.tolist() == [0, 1]
    assert opened(src).time_unit == "epoch"


def test_spaces_around_names_and_cells(src: Path) -> None:
    write(src / "metrics.csv", "epoch, step , val_loss\n0, 9, 1\n1, 19, \n2, 29, 0.5\n")
    _, runs = read("lightning-csv", src)
    assert (runs["logs"].t.tolist(), runs["logs"].y.tolist()) == ([9, 29], [1, 0.5])
    write(src / "metrics.csv", "step,val_loss,val_loss \n0,1,1\n")
    with pytest.raises(DataError, match="columns 'val_loss' stand there twice"):
        read("lightning-csv", src)


def test_only_an_epoch_column_is_the_time(src: Path) -> None:
    write(src / "metrics.csv", "epoch,val_loss\n0,1\n1,0.5\n")
    _, runs = read("lightning-csv", src)
    assert runs["logs"].t.tolist() == [0, 1]
    assert opened(src).time_unit == "epoch"


def test_objects_in_hparams_are_never_made(src: Path) -> None:
    evil = "layers: !!python/tuple [1, 2]\nact: !!python/name:torch.nn.ReLU ''\n"
    evil += "run: !!python/object/apply:os.system ['touch made_by_yaml']\n"
    lightning(src, "a", "0,1,,1\n", evil)
    read("lightning-csv", src)
    config = json.loads(opened(src).runs["config"][0])
    assert config == {"layers": [1, 2], "act": "torch.nn.ReLU", "run": ["touch made_by_yaml"]}
    assert not Path("made_by_yaml").exists()


def test_nan_is_a_divergence_and_a_blank_cell_is_not(src: Path) -> None:
    lightning(src, "a", "0,1,,1.0\n0,2,0.5,\n0,3,,nan\n0,4,,0.7\n0,5,0.1,\n")
    lightning(src, "b", "0,1,,1.0\n0,5,,0.5\n")
    lightning(src, "c", "0,1,,inf\n")
    report, runs = read("lightning-csv", src, metrics=(TRAIN,))
    assert runs["a"].t.tolist() == [1, 2, 3]
    assert np.array_equal(runs["a"].y, [1, np.nan, INF], equal_nan=True)
    assert [runs[name].status[0] for name in "abc"] == ["diverged", "completed", "diverged"]
    assert report.skipped == {}


def test_a_further_metric_that_is_infinite_is_noted(src: Path) -> None:
    lightning(src, "a", "0,1,inf,1.0\n0,2,0.5,0.5\n")
    report, runs = read("lightning-csv", src, metrics=(TRAIN,))
    assert np.array_equal(runs["a"].values["train_loss"], [np.nan, 0.5], equal_nan=True)
    assert report.skipped == {"infinite values of a further metric": ["a: 1 of 'train_loss'"]}


def test_steps_logged_again_after_a_restart(src: Path) -> None:
    lightning(
        src, "a", "".join(f"0,{step},,{value}\n" for step, value in ((1, 4), (2, 3), (3, 2), (2, 8), (3, 7), (4, 6)))
    )
    report, runs = read("lightning-csv", src)
    assert (runs["a"].t.tolist(), runs["a"].y.tolist()) == ([1, 2, 3, 4], [4, 8, 7, 6])
    assert report.skipped == {"points at a time that was logged again later": ["a: 2 of 'val_loss'"]}


def test_a_last_line_that_is_not_whole(src: Path) -> None:
    lightning(src, "a", "0,1,,1.0\n0,2,,0.5\n0,3,,0.12")
    report, runs = read("lightning-csv", src)
    assert runs["a"].y.tolist() == [1, 0.5]
    (why,) = report.skipped
    assert "not written to its end" in why
    assert "metrics.csv" in report.skipped[why][0]


def test_repetitions_are_a_group(src: Path) -> None:
    for name, lr, seed in (("a", 0.1, 0), ("b", 0.1, 1), ("c", 0.2, 0)):
        lightning(src, name, "0,1,,1\n", f"lr: {lr}\nseed: {seed}\n")
    read("lightning-csv", src)
    runs = opened(src).runs
    assert runs["group"].tolist() == ["a", "a", "c"]
    assert runs["seed"].tolist() == ["0", "1", "0"]
    assert [json.loads(c) for c in runs["config"]] == [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}]


def test_equal_settings_without_a_seed_are_no_repetitions(src: Path) -> None:
    for name in "ab":
        lightning(src, name, "0,1,,1\n", "lr: 0.1\n")
    read("lightning-csv", src)
    assert opened(src).runs["group"].tolist() == ["a", "b"]


KERAS = "epoch,acc,loss,val_acc,val_loss\n0,0.5,1.5,0.4,1.75\n1,0.75,1.25,NA,NA\n2,0.8,nan,0.6,1.5\n"


def test_keras_csv(src: Path) -> None:
    write(src / "wide" / "a.csv", KERAS)
    write(src / "b.log", KERAS.replace(",", ";"))
    write(src / "c.csv", "epoch,acc,loss,val_acc,val_loss\n0,0.5,1.5,NA,NA\n")
    write(src / "other.csv", "step,val_loss\n1,2\n")
    report, runs = read("keras-csv", src, metrics=(ACC,))
    assert sorted(runs) == ["b", "wide/a"]
    for one in runs.values():
        assert one.t.tolist() == [0, 1, 2]
        assert np.array_equal(one.y, [1.75, np.nan, 1.5], equal_nan=True)
        assert one.values["acc"] == pytest.approx([0.5, 0.75, 0.8])
    assert report.skipped == {
        "no log of Keras: its first column is not 'epoch'": ["other.csv"],
        "no value of 'val_loss'": ["c"],
    }
    _, runs = read("keras-csv", src / "b.log", Metric("loss", "min"))
    assert runs["b"].y.tolist() == [1.5, 1.25, INF]
    assert runs["b"].status[0] == "diverged"


def state(path: Path, steps: int, **more: object) -> None:
    history = [{"epoch": s / 2, "step": s, "loss": str(1 / s)} for s in range(1, steps + 1)]
    history += [{"epoch": s / 2, "step": s, "eval_loss": 1 / s, "eval_runtime": 0.1} for s in range(2, steps + 1, 2)]
    held = {"global_step": steps, "log_history": [*history, {"step": steps, "train_runtime": 3.0}], **more}
    write(path / "trainer_state.json", json.dumps(held))


def test_hf_trainer_reads_the_newest_state_of_a_run(src: Path) -> None:
    for step in (10, 2, 6):
        state(src / "a" / f"checkpoint-{step}", step, train_batch_size=8, trial_params={"lr": 0.1})
    state(src / "b", 6)
    report, runs = read("hf-trainer", src, Metric("eval_loss", "min"), metrics=(Metric("loss", "min"),))
    assert runs["a"].t.tolist() == list(range(1, 11))
    assert np.isfinite(runs["a"].y).sum() == 5
    assert runs["a"].values["loss"] == pytest.approx(1 / np.arange(1, 11)), "numbers that are texts"
    assert [runs[name].status[0] for name in "ab"] == ["completed", "censored"]
    assert json.loads(opened(src).runs["config"][0]) == {"lr": 0.1, "train_batch_size": 8}
    ((why, what),) = report.skipped.items()
    assert "newer" in why
    assert sorted(what) == ["a/checkpoint-2/trainer_state.json", "a/checkpoint-6/trainer_state.json"]
    _, runs = read("hf-trainer", src, Metric("eval_loss", "min"), time="epoch")
    assert runs["a"].t.tolist() == [1, 2, 3, 4, 5]
    _, runs = read("hf-trainer", src / "a" / "checkpoint-6", Metric("eval_loss", "min"))
    assert runs["a"].t.tolist() == [2, 4, 6]


def test_hf_states_that_cannot_be_read_are_named(src: Path) -> None:
    state(src / "a", 4)
    write(src / "b" / "trainer_state.json", '{"global_step": 3, "log_hist')
    write(src / "c" / "trainer_state.json", "[]")
    report, runs = read("hf-trainer", src, Metric("eval_loss", "min"))
    assert list(runs) == ["a"]
    assert report.skipped == {
        "no whole JSON file": ["b/trainer_state.json"],
        "no state of the Trainer: no log_history": ["c/trainer_state.json"],
    }


def histories() -> pd.DataFrame:
    """As ``pd.DataFrame(run.scan_history())`` gives it: a row a step, blank where nothing was logged."""
    rows = [{"_step": s, "_runtime": 2.0 * s, "_timestamp": 1e9 + 2 * s, "loss": 1 / (s + 1)} for s in range(600)]
    for row in rows[::3]:
        row["val_loss"] = 2 / (row["_step"] + 1)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_wandb_history_of_a_run(src: Path, ending: str) -> None:
    (src / "r1").mkdir()
    to = getattr(histories(), {"csv": "to_csv", "parquet": "to_parquet"}[ending])
    to(src / "r1" / f"history.{ending}", index=False)
    write(
        src / "r1" / "config.yaml",
        "_wandb:\n  value: {cli_version: 1}\nlr:\n  desc: null\n  value: 0.1\nopt:\n  value: {b: 1}\n",
    )
    write(src / "r1" / "files" / "wandb-summary.json", '{"_step": 599, "loss": 0.1}')
    histories()[:300].to_csv(src / "early.csv", index=False)
    report, runs = read("wandb", src, metrics=(Metric("loss", "min"),))
    assert runs["r1"].t.tolist() == list(range(600))
    assert np.isfinite(runs["r1"].y).sum() == 200
    assert runs["r1"].values["seconds"][[0, 3]].tolist() == [0, 6]
    assert [runs["early"].status[0], runs["r1"].status[0]] == ["censored", "completed"]
    assert json.loads(opened(src).runs.set_index("name")["config"]["r1"]) == {"lr": 0.1, "opt.b": 1}
    assert report.skipped == {}
    _, runs = read("wandb", src, time="seconds")
    assert runs["r1"].t[:2].tolist() == [0, 6]
    assert opened(src).time_unit == "second"


def test_a_wandb_history_that_ends_before_its_summary_is_noted(src: Path) -> None:
    histories()[:300].to_csv(src / "history.csv", index=False)
    write(src / "wandb-summary.json", '{"_step": 599}')
    report, _ = read("wandb", src)
    assert report.skipped == {
        "the history ends before the last step of wandb-summary.json; export it with run.scan_history()": [
            "logs: steps 299 to 599"
        ]
    }


def test_wandb_histories_of_many_runs_in_one_table(src: Path) -> None:
    table = pd.concat([histories().assign(run_name="a"), histories()[:10].assign(run_name="b")])
    table["val_loss"] = table["val_loss"].astype(object)
    table.loc[(table["run_name"] == "b") & (table["_step"] == 6), "val_loss"] = "NaN"
    table.loc[(table["run_name"] == "a") & (table["_step"] == 597), "val_loss"] = "Infinity"
    table.to_csv(src / "all.csv", index=False)
    _, runs = read("wandb", src / "all.csv")
    assert [len(runs[name].t) for name in "ab"] == [200, 3]
    assert [runs[name].status[0] for name in "ab"] == ["diverged", "diverged"]


def panel(**runs: list[float | None]) -> str:
    columns = {"Step": range(len(next(iter(runs.values()))))}
    for run, y in runs.items():
        columns |= {f"{run} - val_loss{end}": y for end in ("", "__MIN", "__MAX")} | {f"{run} - _step": columns["Step"]}
    return pd.DataFrame(columns).to_csv(index=False)


def test_wandb_panels(src: Path) -> None:
    write(src / "panel.csv", panel(a=[3.0, 2.0, 1.0], b=[4.0, None, None]))
    write(src / "notes.csv", "what,why\n1,2\n")
    report, runs = read("wandb", src)
    assert (runs["a"].y.tolist(), runs["b"].y.tolist()) == ([3, 2, 1], [4])
    assert list(report.skipped.values()) == [["notes.csv"]]
    write(src / "panel.csv", panel(a=[3.0, 2.0, 1.0]).replace("0,3.0,3.0,", "0,3.0,2.5,"))
    with pytest.raises(DataError, match=r"panel.csv: column 'a - val_loss' holds averages .*scan_history"):
        read("wandb", src)


LAYOUTS = {
    "lightning-csv": lambda src: lightning(src, "a", "0,1,,1.0\n0,2,,-0.5\n"),
    "keras-csv": lambda src: write(src / "a.csv", "epoch,val_loss\n0,1.0\n1,-0.5\n"),
    "hf-trainer": lambda src: write(
        src / "trainer_state.json", '{"log_history": [{"step": 1, "val_loss": 1}, {"step": 2, "val_loss": -0.5}]}'
    ),
    "wandb": lambda src: write(src / "a.csv", "_step,val_loss\n1,1.0\n2,-0.5\n"),
}


@pytest.mark.parametrize("format", LAYOUTS)
def test_mistakes_that_every_reader_names(src: Path, format: str) -> None:
    with pytest.raises(DataError, match=r"logs: holds no"):
        read(format, src)
    LAYOUTS[format](src)
    with pytest.raises(DataError, match=r"logs: 'val_loss' leaves the bounds \[0.0, None\] declared for it in runs '"):
        read(format, src)
    with pytest.raises(DataError, match=r"nothing was logged as 'accuracy'; there is .*'val_loss'"):
        read(format, src, Metric("accuracy", "max"))
    with pytest.raises(DataError, match=r"nothing was logged as 'accuracy'"):
        read(format, src, Metric("val_loss", "min"), metrics=(Metric("accuracy", "max"),))
    with pytest.raises(DataError, match=r"the metric is declared, never guessed"):
        read(format, src, None)
    with pytest.raises(DataError, match=r"'fortnight'"):
        read(format, src, time="fortnight")
    with pytest.raises(DataError, match=r"there is no such file or folder"):
        read(format, src / "nowhere")
    assert not (src.parent / "made from logs").exists(), "nothing is written"


@pytest.mark.parametrize("format", ["lightning-csv", "keras-csv", "wandb"])
def test_torn_and_empty_tables_are_named(src: Path, format: str) -> None:
    path = src / ("metrics.csv" if format == "lightning-csv" else "a.csv")
    write(path, "")
    with pytest.raises(DataError, match=r"(metrics|a).csv: the file is empty|holds no table"):
        read(format, src)
    head = {"lightning-csv": "step,val_loss", "keras-csv": "epoch,val_loss", "wandb": "_step,val_loss"}[format]
    write(path, f"{head}\n1,2\n2,3,4,5\n")
    with pytest.raises(DataError, match=r"(metrics|a).csv: is no CSV table"):
        read(format, src)
    write(path, f"{head}\n1,2\n2,great\n")
    with pytest.raises(DataError, match=r"(metrics|a).csv: column 'val_loss' holds 'great' in row 2"):
        read(format, src)
    write(path, f"{head}\n")
    with pytest.raises(DataError, match=r"no run was found; 1 left out: no value of 'val_loss'|nothing was logged"):
        read(format, src)
