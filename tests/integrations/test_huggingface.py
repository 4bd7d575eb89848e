from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trainings import EPOCHS

from metalcx.curves import Metric
from metalcx.decide import DecisionLog
from metalcx.integrations._board import Board

pytestmark = pytest.mark.slow
pytest.importorskip("transformers", reason="transformers is not installed")

# In a process of its own, because in a checkout the folder `datasets` looks like the library of that name.
AHEAD = """
import json, sys
import metalcx, metalcx.integrations
sys.path[:0] = sys.argv[1:]
from pathlib import Path
sys.path = [p for p in sys.path if not (Path(p) / "datasets").is_dir() or "site-packages" in p]
import torch, transformers
from trainings import EPOCHS, earlier, losses
from metalcx import Metric
from metalcx.integrations.huggingface import MetalcxCallback

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        out = self.layer(x)
        return {"loss": (out - labels).square().mean(), "logits": out}

class Logged(transformers.Trainer):
    values, name = (), "eval_val"

    def evaluate(self, *args, **kwargs):
        value = self.values[round(self.state.epoch) - 1]
        metrics = {self.name: value}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

DATA = [{"x": x, "labels": 3 * x} for x in torch.linspace(-1, 1, 8)[:, None]]
EARLIER = earlier(Metric("eval_val", "min", 0.0))
BROKEN = [losses(0.01)[0], float("nan"), *losses(0.01)[2:]]

def fit(values, callback, name="eval_val", resume=None, **options):
    options = {"save_strategy": "no", "num_train_epochs": EPOCHS, **options}
    args = transformers.TrainingArguments(output_dir="out", eval_strategy="epoch", report_to="none",
        use_cpu=True, disable_tqdm=True, logging_strategy="no", **options)
    trainer = Logged(Line(), args, train_dataset=DATA, eval_dataset=DATA, callbacks=[callback])
    trainer.values, trainer.name = values, name
    trainer.train(resume_from_checkpoint=resume)
    return trainer

def stopping(runs=EARLIER, **options):
    return MetalcxCallback("val", False, **{"lower": 0.0, "runs": runs, **options})

def tell(**what):
    print("SAID", json.dumps(what), flush=True)
"""


def said(code: str, tmp_path: Path, *launcher: str) -> list[dict[str, Any]]:
    """What a program that starts as above tells, started by Python with these arguments."""
    (tmp_path / "program.py").write_text(AHEAD + code)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, *launcher, "program.py", *paths], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("SAID ")]


def test_trainings_end_when_they_should(tmp_path: Path) -> None:
    code = """
hopeless, promising = stopping(), stopping(time="epoch")
tell(epoch=fit([1.0] * EPOCHS, hopeless).state.epoch, reason=hopeless.decision.reason)
tell(epoch=fit(losses(0.01), promising).state.epoch, reason=promising.decision.reason)
tell(epoch=fit(BROKEN, stopping()).state.epoch)
tell(epoch=fit(BROKEN, stopping(check_finite=False)).state.epoch)
other = stopping()
tell(epoch=fit([1.0] * EPOCHS, other, name="eval_other").state.epoch, none=other.decision is None)
tell(epoch=fit([*losses(0.01)[:2], float("inf")] + losses(0.01)[3:], stopping()).state.epoch)
gaining = MetalcxCallback("acc", True, upper=1.0, runs=earlier(Metric("eval_acc", "max", None, 1.0)))
tell(epoch=fit([0.0] * EPOCHS, gaining, name="eval_acc").state.epoch)
steps = stopping(None, time="step")
fit(losses(0.01)[:2], steps, num_train_epochs=2)
tell(t=[t for t, _ in steps._run.points()], horizon=steps._run.policy.horizon)
"""
    hopeless, promising, broken, unmeasured, other, infinite, gaining, steps = said(code, tmp_path)
    assert hopeless["epoch"] < EPOCHS
    assert hopeless["reason"].startswith(f"stopped: P(eval_val at {EPOCHS} <")
    assert promising == {"epoch": EPOCHS, "reason": f"goes on: at its horizon {EPOCHS}"}
    assert broken["epoch"] == 2
    assert unmeasured["epoch"] == EPOCHS
    assert other == {"epoch": EPOCHS, "none": True}
    assert infinite["epoch"] == 3
    assert gaining["epoch"] < EPOCHS
    assert steps == {"t": [1.0, 2.0], "horizon": 2}


