"""Long work of every kind, killed at any moment and begun again until it is done; see `tests/faults`.

Children are forked from a process that has everything imported, so that hundreds of kills take minutes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from made_up import SMALL, tasks

from metalcx import hub
from metalcx.bench._files import write_whole
from metalcx.cli import app
from metalcx.cli._train import work_folder
from metalcx.corpora import Corpus, validate
from metalcx.corpora.build import build_corpus, read_recipe
from metalcx.decide import DecisionLog
from metalcx.encoders import EncoderConfig, PretrainConfig, new_encoder, pretrain
from metalcx.errors import MetalcxError
from metalcx.forecasters import Baseline
from metalcx.forecasters._gate_network import GateConfig
from metalcx.forecasters._ode_network import OdeConfig
from metalcx.forecasters._rank_network import RankConfig
from metalcx.graphs import ArchGraph
from metalcx.transfer import (
    MetaConfig,
    OdeMetaConfig,
    PoolConfig,
    RankMetaConfig,
    TrainConfig,
    meta_train,
    meta_train_ode,
    meta_train_rank_net,
)

ROOT = Path(__file__).resolve().parent.parent

# What the first training of a process would load: here once, and not in every child.
torch.set_num_threads(1)
tempfile.gettempdir()
torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()  # no gradients: their threads would not outlive a fork
hub.load("metalcx-base")
for _host in ("optuna", "optuna.storages", "sqlalchemy.dialects.sqlite", "scipy.optimize", "matplotlib.figure"):
    with contextlib.suppress(ImportError):
        importlib.import_module(_host)

POOL = PoolConfig(per_task=4, per_small_task=4, mixed=2, synthetic=1)
TRAIN = TrainConfig(steps=40, batch=16, checkpoint_every=2)
ODE = OdeConfig(GateConfig(members=1, width=8, depth=1), latent=4, hidden=8, heads=2)
RECIPE = """
name = "little"
licence = "CC0-1.0"
citation = "none"
epochs = [2, 3]
max_steps = 6
[runs]
vector = { stacks = 4, stack = 3 }
[[data]]
source = "sklearn"
dataset = "wine"
n_train = 40
"""


def trained(train: Callable[[Path], Any], out: Path) -> None:
    with work_folder(out, True) as work:
        hub.save(train(work), out, name="model")


def gate(folder: Path) -> None:
    config = MetaConfig("episodic", SMALL, POOL, TRAIN)
    trained(lambda work: meta_train(tasks(3, n=12, points=8), work, config), folder / "out")


def ode(folder: Path) -> None:
    config = OdeMetaConfig(ODE, POOL, TRAIN)
    trained(lambda work: meta_train_ode(tasks(2, n=12, points=8), work, config), folder / "out")


def rank(folder: Path) -> None:
    config = RankMetaConfig(RankConfig(channels=2, hidden=8), POOL, TRAIN)
    trained(lambda work: meta_train_rank_net(tasks(2, n=12, points=8), work, config), folder / "out")


def encoder(folder: Path) -> None:
    chain = [{"op": "input"}, *({"op": "linear", "params": k} for k in range(1, 4)), {"op": "output"}]
    graphs = [
        ArchGraph((chain[0], *chain[1 : n + 1], chain[-1]), tuple((i, i + 1) for i in range(n + 1))) for n in (1, 2, 3)
    ]
    fresh = new_encoder(EncoderConfig("gin", 8))
    with work_folder(folder / "out", True) as work:
        config = PretrainConfig("flow", epochs=20, checkpoint_every=1)
        pretrain(fresh, graphs, config, checkpoint=work / "checkpoint.safetensors")
        hub.save_encoder(fresh, folder / "out", name="encoder")


def corpus(folder: Path) -> None:
    (folder / "recipe.toml").write_text(RECIPE)
    build_corpus(read_recipe(folder / "recipe.toml"), folder / "out")


def table(folder: Path) -> Path:
    path = folder / "runs.csv"
    if not path.exists():
        rows = [
            (f"r{i}", t, 0.2 + 0.05 * i + np.exp(-t / (2.0 + i)))
            for i in range(8)
            for t in range(1, 13 if i < 6 else 6)
        ]
        write_whole(path, pd.DataFrame(rows, columns=["run", "t", "value"]).to_csv(index=False))
    return path


def command(*arguments: object) -> None:
    try:
        app([str(a) for a in arguments], prog_name="metalcx")
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{arguments}: ended with {end.code}") from None


def adapt(folder: Path) -> None:
    metric = ("--metric", "val_loss:min:0")
    command("adapt", "metalcx-base", "--curves", table(folder), *metric, "--out", folder / "out")


def replay(folder: Path) -> None:
    options = ("--metric", "val_loss:min:0", "--orders", 2, "--threshold", 0.05, "--startup", 2)
    command("replay", "metalcx-base", "--curves", table(folder), *options, "--out", folder / "out")


def forecast(folder: Path) -> None:
    options = ("--metric", "val_loss:min:0", "--at", 20)
    command("forecast", "metalcx-base", "--curves", table(folder), *options, "--out", folder / "out.csv")


def study(folder: Path) -> None:
    """Twelve trainings by Optuna, each begun anew until it has ended."""
    import optuna

    from metalcx.integrations.optuna import MetalcxPruner

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = MetalcxPruner(
        lower=-1.0, upper=1.0, model=Baseline("shift"), horizon=12, n_startup_trials=3, log=folder / "log.jsonl"
    )
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder}/study.db", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    known = {"study_name": "s", "storage": storage, "direction": "maximize", "pruner": pruner, "load_if_exists": True}
    found = optuna.create_study(**known)
    ended = {t.user_attrs["k"] for t in found.get_trials(deepcopy=False) if t.state.is_finished()}
    for k in (k for k in range(12) if k not in ended):
        trial = found.ask()
        trial.set_user_attr("k", k)
        reached, pruned = 0.0, False
        for t in range(1, 13):
            reached = 0.9 - 0.06 * ((k * 5) % 12) - 0.5 * np.exp(-t / 3)
            trial.report(float(reached), t)
            pruned = trial.should_prune()
            if pruned:
                break
        found.tell(trial, None if pruned else float(reached), optuna.trial.TrialState.PRUNED if pruned else None)


def digest(path: Path) -> dict[str, str]:
    """Every file of a folder, or the file itself, by content."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def opened_model(folder: Path) -> Any:
    hub.load(folder / "out")
    return digest(folder / "out")


