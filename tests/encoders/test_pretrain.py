"""Pre-training: it learns what it is asked to, resumes to the same bits, and refuses what is not its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from metalcx.encoders import (
    EncoderConfig,
    FlowSurrogate,
    GraphBatch,
    GraphEncoder,
    PretrainConfig,
    new_encoder,
    pretrain,
    synflow,
)
from metalcx.encoders._lessons import Lessons
from metalcx.encoders._pretrain import pretrain_many
from metalcx.encoders._pretraining import Heads, Training
from metalcx.encoders._ranking import hinge, pairs_among
from metalcx.errors import DataError, ModelError

from .made_graphs import chain_of, random_cells

ROOT = Path(__file__).resolve().parents[2]
CELLS = random_cells(60)
PROXY = np.log1p(synflow(CELLS))
SHORT = PretrainConfig(epochs=6, batch=25, checkpoint_every=2, seed=3)


def fresh(kind: str = "gated-gcn") -> GraphEncoder:
    return new_encoder(EncoderConfig(kind, hidden=16, layers=2))


def trained(config: PretrainConfig = SHORT, checkpoint: Path | None = None, stop: int | None = None):
    """An encoder after pre-training and its losses; with `stop`, training dies after that epoch."""
    encoder = fresh()

    def progress(done: int, total: int, note: str) -> None:
        if done == stop:
            raise KeyboardInterrupt

    return encoder, pretrain(encoder, CELLS, config, proxy=PROXY, checkpoint=checkpoint, progress=progress)


def same(a: GraphEncoder, b: GraphEncoder) -> bool:
    ours, theirs = a.tensors(), b.tensors()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("kind", ["gin", "gated-gcn", "flow"])
def test_it_learns_the_surrogate_and_the_proxy(kind):
    encoder = fresh(kind)
    config = PretrainConfig(epochs=30, batch=20, rate=1e-2)
    losses = pretrain(encoder, CELLS, config, proxy=PROXY)
    assert losses.shape == (30, 2)
    # Who tells the mean of seven standardised numbers is off by seven; who ranks at random misses the whole margin.
    assert losses[-1, 0] < 0.4 * 7
    assert losses[-1, 1] < 0.7 * 0.5
    assert not encoder.training


@pytest.mark.parametrize(("task", "idle"), [("flow", 1), ("proxy", 0)])
def test_a_task_alone_leaves_the_other_loss_at_nothing(task, idle):
    _, losses = trained(replace(SHORT, task=task))
    assert (losses[:, idle] == 0).all()
    assert (losses[:, 1 - idle] > 0).all()
    other = pretrain(fresh(), CELLS, replace(SHORT, task="flow"))
    assert (other[:, 0] > 0).all(), "the surrogate needs no proxy"


def test_plain_targets_are_the_surrogates_themselves():
    surrogate = FlowSurrogate(k=3, std=0.1)
    config = replace(SHORT, task="flow", surrogate=surrogate, standardise=False, rate=1e-9, epochs=1)
    small = fresh()
    with torch.no_grad():
        for weight in small.parameters():
            weight.zero_()
    loss = pretrain(small, CELLS, config)[0, 0]
    # A head on embeddings of 0 tells one and the same small vector, its biases.
    assert loss == pytest.approx((surrogate(CELLS) ** 2).sum(1).mean(), rel=0.5)
    assert loss < 0.5 * pretrain(fresh(), CELLS, replace(config, standardise=True))[0, 0]


def test_same_seed_same_weights_other_seed_others():
    torch.manual_seed(1)
    one, _ = trained()
    torch.manual_seed(2)
    expected = torch.rand(2)
    torch.manual_seed(2)
    assert same(one, trained()[0])
    assert torch.equal(torch.rand(2), expected)
    assert not same(one, trained(replace(SHORT, seed=4))[0])


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_killed_pre_training_ends_with_the_same_bits(tmp_path, stop):
    path = tmp_path / "deep" / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=path, stop=stop)
    assert path.exists() == (stop >= 2)
    (resumed, losses), (unbroken, expected) = trained(checkpoint=path), trained()
    assert same(resumed, unbroken)
    np.testing.assert_array_equal(losses, expected)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


CHILD = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from made_graphs import random_cells
from metalcx.encoders import EncoderConfig, PretrainConfig, new_encoder, pretrain, synflow
cells, encoder = random_cells(60), new_encoder(EncoderConfig("gated-gcn", hidden=16, layers=2))
config = PretrainConfig(epochs=40, batch=25, checkpoint_every=2, seed=3)
say = lambda done, total, note: print(done, flush=True)
pretrain(encoder, cells, config, proxy=np.log1p(synflow(cells)), checkpoint=Path(sys.argv[1]), progress=say)
"""