@pytest.mark.parametrize("folder", [True, False])
def test_a_checkpoint_takes_the_run_up(tmp_path: Path, folder: bool) -> None:
    runs = "'runs'" if folder else "EARLIER"
    code = f"""
options = dict(save_strategy="epoch", restore_callback_states_from_checkpoint=True)
first = stopping({runs}, threshold=0.01, log=Path("log.jsonl"))
fit(losses(0.01), first, num_train_epochs=4, **options)
second = stopping({runs}, threshold=0.5)
trainer = fit(losses(0.01), second, resume=True, **options)
(third,) = [c for c in trainer.callback_handler.callbacks if isinstance(c, MetalcxCallback)]
tell(same=third._name == first._name, t=[t for t, _ in third._run.points()], threshold=third.decision.threshold)
plain = stopping({runs})
trainer = fit(losses(0.01), plain, resume=True, save_strategy="no")
tell(t=[t for t, _ in plain._run.points()])
"""
    restored, plain = said(code, tmp_path)
    assert restored == {"same": True, "t": [float(e) for e in range(1, EPOCHS + 1)], "threshold": 0.01}
    assert plain["t"] == restored["t"]
    if folder:
        board = Board(Metric("eval_val", "min", 0.0), tmp_path / "runs")
        assert {r.status for r in board._records.values()} == {"completed"}
        assert all("learning_rate" in r.config for r in board._records.values())


def test_an_evaluation_after_the_training_is_no_part_of_it(tmp_path: Path) -> None:
    code = """
mine = stopping("runs", arch="small")
fit(losses(0.01), mine).evaluate()
tell(t=mine.decision.t)
"""
    assert said(code, tmp_path) == [{"t": EPOCHS}]
    (record,) = Board(Metric("eval_val", "min", 0.0), tmp_path / "runs")._records.values()
    assert (record.status, record.arch, len(record.points)) == ("completed", "small", EPOCHS)


def test_processes_of_one_training_end_together_and_one_of_them_writes(tmp_path: Path) -> None:
    code = """
import os
rank, bad, good = int(os.environ["RANK"]), [1.0] * EPOCHS, losses(0.01)
options = dict(ddp_backend="gloo")
first, second = stopping(log=Path("log.jsonl")), stopping("runs")
hopeless = fit(bad if rank == 0 else good, first, **options)
promising = fit(good if rank == 0 else [float("nan")] * EPOCHS, second, **options)
if rank == 0:
    promising.evaluate()
ends = [hopeless.state.epoch, promising.state.epoch]
tell(rank=rank, world=hopeless.args.world_size, ends=ends, decided=first.decision is not None)
torch.distributed.destroy_process_group()
"""
    told = said(code, tmp_path, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    zero, one = sorted(told, key=lambda process: process["rank"])
    assert (zero["world"], one["world"]) == (2, 2)
    assert zero["ends"] == one["ends"]
    assert zero["ends"][0] < zero["ends"][1] == EPOCHS, "as the first process saw it"
    assert (zero["decided"], one["decided"]) == (True, False)
    decisions = DecisionLog(tmp_path / "log.jsonl").read()
    assert [d.t for d in decisions] == [*range(1, int(zero["ends"][0]) + 1)]
    (record,) = Board(Metric("eval_val", "min", 0.0), tmp_path / "runs")._records.values()
    assert (record.status, [*record.points]) == ("completed", [*range(1, EPOCHS + 1)])