def opened_encoder(folder: Path) -> Any:
    hub.load_encoder(folder / "out")
    return digest(folder / "out")


def opened_corpus(folder: Path) -> Any:
    assert validate(folder / "out").ok
    task = next(iter(Corpus.open(folder / "out")))
    curves = task.curves()
    return curves.ids.tolist(), curves.t.tolist(), curves.y.tolist(), curves.status.tolist()


def opened_folder(folder: Path) -> Any:
    """Of a folder of results any file may be missing until the work is done; none is half."""
    return digest(folder / "out")


def opened_table(folder: Path) -> Any:
    assert len(pd.read_csv(folder / "out.csv")) == 2
    return digest(folder / "out.csv")


def opened_study(folder: Path) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stopped = {d.run for d in DecisionLog(folder / "log.jsonl").read() if d.stop}
    found = optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/study.db").get_trials(deepcopy=False)
    told = {t.user_attrs["k"]: (t.state.name, t.intermediate_values) for t in found if t.state.is_finished()}
    assert all(str(t.number) in stopped for t in found if t.state.name == "PRUNED"), "a decision is lost"
    return told


@dataclass(frozen=True)
class Job:
    """What is done in a folder, what it leaves, how that is looked at, and whether it appears in one step."""

    work: Callable[[Path], None]
    result: str
    look: Callable[[Path], Any]
    whole: bool = True


JOBS = {
    "meta-train expert-gate": Job(gate, "out", opened_model),
    "meta-train graph-ode": Job(ode, "out", opened_model),
    "meta-train rank-net": Job(rank, "out", opened_model),
    "pretrain-encoder": Job(encoder, "out", opened_encoder),
    "corpus build": Job(corpus, "out", opened_corpus),
    "adapt": Job(adapt, "out", opened_model),
    "forecast": Job(forecast, "out.csv", opened_table),
    "replay": Job(replay, "out", opened_folder, whole=False),
    "optuna study": Job(study, "study.db", opened_study, whole=False),
}

#: Calls of the system that make work visible to others; a child may die right before or after one.
CALLS = ("replace", "rename", "fsync", "write")


