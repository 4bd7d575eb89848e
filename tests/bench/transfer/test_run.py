"""The transfer benchmark from corpora to tables, on corpora of three small tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up import corpus

from metalcx.bench import _bootstrap, run_transfer
from metalcx.bench.transfer import _run as _transfer
from metalcx.bench.transfer import _score, _trained
from metalcx.errors import DataError
from metalcx.forecasters._gate_network import GateConfig
from metalcx.forecasters._trees import BoostedTrees
from metalcx.transfer import PoolConfig, TrainConfig
from metalcx.transfer import _meta_train as meta


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks of two families, a in lemur and in nmtlc (ragged), b in lemur; and further sources."""
    folder = tmp_path_factory.mktemp("data")
    corpus(folder, "lemur", ["a", "b"])
    corpus(folder, "nmtlc", ["a"], ragged=True)
    corpus(folder, "lcdb11", ["x", "y"], n=42)
    corpus(folder, "smallnets", ["s"], n=42)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of two support sizes, and few of the bootstrap."""
    monkeypatch.setattr(_bootstrap, "DRAWS", 100)
    monkeypatch.setattr(_score, "DRAWS", 1)
    monkeypatch.setattr(_score, "SUPPORT_SIZES", (0, 5))


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("errors.csv", "summary.csv", "loses.csv", "tables.md")}


def test_end_to_end_and_again(data: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []

    def run(**known: Any) -> dict[str, Any]:
        return run_transfer(data, tmp_path, forecasters=("last", "med5"), progress=lambda *w: told.append(w), **known)

    result = run()
    assert [w[:2] for w in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    errors = pd.read_csv(tmp_path / "errors.csv")
    own = errors[errors.end == "own"]
    assert set(own.task) == {"lemur/task-a", "lemur/task-b", "nmtlc/task-a"}
    assert dict(zip(own.task, own.family, strict=True))["nmtlc/task-a"] == "a"
    assert set(own.K) == {0, 5}
    assert set(errors[errors.end == "common"].task) == {"nmtlc/task-a"}
    assert own.error.between(0, 20).all()
    summary = pd.DataFrame(result["summary"])
    assert set(summary.group) == {"pooled", "fixed", "ragged"}
    # On rising curves the last value falls short of what a support tells.
    five = summary[(summary.K == 5) & (summary.end == "own") & (summary.group == "pooled")].set_index("forecaster")
    assert five.gain["last"] < 0
    assert five.gain["med5"] == 0

    before, parts = tables(tmp_path), {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").iterdir()}
    told.clear()
    run()
    assert told == []
    assert tables(tmp_path) == before
    lost = sorted(parts)[0]
    lost.unlink()
    run()
    assert told == [(1, 1, lost.name)]
    # All but the seconds, which were measured anew.
    assert (tmp_path / "loses.csv").read_bytes() == before["loses.csv"]
    again = pd.read_csv(tmp_path / "errors.csv").drop(columns="seconds")
    pd.testing.assert_frame_equal(again, errors.drop(columns="seconds"))
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in parts.items() if p != lost)
    assert not list(tmp_path.rglob("*.part"))

    # Parts of other folds have the same names: they are not taken for these.
    with pytest.raises(DataError, match="other folds"):
        run(folds=1)
    with pytest.raises(DataError, match="other folds"):
        run(extra=True)
    assert tables(tmp_path).keys() == before.keys()


def test_folds_do_not_change_what_needs_no_sources(data: Path, tmp_path: Path) -> None:
    by_fold = []
    for folds in (None, 1):
        out = tmp_path / str(folds)
        run_transfer(data, out, forecasters=("last", "med5"), folds=folds)
        assert len(list((out / "parts").iterdir())) == (2 * 2 if folds is None else 2)
        by_fold.append(pd.read_csv(out / "errors.csv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*by_fold)


def test_what_needs_no_sources_can_be_taken_over(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run_transfer(data, first, forecasters=("last", "shift", "med5"))
    run_transfer(data, second, forecasters=("med5",), earlier=first / "errors.csv")
    whole, taken = (pd.read_csv(f / "errors.csv").drop(columns="seconds") for f in (first, second))
    keys = ["end", "task", "K", "forecaster"]
    pd.testing.assert_frame_equal(*(f.sort_values(keys, ignore_index=True) for f in (whole, taken)))
    assert "From an earlier call: last, shift." in (second / "tables.md").read_text()
    with pytest.raises(DataError, match="is about other tasks"):
        run_transfer(data, tmp_path / "out", forecasters=("last",), extra=True, earlier=first / "errors.csv")
    (tmp_path / "none.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"none.csv: is no errors.csv"):
        run_transfer(data, tmp_path / "out", forecasters=("last",), earlier=tmp_path / "none.csv")
    assert not (tmp_path / "out").exists()


def test_extra_sources_are_judged_apart(data: Path, tmp_path: Path) -> None:
    run_transfer(data, tmp_path, forecasters=("last", "med5"), extra=True)
    assert set(pd.read_csv(tmp_path / "errors.csv").task) == {"lcdb11/task-x", "lcdb11/task-y"}


def test_every_fold_is_another_family_and_all_are_there() -> None:
    from made_up import task

    sources = [task(f"t{i}", f"f{i % 7}", n=10, points=6) for i in range(9)]
    for folds in (None, 3, 50):
        study = _transfer.Study(Path(), Path(), False, folds)
        found = _transfer.folds_of(study, sources)
        assert len(found) == (3 if folds == 3 else 7)
        assert sorted(f for fold in found for f in fold) == [f"f{i}" for i in range(7)]
    units = _transfer._units(study, sources, ("last", "metalcx"), 3)
    assert len(units) == 7 + 3 * 7
    assert len({u.file for u in units}) == len(units)


@pytest.mark.parametrize(
    ("left_out", "corpus", "domain", "gone"),
    [
        ("metalcx", "smallnets", "img-classification", False),
        ("metalcx-less-smallnets", "smallnets", "seq-regression", True),
        ("metalcx-less-smallnets-img", "smallnets", "img-classification", True),
        ("metalcx-less-smallnets-img", "smallnets", "tabular-regression", False),
        ("metalcx-less-smallnets-img", "lemur", "img-classification", False),
        ("metalcx-less-lemur", "lemur", "img-classification", True),
    ],
)
def test_a_corpus_or_a_domain_of_ours_is_left_out(left_out: str, corpus: str, domain: str, gone: bool) -> None:
    from made_up import task

    source = replace(task("t", "f", n=10, points=6), corpus=corpus, domain=domain)
    assert _trained._left_out(left_out, source) is gone


def test_unknown_forecasters_and_folders_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no forecaster is called 'oracle'"):
        run_transfer(data, tmp_path / "out", forecasters=("last", "oracle"))
    with pytest.raises(DataError, match="holds none of the corpora"):
        run_transfer(tmp_path, tmp_path / "out", forecasters=("last",))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools, networks and trainings of the benchmark, shrunk."""
    few = PoolConfig(per_task=6, per_small_task=6, mixed=4, synthetic=2)
    monkeypatch.setattr(_trained, "pool_config", lambda name: replace(few, with_support=name in _trained.GRADIENT))
    config = meta.MetaConfig

    def shrunk(algorithm: str, train: TrainConfig, pool: PoolConfig) -> meta.MetaConfig:
        return config(algorithm, GateConfig(1, 8, 1), pool, replace(train, steps=4, batch=32))

    monkeypatch.setattr("metalcx.transfer.MetaConfig", shrunk)
    fit = BoostedTrees.fit
    monkeypatch.setattr(BoostedTrees, "fit", lambda data, seed: fit(data.take(np.arange(300)), seed, iterations=3))


