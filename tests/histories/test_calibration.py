import numpy as np
import pytest
from scipy.stats import kendalltau, multivariate_normal

from metalcx.errors import DataError
from metalcx.histories import Calibration
from metalcx.histories._calibration import Kernel, _covariance
from metalcx.histories._inputs import N_INPUTS

from .made import made_lessons

NONE = np.empty((0, N_INPUTS)), np.empty(0)


def test_it_orders_runs_of_a_task_that_it_never_saw() -> None:
    lessons = made_lessons(7)
    target = lessons.take(lessons.task == "t6")
    learned = Calibration.learn(lessons.take(lessons.task != "t6"))
    mean, quantiles = learned.conditioned(*NONE).predict(target.x)
    assert kendalltau(mean, target.z).statistic > kendalltau(target.x[:, 0], target.z).statistic + 0.1
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_finished_runs_correct_what_is_the_tasks_own() -> None:
    lessons = made_lessons(7, shift=1.5)
    target = lessons.take(lessons.task == "t6")
    learned = Calibration.learn(lessons.take(lessons.task != "t6"), Kernel(own=1.0))
    rest = target.take(np.arange(10, 40))
    before = np.abs(learned.conditioned(*NONE).predict(rest.x)[0] - rest.z).mean()
    known = learned.conditioned(target.x[:10], target.z[:10])
    after, quantiles = known.predict(rest.x)
    assert np.abs(after - rest.z).mean() < 0.8 * before
    wide = np.diff(learned.conditioned(*NONE).predict(rest.x)[1][:, [4, -5]], axis=1)
    assert (np.diff(quantiles[:, [4, -5]], axis=1) < wide).all()


def test_conditioning_is_the_process_on_lessons_and_support_together() -> None:
    lessons = made_lessons(3, 8)
    learned = Calibration.learn(lessons, Kernel())
    rng = np.random.default_rng(1)
    x, z, asked = rng.normal(size=(4, N_INPUTS)), rng.normal(size=4), rng.normal(size=(2, N_INPUTS))
    known, kernel = learned.conditioned(x, z), learned.kernel
    a, b = learned.scaled(x), learned.scaled(asked)
    both = np.concatenate([a, b])
    new = kernel.common(both, both) + kernel.private(both, both)
    new[:4, :4] += kernel.noise * np.eye(4)
    old, cross = _covariance(learned.lessons, kernel), kernel.common(learned.lessons.x, both)
    whole = np.block([[old, cross[:, :4]], [cross[:, :4].T, new[:4, :4]]])
    to_asked = np.concatenate([cross[:, 4:], new[:4, 4:]])
    values = np.concatenate([learned.lessons.z, known.z])
    expected = to_asked.T @ np.linalg.solve(whole, values)
    middle, scale = learned.middle[:, -1]
    np.testing.assert_allclose(known.predict(asked)[0], middle + scale * expected, atol=1e-9)


def test_left_out_runs_are_forecast_by_the_others() -> None:
    lessons = made_lessons(4, 12)
    learned = Calibration.learn(lessons.take(lessons.task != "t3"), Kernel())
    target = lessons.take(lessons.task == "t3")
    found = learned.conditioned(target.x, target.z).left_out()
    for i in (0, 5, 11):
        rest = np.arange(12) != i
        alone = learned.conditioned(target.x[rest], target.z[rest]).predict(target.x[[i]])[0][0]
        assert found[i] == pytest.approx(alone)


def test_widths_hold_on_tasks_left_out() -> None:
    lessons = made_lessons(12, 60)
    covered = []
    for name in ("t0", "t1", "t2"):
        learned = Calibration.learn(lessons.take(lessons.task != name), Kernel())
        target = lessons.take(lessons.task == name)
        quantiles = learned.conditioned(*NONE).predict(target.x)[1]
        covered.append((quantiles[:, 4] <= target.z) & (target.z <= quantiles[:, -5]))
    assert 0.65 < np.mean(covered) < 0.95


def test_a_forecast_does_not_depend_on_the_others_asked_for() -> None:
    lessons = made_lessons(4, 12)
    known = Calibration.learn(lessons).conditioned(lessons.x[:3], lessons.z[:3])
    whole = known.predict(lessons.x[:6])
    for i in range(6):
        np.testing.assert_allclose(known.predict(lessons.x[[i]])[1][0], whole[1][i], atol=1e-9)


def test_the_kernel_is_chosen_by_families_left_out() -> None:
    lessons = made_lessons(6, 40)
    best = Calibration.learn(lessons, choices=(Kernel(length=500.0, linear=0.0), Kernel(length=4.0)))
    assert best.kernel.length == 4.0


def test_one_family_is_refused() -> None:
    lessons = made_lessons(1)
    with pytest.raises(DataError, match="two at least"):
        Calibration.learn(lessons)


def test_the_covariance_is_one() -> None:
    lessons = made_lessons(3, 10)
    covariance = _covariance(Calibration.learn(lessons, Kernel()).lessons, Kernel())
    assert np.isfinite(multivariate_normal(np.zeros(30), covariance).logpdf(np.zeros(30)))