def run(name: str, folder: Path, dies_at: int, say: Any) -> None:
    """The work of a child; it kills itself at the so many-th moment around such a call, unless that is 0."""
    logging.disable(logging.CRITICAL)
    count = 0

    def dying(inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = inner(*arguments, **options)
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for call in CALLS:
        setattr(os, call, dying(getattr(os, call)))
    say.send("ready")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        JOBS[name].work(folder)
    say.send(count)


def quietly(name: str, folder: Path, say: Any, limit: int | None = None) -> None:
    """The work of a child; says what it ended with. No file may grow beyond `limit` bytes, as on a full disk."""
    logging.disable(logging.CRITICAL)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    ended: tuple[str, str] | None = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
        try:
            JOBS[name].work(folder)
        except (MetalcxError, OSError) as error:
            ended = type(error).__name__, str(error)
        except RuntimeError as error:  # of a command, which said why
            ended = "command", f"{error}: {told.getvalue()}"
    say.send(ended)


def beside(name: str, folder: Path, n: int, limit: int | None = None) -> list[tuple[str, str] | None]:
    """What `n` processes that do the same work in one folder at once end with; None is well."""
    forks = forkserver()
    pipes = [forks.Pipe(duplex=False) for _ in range(n)]
    children = [forks.Process(target=quietly, args=(name, folder, there, limit)) for _, there in pipes]
    for child in children:
        child.start()
    found = [here.recv() if here.poll(120) else ("hung", "") for here, _ in pipes]
    for child in children:
        child.join(5)
    return found


def forkserver() -> Any:
    """The process that forks imports this module once, and finds it by its environment alone."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["fault_jobs"])
    return forks


@dataclass
class Tally:
    """What became of a job: kills that met it at work, times it was done, and seconds."""

    kills: int = 0
    done: int = 0
    seconds: float = 0.0


class Survivor:
    """Runs a job again and again, killed at moments drawn by chance, and holds what it leaves against unbroken work."""

    def __init__(self, name: str, folder: Path, seed: int = 0) -> None:
        self.name, self.job, self.folder = name, JOBS[name], folder
        self.chance = random.Random(seed)
        self.forks = forkserver()
        unbroken = folder / "unbroken"
        unbroken.mkdir(parents=True)
        self.start(unbroken, None, 0)  # warms what the first child alone would pay for
        start = time.monotonic()
        self.calls = self.start(self._fresh(0), None, 0)
        self.seconds = time.monotonic() - start
        self.expected = self.job.look(unbroken)

    def survive(self, kills: int) -> Tally:
        """So many kills; each time the job is begun again where it was, and once it is done, in a fresh folder."""
        tally, start, n = Tally(), time.monotonic(), 1
        folder = self._fresh(n)
        while tally.kills < kills or tally.done == 0:
            by_call = self.chance.random() < 0.5
            dies_at = self.chance.randint(1, max(self.calls, 1)) if by_call and tally.kills < kills else 0
            after = None if by_call or tally.kills >= kills else self.chance.uniform(0, self.seconds)
            ended = self.start(folder, after, dies_at)
            tally.kills += ended < 0
            self.check(folder, ended >= 0)
            if ended >= 0:
                tally.done, n = tally.done + 1, n + 1
                folder = self._fresh(n)
        tally.seconds = time.monotonic() - start
        return tally

    def start(self, folder: Path, after: float | None, dies_at: int) -> int:
        """A child from its start to its end or to a kill; -1 if it was killed, else the calls that it made."""
        here, there = self.forks.Pipe(duplex=False)
        child = self.forks.Process(target=run, args=(self.name, folder, dies_at, there))
        child.start()
        there.close()
        said = 0
        try:
            assert here.recv() == "ready"
            if after is not None and not here.poll(after):
                child.kill()
            said = here.recv()
        except EOFError:
            pass
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL), f"{self.name}: ended with {child.exitcode}"
        return said if child.exitcode == 0 else -1

    def check(self, folder: Path, done: bool) -> None:
        """What is there is whole; what is done is what it is without kills."""
        visible = folder / self.job.result
        if done:
            assert self.job.look(folder) == self.expected, f"{self.name}: another result after kills"
        elif visible.exists() and self.job.whole:
            assert self.job.look(folder) == self.expected, f"{self.name}: half-written"
        elif visible.exists() and self.job.look is opened_folder:
            assert opened_folder(folder).items() - self.expected.items() <= hidden(folder), f"{self.name}: half-written"

    def _fresh(self, n: int) -> Path:
        path = self.folder / str(n)
        path.mkdir(parents=True)
        return path


def hidden(folder: Path) -> set[tuple[str, str]]:
    """What a dead writer left under a name that no reader looks at."""
    return {(name, content) for name, content in digest(folder / "out").items() if name.startswith(".")}


def survive(name: str, folder: Path, kills: int, seed: int = 0) -> Tally:
    """See `Survivor`."""
    return Survivor(name, folder, seed).survive(kills)
