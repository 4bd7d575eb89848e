"""The mini corpus: what ships is what its card says, and the code that made it does what it claims."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from metalcx.corpora import Corpus, _mini, _mini_data, _mini_write, validate
from metalcx.corpora._mini_data import TaskSpec, prepare, split_rows
from metalcx.corpora._mini_nets import ACTIVATIONS, Architecture, build, cnn, mlp
from metalcx.corpora._mini_train import MEASURED, Trained, learning_rate, train
from metalcx.corpora._mini_write import build_mini
from metalcx.corpora.build_mini import main
from metalcx.errors import DataError

SHIPPED = Path(__file__).resolve().parents[2] / "datasets" / "sklearn-mini"
TINY = ("diabetes-mlp", "iris-mlp")


@pytest.fixture(scope="module")
def shipped() -> Corpus:
    return Corpus.open(SHIPPED)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.open(build_mini(tmp_path_factory.mktemp("mini") / "a", tasks=TINY, n_runs=2, epochs=2))


def spec(name: str) -> TaskSpec:
    return _mini.select([name])[0]


def values(corpus: Corpus, *columns: str) -> np.ndarray:
    points = corpus.points(corpus.runs["run"].to_numpy(), columns or None)
    return np.column_stack([points.run, points.t, *points.values.values()])


# --- what ships -----------------------------------------------------------------------------------------------------


def test_shipped_corpus_is_valid_small_and_may_be_passed_on(shipped):
    report = validate(SHIPPED)
    assert report.ok, report.problems
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) < 1_500_000
    assert shipped.redistributable
    assert shipped.licence == "Apache-2.0"


def test_card_says_what_the_files_hold(shipped):
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", (SHIPPED / "README.md").read_text(), re.M)
    said = {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}
    assert set(said) == set(shipped.task_names)
    for task in shipped:
        runs = shipped.runs[shipped.runs["task"] == task.name]
        status = runs["status"].value_counts()
        meta = shipped.tasks.set_index("task").loc[task.name]
        assert said[task.name] == [
            task.dataset,
            task.family,
            task.metric.name,
            f"{meta['n_train']} / {meta['n_val']}",
            str(int(runs["n_points"][runs["status"] == "completed"].iloc[0]) - 1),
            *(str(status.get(word, 0)) for word in ("completed", "diverged", "censored")),
        ]


def test_families_are_those_of_the_same_examples_elsewhere(shipped):
    families = dict(zip(shipped.tasks["dataset"], shipped.tasks["family"], strict=True))
    assert families == {
        "sklearn-digits": "digits",
        "sklearn-iris": "iris",
        "sklearn-breast-cancer": "breast-cancer",
        "sklearn-wine": "wine-cultivars",
        "sklearn-diabetes": "diabetes-efron",
    }


def test_shipped_runs_are_those_that_the_code_draws(shipped):
    seed = shipped.manifest.extra["seed"]
    for task in shipped:
        runs = shipped.runs[shipped.runs["task"] == task.name]
        plans = _mini.plan_runs(spec(task.name), prepare(spec(task.name)), len(runs), seed)
        assert [json.loads(text) for text in runs["config"]] == [plan.config for plan in plans]
        assert list(runs["arch"]) == [plan.architecture.name for plan in plans]
        assert list(runs["seed"]) == [str(plan.seed) for plan in plans]
    graphs = shipped.architectures.set_index("arch")["graph"]
    assert graphs[plans[0].architecture.name] == plans[0].architecture.graph_json()


def test_a_shipped_run_comes_out_again(shipped):
    plan = _mini.plan_runs(spec("iris-mlp"), prepare(spec("iris-mlp")), 64, shipped.manifest.extra["seed"])[0]
    again = train(plan.architecture, plan.config, prepare(spec("iris-mlp")), plan.seed)
    first = shipped.runs.query("task == 'iris-mlp'").iloc[0]
    kept = shipped.points([first["run"]], ["val_loss", "train_loss"])
    # Another processor rounds otherwise, and training lets that grow: the first steps are enough to tell.
    for name in ("val_loss", "train_loss"):
        assert_allclose(again.values[:3, MEASURED.index(name)], kept.values[name][:3], rtol=1e-3)
    assert again.status == first["status"]


def test_there_is_something_to_forecast(shipped):
    """At a quarter of its length, a curve of the image tasks has on the median not arrived yet."""
    for task in ("digits-mlp", "digits-cnn", "digits-cnn-pixel-noise"):
        rows = shipped.runs.query("task == @task and status == 'completed'")
        points = shipped.points(rows["run"].to_numpy(), ["val_accuracy"])
        curves = points.values["val_accuracy"].reshape(len(rows), -1)
        to_come = curves[:, -1] - curves[:, curves.shape[1] // 4]
        assert np.median(to_come) > 0.02, task
        assert np.quantile(curves[:, -1], 0.75) - np.quantile(curves[:, -1], 0.25) > 0.05, task


# --- the builder ----------------------------------------------------------------------------------------------------


def test_tiny_build_is_a_valid_corpus(tiny):
    assert validate(tiny.path).ok
    assert (tiny.n_tasks, tiny.n_runs) == (2, 4)
    assert set(tiny.runs["n_points"]) <= {2, 3}
    regression = tiny.points(tiny.runs.query("task == 'diabetes-mlp'")["run"].to_numpy())
    assert np.isnan(regression.values["val_accuracy"]).all()
    assert not np.isnan(regression.values["val_r2"]).any()
    seconds = tiny.points([0], ["seconds"]).values["seconds"]
    assert (np.diff(seconds) > 0).all()


def test_same_seed_same_corpus_other_seed_another(tiny, tmp_path):
    again = Corpus.open(build_mini(tmp_path / "b", tasks=TINY, n_runs=2, epochs=2))
    other = Corpus.open(build_mini(tmp_path / "c", tasks=TINY, n_runs=2, epochs=2, seed=1))
    assert_array_equal(values(tiny), values(again))
    assert tiny.runs.equals(again.runs)
    assert tiny.architectures.equals(again.architectures)
    assert not tiny.runs["config"].equals(other.runs["config"])


def test_interrupted_build_goes_on_from_its_cache(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = Corpus.open(build_mini(tmp_path / "a", tasks=["iris-mlp"], n_runs=2, epochs=2, cache=cache))

    def refuse(*_: object) -> Trained:
        raise RuntimeError("trained again")

    monkeypatch.setattr(_mini, "train", refuse)
    second = Corpus.open(build_mini(tmp_path / "b", tasks=["iris-mlp"], n_runs=2, epochs=2, cache=cache))
    assert_array_equal(values(first, "seconds", "val_loss"), values(second, "seconds", "val_loss"))
    with pytest.raises(RuntimeError, match="trained again"):  # other settings are other runs
        build_mini(tmp_path / "c", tasks=["iris-mlp"], n_runs=2, epochs=1, cache=cache)
    assert not (tmp_path / "c").exists()


def test_every_eighth_run_repeats_a_configuration_in_its_group():
    plans = _mini.plan_runs(spec("iris-mlp"), prepare(spec("iris-mlp")), 24, 0)
    assert len({plan.seed for plan in plans}) == 24
    assert len({plan.group for plan in plans}) == 21
    for group in {plan.group for plan in plans}:
        same = [plan for plan in plans if plan.group == group]
        assert all(plan.config == same[0].config and plan.architecture == same[0].architecture for plan in same)


def test_command_refuses_with_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "x"), "--task", "mnist"]) == 2
    assert "no task 'mnist'" in capsys.readouterr().err
    assert main([str(tmp_path / "x"), "--runs", "0"]) == 2
    assert not (tmp_path / "x").exists()


# --- training -------------------------------------------------------------------------------------------------------


def config(**changes: object) -> dict[str, object]:
    known = {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.05, "schedule": "constant", "weight_decay": 0.0}
    return {**known, "batch_size": 16, "epochs": 6, "label_smoothing": 0.0, **changes}


def test_diverged_run_ends_in_one_inf_after_its_last_finite_point(tmp_path, monkeypatch):
    task = spec("diabetes-mlp")
    split = prepare(task)
    net = mlp(10, 1, 2, 16, "relu", "none", 0.0)
    run = train(net, config(learning_rate=50.0), split, seed=0)
    applies = [MEASURED.index(name) for name in ("val_r2", "val_loss", "train_loss")]
    assert run.status == "diverged"
    assert np.isposinf(run.values[-1, applies]).all()
    assert np.isfinite(run.values[:-1, applies]).all()
    assert len(run.t) >= 2
    assert np.isnan(run.values[:, MEASURED.index("val_accuracy")]).all()
    assert np.isfinite(run.values[:, MEASURED.index("seconds")]).all()

    monkeypatch.setattr(_mini, "train", lambda *_: run)
    written = Corpus.open(build_mini(tmp_path / "corpus", tasks=["diabetes-mlp"], n_runs=1))
    assert validate(written.path).ok
    assert list(written.runs["status"]) == ["diverged"]
    assert list(written.runs["n_points"]) == [len(run.t)]


def test_lost_network_is_diverged_though_its_accuracy_looks_like_chance():
    run = train(mlp(4, 3, 3, 32, "relu", "none", 0.0), config(learning_rate=1e18), prepare(spec("iris-mlp")), seed=0)
    assert run.status == "diverged"
    assert np.isposinf(run.values[-1, MEASURED.index("val_accuracy")])


def test_run_without_progress_is_stopped_early_and_censored():
    split, net = prepare(spec("iris-mlp")), mlp(4, 3, 1, 8, "relu", "none", 0.0)
    stopped = train(net, config(learning_rate=0.0, patience=2), split, seed=0)
    assert (stopped.status, list(stopped.t)) == ("censored", [0, 1, 2, 3])
    assert train(net, config(learning_rate=0.0), split, seed=0).status == "completed"


def test_training_learns_and_leaves_the_callers_state_alone():
    split = prepare(spec("iris-mlp"))
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    run = train(mlp(4, 3, 1, 32, "relu", "none", 0.1), config(epochs=30), split, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert run.status == "completed"
    assert run.values[-1, MEASURED.index("val_accuracy")] > 0.85
    again = train(mlp(4, 3, 1, 32, "relu", "none", 0.1), config(epochs=30), split, seed=3)
    assert_array_equal(run.values[:, :4], again.values[:, :4])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1, 1, 1, 1]), ("step", [1, 1, 0.1, 0.01]), ("cosine", [1, 0.8535534, 0.5, 0.1464466])],
)
def test_learning_rate_schedules(schedule, rates):
    found = [learning_rate({"learning_rate": 1.0, "epochs": 4, "schedule": schedule}, epoch) for epoch in range(1, 5)]
    assert_allclose(found, rates, rtol=1e-6)


# --- data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [s.task for s in _mini.TASKS])
def test_validation_has_no_say_in_the_scale(task, monkeypatch):
    x, y = _mini_data.load(spec(task).dataset)
    plain = prepare(spec(task))
    _, val = split_rows(spec(task).dataset, y, spec(task).n_train, spec(task).n_val)
    wild_x, wild_y = x.copy(), y.copy()
    wild_x[val] = 1e6
    if spec(task).regression:
        wild_y[val] = -1e6
    monkeypatch.setattr(_mini_data, "load", lambda _: (wild_x, wild_y))
    wild = prepare(spec(task))
    assert_array_equal(wild.x_train, plain.x_train)
    assert_array_equal(wild.y_train, plain.y_train)
    assert not np.array_equal(wild.x_val, plain.x_val)


def test_training_part_is_standardised():
    tabular, image = prepare(spec("wine-mlp")), prepare(spec("digits-cnn"))
    assert_allclose(tabular.x_train.mean(0), 0, atol=1e-12)
    assert_allclose(tabular.x_train.std(0), 1)
    assert image.x_train.shape == (300, 1, 8, 8)
    assert_allclose([image.x_train.mean(), image.x_train.std()], [0, 1], atol=1e-12)
    target = prepare(spec("diabetes-mlp")).y_train
    assert_allclose([target.mean(), target.std()], [0, 1], atol=1e-12)


def test_validation_rows_are_fixed_by_the_dataset_and_never_trained_on():
    y = _mini_data.load("digits")[1]
    small, large = (split_rows("digits", y, n, 400) for n in (120, 400))
    assert_array_equal(small[1], large[1])
    assert_array_equal(small[0], large[0][:120])
    assert not set(large[0]) & set(large[1])
    with pytest.raises(DataError, match="1797 rows"):
        split_rows("digits", y, 1500, 400)


def test_label_noise_is_in_the_training_labels_alone():
    noisy, clean = prepare(spec("digits-mlp-label-noise")), prepare(spec("digits-mlp"))
    assert_array_equal(noisy.y_val, clean.y_val)
    # 40 % are drawn anew, and one in ten of those comes out as it was.
    assert 0.28 < (noisy.y_train != clean.y_train).mean() < 0.44


# --- networks -------------------------------------------------------------------------------------------------------

NETS = [
    *(
        mlp(10, 3, depth, 8, act, norm, 0.1)
        for depth in (1, 4)
        for act in ACTIVATIONS
        for norm in ("none", "batch", "layer")
    ),
    *(cnn(8, 10, 4, 2, 3, "relu", norm, res) for norm in ("none", "batch", "group") for res in (False, True)),
]


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_graph_counts_the_parameters_and_shapes_of_the_network(net: Architecture):
    module = build(net, seed=0)
    assert net.n_params == sum(p.numel() for p in module.parameters())
    shapes: dict[int, tuple[int, ...]] = {}
    for i, layer in enumerate(module.layers):
        layer.register_forward_hook(lambda _m, _x, out, i=i: shapes.__setitem__(i, tuple(out.shape[1:])))
    module(torch.zeros(2, 10) if net.name.startswith("mlp") else torch.zeros(2, 1, 8, 8))
    for i, shape in shapes.items():
        node = net.nodes[i]
        image = (node["height"], node["width"]) if "height" in node else ()
        assert shape == (node["out"], *image), node


def test_residual_branch_adds_the_input_of_its_block():
    net = cnn(8, 10, 4, 1, 3, "relu", "none", residual=True)
    module = build(net, seed=0)
    conv = [i for i, node in enumerate(net.nodes) if node["op"] == "conv"][-1]
    torch.nn.init.zeros_(module.layers[conv].weight)
    torch.nn.init.zeros_(module.layers[conv].bias)
    pool = next(i for i, node in enumerate(net.nodes) if node["op"] == "max_pool")
    kept = {}
    module.layers[pool].register_forward_hook(lambda _m, _x, out: kept.update(pool=out))
    x = torch.randn(3, 1, 8, 8)
    assert_allclose(module(x).detach(), module.layers[-2](kept["pool"].mean((-2, -1))).detach(), rtol=1e-5, atol=1e-6)


def test_names_tell_architectures_apart():
    assert len({net.name for net in NETS}) == len({net.graph_json() for net in NETS}) == len(NETS)


def test_writer_declares_every_primary_metric():
    assert {s.metric for s in _mini.TASKS} <= {m.name for m in _mini_write.METRICS}
