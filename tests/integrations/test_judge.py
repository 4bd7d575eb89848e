from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from strategies import make
from trainings import LOSS, MODEL, earlier, losses

from metalcx.curves import Curves
from metalcx.decide import MOST_SUPPORT_LIVE, DecisionLog, StopPolicy
from metalcx.errors import ModelError
from metalcx.integrations._policy import PolicyOptions, declared, judge, policy_of

HOSTS = ["optuna", "ray", "lightning", "pytorch_lightning", "transformers", "keras"]


def with_run(values: list[float], status: str = "running") -> Curves:
    run = make(LOSS, [(np.arange(1.0, len(values) + 1), np.array(values))], [status], ["mine"])
    return Curves.concat([earlier(), run])


def test_the_policy_decides() -> None:
    hopeless, promising = with_run([1.0, 1.0, 1.0]), with_run(losses(0.02)[:3])
    for policy in (policy_of(MODEL), policy_of(MODEL, threshold=0.2)):
        for curves in (hopeless, promising):
            assert [judge(policy, curves)] == policy.decide(curves)
    assert judge(policy_of(MODEL), hopeless).stop
    assert not judge(policy_of(MODEL), promising).stop


def test_hosts_take_every_option_of_the_policy() -> None:
    own = {f.name for f in fields(StopPolicy) if f.init and not f.name.startswith("_")}
    assert set(PolicyOptions.__annotations__) == own - {"model", "metrics"}, "hosts report one metric"


def test_a_run_that_diverged_is_stopped_and_logged(tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    curves = with_run([0.5, np.inf], "diverged")
    decision = judge(policy_of(MODEL, log=log), curves)
    assert (decision.stop, decision.run, decision.t) == (True, "mine", 2.0)
    assert decision.reason == "stopped: val_loss at 2 is not finite"
    assert [d.to_dict() for d in DecisionLog(log).read()] == [decision.to_dict()]
    dry = judge(policy_of(MODEL, dry_run=True), curves)
    assert not dry.stop
    assert dry.reason.startswith("would be stopped")


def test_a_model_is_loaded_when_it_is_first_asked() -> None:
    policy = policy_of("no-such-model")
    young = make(LOSS, [(np.arange(1.0, 3), np.array([0.5, 0.4]))], ["running"])
    assert "fewer than 5" in judge(policy, young).reason
    assert pickle.loads(pickle.dumps(policy)) == policy
    with pytest.raises(ModelError, match="no-such-model"):
        judge(policy, with_run([1.0, 1.0]))


def test_what_a_host_stores_of_a_policy_is_small() -> None:
    policy = policy_of(MODEL)
    fresh, curves = len(pickle.dumps(policy)), with_run([1.0, 1.0])
    decisions = policy.decide(curves)
    stored = pickle.dumps(policy)
    assert len(stored) == fresh, "what was adapted is adapted again"
    assert pickle.loads(stored).decide(curves) == decisions


def test_the_shipped_model_by_name() -> None:
    assert judge(policy_of("metalcx-base"), with_run([1.0, 1.0, 1.0])).stop


def test_a_bounded_support_by_default() -> None:
    assert policy_of(MODEL).most_support == MOST_SUPPORT_LIVE
    assert policy_of(MODEL, most_support=None).most_support is None


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="threshold"):
        policy_of("metalcx-base", threshold=2)
    with pytest.raises(ValueError, match=r"mode, lower or upper.*'auto'"):
        declared("val_loss", "auto", None, None)
    with pytest.raises(ValueError, match="lower bound"):
        declared("val_loss", "min", 1.0, 0.0)


def test_no_host_is_loaded_until_its_module_is() -> None:
    names = "metalcx.integrations, metalcx.integrations.loop, metalcx.integrations.sklearn"
    code = f"import sys, metalcx, {names}; print(sorted(set({HOSTS!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["optuna", "ray", "lightning", "huggingface", "keras"])
def test_a_host_that_is_not_there_is_named_with_the_command(module: str) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HOSTS!r})); from metalcx.errors import MissingDependencyError\n"
        f"try:\n    import metalcx.integrations.{module}\nexcept MissingDependencyError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f'run pip install "metalcx[{module}]"' in done.stdout