def test_a_process_that_was_killed_is_gone_on_from_with_the_same_bits(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    code = CHILD.format(root=str(ROOT), tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 7:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    threads, config = torch.get_num_threads(), replace(SHORT, epochs=40)
    # As many threads as in the process that was killed: sums over another number of them round otherwise.
    torch.set_num_threads(1)
    try:
        assert same(trained(config, path)[0], trained(config)[0])
    finally:
        torch.set_num_threads(threads)


def test_a_checkpoint_of_something_else_or_damaged_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    trained(checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(ModelError, match="other data or with other settings"):
        trained(replace(SHORT, rate=0.1), path)
    with pytest.raises(ModelError, match="other data or with other settings"):
        pretrain(fresh(), CELLS[1:], SHORT, proxy=PROXY[1:], checkpoint=path)
    with pytest.raises(ModelError, match="other data or with other settings"):
        pretrain(new_encoder(EncoderConfig(hidden=16, layers=2), seed=9), CELLS, SHORT, proxy=PROXY, checkpoint=path)
    assert path.read_bytes() == content
    path.write_bytes(content[:500])
    with pytest.raises(ModelError, match="checkpoint is damaged"):
        trained(checkpoint=path)


def test_what_will_not_do_is_refused():
    with pytest.raises(DataError, match="ranks by a proxy; give one, or choose flow"):
        pretrain(fresh(), CELLS, SHORT)
    with pytest.raises(DataError, match=r"shape \(3,\); it needs one number, or row, for each of 60 graphs"):
        pretrain(fresh(), CELLS, SHORT, proxy=[1, 2, 3])
    with pytest.raises(DataError, match=r"shape \(60, 0\); it needs one number, or row"):
        pretrain(fresh(), CELLS, SHORT, proxy=np.zeros((60, 0)))
    with pytest.raises(DataError, match="no graph to pre-train on"):
        pretrain(fresh(), [], SHORT, proxy=[])
    with pytest.raises(DataError, match="no pre-training 'edges'; it is flow, proxy or both"):
        PretrainConfig(task="edges")
    with pytest.raises(DataError, match="are at least 1"):
        PretrainConfig(batch=0)


def test_numbers_that_are_none_are_refused():
    broken = fresh()
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="loss of pre-training is no number in epoch 0"):
        pretrain(broken, CELLS, SHORT, proxy=PROXY)
    loud = replace(SHORT, task="flow", surrogate=FlowSurrogate(k=4, std=1e6))
    with np.errstate(all="ignore"), pytest.raises(DataError, match="too large for its numbers; choose a smaller std"):
        pretrain(fresh(), [chain_of(60)], loud)


def test_graphs_of_different_spaces_are_not_compared():
    # A group each leaves nothing to rank.
    losses = pretrain(fresh(), CELLS, replace(SHORT, epochs=1), proxy=PROXY, group=np.arange(len(CELLS)))
    assert losses[0, 1] == 0
    # Two groups, of which one has no proxy to tell its graphs apart, leave the other's pairs.
    flat, group = np.where(np.arange(60) < 30, PROXY, 0.0), np.arange(60) // 30
    whole = replace(SHORT, epochs=1, batch=60, pairs=60, task="proxy")
    plain = EncoderConfig("gin", hidden=8, dropout=0.0)
    apart = pretrain(new_encoder(plain), CELLS, whole, proxy=flat, group=group)
    alone = pretrain(new_encoder(plain), CELLS[:30], replace(whole, batch=30), proxy=PROXY[:30])
    assert apart[0, 1] == pytest.approx(alone[0, 1], rel=1e-4)


def test_ranking_by_a_proxy_is_learned_for_cells_not_seen():
    encoder, others = fresh("gin"), random_cells(60, seed=1)
    pretrain(encoder, CELLS, PretrainConfig(epochs=40, batch=20, rate=3e-3, task="proxy"), proxy=PROXY)
    from sklearn.linear_model import Ridge

    told = Ridge(1e-3).fit(encoder.encode(CELLS), PROXY).predict(encoder.encode(others))
    assert kendalltau(told, synflow(others)).statistic > 0.7


def test_several_proxies_are_ranked_by_at_once():
    """A proxy and its reverse have no score in common: only outputs of their own can learn both."""
    config = PretrainConfig(epochs=30, batch=20, rate=1e-2, task="proxy")
    encoder, both = fresh(), np.column_stack([PROXY, -PROXY])
    losses = pretrain(encoder, CELLS, config, proxy=both)
    assert losses[-1, 1] < 0.7 * 0.5
    one, other = fresh(), fresh()
    assert np.array_equal(pretrain(one, CELLS, SHORT, proxy=PROXY), pretrain(other, CELLS, SHORT, proxy=PROXY[:, None]))
    assert same(one, other), "a column is what a proxy alone is"


def test_the_loss_of_ranking_is_the_mean_over_proxies():
    both = np.column_stack([PROXY, np.arange(60) % 7])
    whole = PretrainConfig(pairs=60, task="proxy", epochs=1, batch=60)  # all pairs there are
    heads = [Heads(new_encoder(EncoderConfig(hidden=16, layers=2, dropout=0.0)), whole, 2)]
    scores = heads[0](GraphBatch.from_graphs(CELLS))[1].detach()
    pairs = torch.from_numpy(pairs_among(60, 3600, np.random.default_rng(0)))
    alone = [float(hinge(scores[:, i], torch.from_numpy(both[:, i]), pairs, 0.5)) for i in range(2)]
    training = Training(heads, Lessons.of(GraphBatch.from_graphs(CELLS), [whole], both, None), [whole], "cpu")
    assert float(training.epoch(0)[0, 1]) == pytest.approx(np.mean(alone), rel=1e-5)


def test_what_is_not_known_of_a_proxy_says_nothing():
    gaps = np.column_stack([PROXY, np.where(np.arange(60) < 30, PROXY, np.nan)])
    encoder = fresh("gin")
    pretrain(encoder, CELLS, PretrainConfig(epochs=20, batch=20, rate=3e-3, task="proxy"), proxy=gaps)
    assert all(np.isfinite(value).all() for value in encoder.tensors().values())
    nothing = pretrain(fresh(), CELLS, replace(SHORT, epochs=1, task="proxy"), proxy=np.full((60, 2), np.nan))
    assert nothing[0, 1] == 0


def test_a_checkpoint_knows_its_proxies(tmp_path):
    path, two = tmp_path / "checkpoint.safetensors", np.column_stack([PROXY, np.arange(60)])
    unbroken, resumed = fresh(), fresh()
    expected = pretrain(unbroken, CELLS, SHORT, proxy=two)

    def dies(done: int, total: int, note: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(fresh(), CELLS, SHORT, proxy=two, checkpoint=path, progress=dies)
    with pytest.raises(ModelError, match="other data or with other settings"):
        pretrain(fresh(), CELLS, SHORT, proxy=PROXY, checkpoint=path)
    np.testing.assert_array_equal(pretrain(resumed, CELLS, SHORT, proxy=two, checkpoint=path), expected)
    assert same(resumed, unbroken)


@pytest.mark.parametrize("kind", ["gin", "gated-gcn", "flow"])
def test_several_at_once_learn_what_each_learns_alone(kind):
    """Without dropout, whose draws differ: other tasks, other seeds, other batches, the same graphs."""
    config = EncoderConfig(kind, hidden=8, layers=2, dropout=0.0)
    configs = [replace(SHORT, task=task, seed=seed) for task, seed in (("both", 3), ("flow", 4), ("proxy", 5))]
    alone, together = ([new_encoder(config, seed) for seed in (1, 2, 3)] for _ in range(2))
    expected = [pretrain(e, CELLS, c, proxy=PROXY) for e, c in zip(alone, configs, strict=True)]
    found = pretrain_many(together, CELLS, configs, proxy=PROXY)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(b.encode(CELLS), a.encode(CELLS), rtol=1e-2, atol=1e-3)
    assert not np.allclose(alone[0].encode(CELLS), alone[1].encode(CELLS), atol=0.01)
