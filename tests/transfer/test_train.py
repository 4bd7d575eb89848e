"""The outer loop: it learns, it resumes to the same bits, and it refuses what is not its own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import SMALL, items_pool

from metalcx.corpora.build._threads import one_thread
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._gate_network import GateNetwork, gate_loss
from metalcx.transfer import Pool, TrainConfig
from metalcx.transfer._train import STD_FLOOR, as_tensors, episodic_loss, new_network, run_outer_loop

ROOT = Path(__file__).resolve().parents[2]
CONFIG = TrainConfig(steps=30, batch=32, rate=0.01, checkpoint_every=5)


def trained(
    pool: Pool,
    config: TrainConfig = CONFIG,
    checkpoint: Path | None = None,
    stop: int | None = None,
    about: str = "",
) -> GateNetwork:
    """A network after training; with `stop`, training dies in that step, after its checkpoint."""
    network = new_network(SMALL, pool.queries, config.seed)
    odds = np.full(len(pool.task), 1 / len(pool.task))

    def progress(done: int, total: int, what: str) -> None:
        if done == stop:
            raise KeyboardInterrupt

    run_outer_loop(
        network, episodic_loss(network, pool, odds, config), config, SMALL.members, checkpoint, progress, about
    )
    return network


def same(a: GateNetwork, b: GateNetwork) -> bool:
    return all(torch.equal(v, b.state_dict()[n]) for n, v in a.state_dict().items())


def loss_of(network: GateNetwork, pool: Pool) -> float:
    x, offsets, y, weight = as_tensors(pool.queries)
    with torch.no_grad():
        return float(gate_loss(network.eval()(x, offsets), y, weight))


def test_the_loss_falls() -> None:
    pool = items_pool()
    before = loss_of(new_network(SMALL, pool.queries, 0), pool)
    assert loss_of(trained(pool, replace(CONFIG, steps=80, rate=0.05)), pool) < 0.6 * before


def test_same_seed_same_weights_other_seed_others() -> None:
    pool = items_pool()
    torch.manual_seed(1)
    one = trained(pool)
    torch.manual_seed(2)
    assert same(one, trained(pool))
    assert not same(one, trained(pool, replace(CONFIG, seed=1)))
    assert not one.training


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(items_pool())
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop", [1, 13, 30])
def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    pool, path = items_pool(), tmp_path / "deep" / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(pool, checkpoint=path, stop=stop)
    assert path.exists() == (stop >= 5)
    assert same(trained(pool, checkpoint=path), trained(pool))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_training_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    pool, path = items_pool(), tmp_path / "checkpoint.safetensors"
    done = trained(pool, checkpoint=path)
    again = trained(pool, checkpoint=path, stop=1)  # would die in its first step
    assert same(done, again)


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
import numpy as np
import torch
from made_up import SMALL, items_pool
from metalcx.transfer import TrainConfig
torch.set_num_threads(1)
from metalcx.transfer._train import episodic_loss, new_network, run_outer_loop
pool = items_pool()
config = TrainConfig(steps=60, batch=32, rate=0.01, checkpoint_every=3)
network = new_network(SMALL, pool.queries, 0)
loss = episodic_loss(network, pool, np.full(12, 1 / 12), config)
run_outer_loop(network, loss, config, 2, Path(sys.argv[1]), lambda done, total, what: print(done, flush=True))
"""


