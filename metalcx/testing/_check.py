"""Try every rule on a forecaster and say which do not hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from metalcx.errors import DataError, MetalcxError, name_some
from metalcx.protocol import Forecaster
from metalcx.testing import _distribution, _independence, _inputs
from metalcx.testing._trial import Broken, Trial

_CHECKS: dict[str, Callable[[Trial], None]] = {
    check.__name__: check for check in (*_inputs.RULES, *_independence.RULES, *_distribution.RULES)
}

#: Name of each rule -> the sentence that holds for every forecaster.
RULES: Mapping[str, str] = {name: str(check.__doc__).strip() for name, check in _CHECKS.items()}


class ForecasterRuleError(MetalcxError, AssertionError):
    """A forecaster breaks rules.

    Attributes:
        failures: Name of each broken rule -> run ids, got, expected, and what to look at.
    """

    def __init__(self, forecaster: str, failures: Mapping[str, str]) -> None:
        self.failures = dict(failures)
        told = "\n".join(f"- {name}: {RULES[name]}\n  {what}" for name, what in self.failures.items())
        super().__init__(f"{forecaster} breaks {len(self.failures)} rule(s):\n{told}")


@dataclass(frozen=True)
class RuleReport:
    """What was tried, all of which holds.

    Attributes:
        forecaster: Its class.
        rules: Name of each rule tried -> its sentence.
        seconds: Name of each rule tried -> time it took.
    """

    forecaster: str
    rules: Mapping[str, str]
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        width = max(map(len, self.rules), default=0)
        lines = [f"  {name:{width}}  {sentence}" for name, sentence in self.rules.items()]
        total = sum(self.seconds.values())
        return "\n".join([f"{self.forecaster} keeps {len(lines)} rules, tried in {total:.1f} s:", *lines])


def check_forecaster(
    forecaster: Forecaster, *, rules: Iterable[str] | None = None, seed: int = 0, tolerance: float = 1e-6
) -> RuleReport:
    """Try the rules that every forecaster keeps, on synthetic curves.

    Args:
        forecaster: A base, not adapted to any support yet.
        rules: Names out of `RULES`; all by default.
        seed: Of the synthetic curves.
        tolerance: Largest difference between forecasts that should be equal, as a share of the range of the
            forecast; a model in single precision needs about 1e-4.

    Returns:
        Which rules were tried; all of them hold.

    Raises:
        ForecasterRuleError: An AssertionError that names each broken rule, the runs, what came, what was expected
            and what to look at. The first exception that the forecaster itself raised is its cause.
        DataError: If `rules` names one that does not exist.
    """
    chosen = list(RULES) if rules is None else list(rules)
    unknown = [name for name in chosen if name not in RULES]
    if unknown:
        raise DataError(f"no rules {name_some(unknown)}; there is {name_some(RULES, 99)}")
    trial = Trial(forecaster, seed, tolerance)
    failures: dict[str, str] = {}
    seconds: dict[str, float] = {}
    cause: Exception | None = None
    for name in chosen:
        start = time.perf_counter()
        try:
            _CHECKS[name](trial)
        except Broken as broken:
            failures[name] = str(broken)
        except Exception as error:
            failures[name] = (
                f"raised {type(error).__name__}: {error}. Look at: the traceback, shown above where it is the first"
            )
            cause = cause or error
        seconds[name] = time.perf_counter() - start
    if failures:
        raise ForecasterRuleError(type(forecaster).__name__, failures) from cause
    return RuleReport(type(forecaster).__name__, {name: RULES[name] for name in chosen}, seconds)