@pytest.mark.slow
@pytest.mark.usefixtures("small_training")
def test_what_is_trained_is_trained_without_the_family(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[tuple[str, frozenset[str]]] = []
    train_on = meta.train_on

    def watched(pool: Any, tasks: Any, config: Any, checkpoint: Any, usable: Any) -> Any:
        learned.append((config.algorithm, frozenset(t.name for t, u in zip(tasks, usable, strict=True) if u)))
        return train_on(pool, tasks, config, checkpoint, usable)

    monkeypatch.setattr("metalcx.transfer.train_on", watched)
    fewer = ("metalcx-without-extra", "metalcx-less-smallnets", "metalcx-less-smallnets-img")
    names = ("last", "med5", "trees", "metalcx", "metalcx-amortised", "metalcx-anil", *fewer)
    run_transfer(data, tmp_path, forecasters=names, seeds=1)
    # Held out: a (lemur's and nmtlc's), and b.
    measured = [{"lemur/task-b"}, {"lemur/task-a", "nmtlc/task-a"}]
    lcdb11, smallnets = {"lcdb11/task-x", "lcdb11/task-y"}, {"smallnets/task-s"}
    for further in (set(), lcdb11, lcdb11 | smallnets):
        assert all(("episodic", frozenset(sources | further)) in learned for sources in measured)
    assert {("anil", frozenset(sources | lcdb11 | smallnets)) for sources in measured} < set(learned)
    assert len(learned) == 2 * (3 + len(fewer))
    # The made-up corpus holds no images, so that nothing of it is left out for them.
    everything = [("episodic", frozenset(sources | lcdb11 | smallnets)) for sources in measured]
    assert [learned.count(each) for each in everything] == [3, 3]
    errors = pd.read_csv(tmp_path / "errors.csv")
    assert set(errors.forecaster) == set(names)
    assert errors[errors.end == "own"].error.notna().all()
    # Amortised and adapted are one model, trained once; those with fewer sources are models of their own.
    assert len(list((tmp_path / "models").glob("episodic-*"))) == 2 * (1 + len(fewer))
    loses = pd.read_csv(tmp_path / "loses.csv")
    assert (loses.ratio > 1.5).all()


@pytest.mark.slow
def test_the_ranker_is_trained_without_the_family_on_the_episodes_of_the_ode(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metalcx.transfer import RankMetaConfig, _ode_train, _rank_train

    learned: list[frozenset[str]] = []
    train = _rank_train.train_rank_net_on
    few = PoolConfig(per_task=6, per_small_task=6, mixed=4, synthetic=2)

    def watched(pool: Any, tasks: Any, config: RankMetaConfig, encoder: Any, checkpoint: Any, usable: Any) -> Any:
        learned.append(frozenset(t.name for t, u in zip(tasks, usable, strict=True) if u))
        short = replace(config, train=replace(config.train, steps=4, batch=32), pool=few)
        return train(pool, tasks, short, encoder, checkpoint, usable)

    monkeypatch.setattr(_rank_train, "train_rank_net_on", watched)
    monkeypatch.setattr(_ode_train, "OdeMetaConfig", lambda: replace(RankMetaConfig(), pool=few))
    run_transfer(data, tmp_path, forecasters=("last", "rank-net", "rank-net-amortised"), seeds=1)
    further = {"lcdb11/task-x", "lcdb11/task-y", "smallnets/task-s"}
    held = [frozenset({"lemur/task-b"} | further), frozenset({"lemur/task-a", "nmtlc/task-a"} | further)]
    assert [learned.count(each) for each in held] == [2, 2]
    errors = pd.read_csv(tmp_path / "errors.csv")
    assert errors[(errors.forecaster == "rank-net") & (errors.end == "own")].error.notna().all()
    assert len(list((tmp_path / "models").glob("rank-net-*"))) == 2, "amortised and adapted are one model"


@pytest.mark.slow
def test_the_ode_without_a_part_is_trained_anew_and_adapted_otherwise_is_not(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metalcx.forecasters._ode_config import OdeConfig
    from metalcx.transfer import _ode_train

    monkeypatch.setattr(_score, "SUPPORT_SIZES", (0, 10))
    few, config = PoolConfig(per_task=6, per_small_task=6, mixed=4, synthetic=2), _ode_train.OdeMetaConfig

    def shrunk(network: OdeConfig | None = None, train: TrainConfig | None = None) -> Any:
        train = replace(train or TrainConfig(), steps=4, batch=32)
        return config(replace(network or OdeConfig(), hidden=16, latent=4), few, train)

    monkeypatch.setattr(_ode_train, "OdeMetaConfig", shrunk)
    names = ("graph-ode", "graph-ode-amortised", "graph-ode-without-support", "graph-ode-gradient-steps")
    run_transfer(data, tmp_path, forecasters=("last", "med5", *names), seeds=1)
    trained = {path.name.partition("-seed")[0] for path in (tmp_path / "models").glob("graph-ode*")}
    assert trained == {"graph-ode", "graph-ode-without-support"}
    errors = pd.read_csv(tmp_path / "errors.csv")
    error = errors[errors.end == "own"].set_index(["forecaster", "task", "K"]).error.unstack("forecaster")
    assert error[list(names)].notna().all().all()
    # Below 16 runs, steps are taken by none but the row that takes nothing else.
    assert (error.xs(0, level="K")["graph-ode"] == error.xs(0, level="K")["graph-ode-amortised"]).all()
    assert (error.xs(10, level="K")["graph-ode"] == error.xs(10, level="K")["graph-ode-amortised"]).all()


def test_what_shares_weights_differs_in_adaptation_alone() -> None:
    from metalcx.bench.transfer import _ode_trained as rows

    assert set(rows.ADAPTED) == set(rows.SHARED)
    assert all(rows.WITHOUT[name] == rows.WITHOUT[whole] for name, whole in rows.SHARED.items())
    assert not set(rows.SHARED) & set(rows.SHARED.values())