@pytest.mark.parametrize("_", [0, *(pytest.param(i, marks=pytest.mark.soak) for i in range(1, 50))])
def test_a_process_that_was_killed_is_gone_on_from_with_the_same_bits(tmp_path: Path, _: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    code = CHILD.format(root=str(ROOT), tests=str(ROOT / "tests"))
    moment = random.randint(4, 50)
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= moment:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
    assert process.returncode == -signal.SIGKILL, f"killed at step {moment}"
    config = TrainConfig(steps=60, batch=32, rate=0.01, checkpoint_every=3)
    # As many threads as in the process that was killed: sums over another number of them round otherwise.
    with one_thread():
        resumed, unbroken = trained(items_pool(), config, path), trained(items_pool(), config)
    assert same(resumed, unbroken), f"killed at step {moment}"


def test_the_seed_of_a_step_is_the_same_in_every_process() -> None:
    """Python's hash of a tuple of integers does not depend on PYTHONHASHSEED."""
    code = "print([hash((s, t)) % 2**31 for s in (0, 1, 7) for t in (0, 1, 1499)])"
    expected = str([hash((s, t)) % 2**31 for s in (0, 1, 7) for t in (0, 1, 1499)])
    for seed in ("0", "1", "random"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_other_settings_and_other_data_are_refused(tmp_path: Path) -> None:
    pool, path = items_pool(), tmp_path / "checkpoint.safetensors"
    trained(pool, checkpoint=path, about="these data")
    content = path.read_bytes()
    for config, about in ((replace(CONFIG, rate=0.02), "these data"), (CONFIG, "other data")):
        with pytest.raises(ModelError, match="other data or with other settings"):
            trained(pool, config, path, about=about)
    assert path.read_bytes() == content


def test_a_checkpoint_that_says_nothing_of_its_data_is_gone_on_from(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    pool, path = items_pool(), tmp_path / "checkpoint.safetensors"
    done = trained(pool, checkpoint=path, about="x")
    with safe_open(path, "pt") as file:
        meta = {k: v for k, v in file.metadata().items() if k != "about"}
    save_file(load_file(path), path, metadata=meta)
    assert same(trained(pool, checkpoint=path, about="y"), done)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    pool, path = items_pool(), tmp_path / "checkpoint.safetensors"
    trained(pool, checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match="checkpoint is damaged"):
        trained(pool, checkpoint=path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    pool, path = items_pool(), tmp_path / "checkpoint.safetensors"
    pool.queries.y[:] = value
    with pytest.raises(ModelError, match=r"loss of meta-training is (nan|inf) at step 0"):
        trained(pool, checkpoint=path)
    assert not path.exists()


def test_rows_of_improbable_episodes_are_never_drawn() -> None:
    pool = items_pool()
    odds = np.where(np.arange(12) % 3 == 1, 0.0, 1.0)
    pool.queries.y[odds[pool.episode] == 0] = np.nan
    network = new_network(SMALL, items_pool().queries, 0)
    loss = episodic_loss(network, pool, odds / odds.sum(), replace(CONFIG, batch=500))
    assert all(torch.isfinite(loss(step)) for step in range(5))


def test_episodes_count_alike_however_many_rows_they_have() -> None:
    """Episode 0 has one row that answers 1000, episode 1 a hundred that answer 0; half of each batch is of each."""
    pool = items_pool(2)
    rows = np.r_[0, np.arange(10, 20).repeat(10)]
    pool = Pool(pool.queries.take(rows), (rows > 0).astype(np.int64), pool.task)
    pool.queries.offsets[:], pool.queries.weight[:] = 0.0, 1.0
    pool.queries.y[:] = np.where(rows == 0, 1000.0, 0.0)
    loss = episodic_loss(new_network(SMALL, pool.queries, 0), pool, np.array([0.5, 0.5]), replace(CONFIG, batch=4000))
    assert float(loss(0).detach()) == pytest.approx(0.5 * 1500, rel=0.1)


def test_a_new_network_standardises_features() -> None:
    data = items_pool().queries
    data.x[:, 0] = 7.0
    network = new_network(SMALL, data, 0)
    assert float(network.mean[0]) == pytest.approx(7.0)
    assert float(network.std[0]) == pytest.approx(STD_FLOOR)
    np.testing.assert_allclose(network.mean[1:], data.x[:, 1:].mean(0), atol=0.5)


@pytest.mark.parametrize(("mixed", "synthetic"), [(0.6, 0.4), (-0.1, 0.2), (0.0, 1.0)])
def test_shares_leave_something_to_measured_tasks(mixed: float, synthetic: float) -> None:
    with pytest.raises(DataError, match="less than 1"):
        TrainConfig(mixed=mixed, synthetic=synthetic)
