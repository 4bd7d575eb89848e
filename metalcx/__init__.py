"""metalcx: learning curves of networks on a dataset never seen before, forecast from what other datasets taught."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metalcx import bench as bench
    from metalcx import corpora as corpora
    from metalcx import curves as curves
    from metalcx import decide as decide
    from metalcx import encoders as encoders
    from metalcx import errors as errors
    from metalcx import forecasters as forecasters
    from metalcx import graphs as graphs
    from metalcx import histories as histories
    from metalcx import hub as hub
    from metalcx import protocol as protocol
    from metalcx import testing as testing
    from metalcx import transfer as transfer
    from metalcx.corpora import Corpus as Corpus
    from metalcx.curves import Curves as Curves
    from metalcx.curves import Metric as Metric
    from metalcx.decide import Decision as Decision
    from metalcx.decide import StopPolicy as StopPolicy
    from metalcx.hub import load as load
    from metalcx.protocol import Forecast as Forecast
    from metalcx.protocol import Forecaster as Forecaster

__version__ = "0.1.0"

# Names are looked up when first used (PEP 562), so that `import metalcx` loads neither torch nor pandas.
_HOMES = {
    "Corpus": "corpora",
    "Curves": "curves",
    "Decision": "decide",
    "Forecast": "protocol",
    "Forecaster": "protocol",
    "Metric": "curves",
    "StopPolicy": "decide",
    "load": "hub",
}
_ROOMS = frozenset(
    {
        "bench",
        "corpora",
        "curves",
        "decide",
        "encoders",
        "errors",
        "forecasters",
        "graphs",
        "histories",
        "hub",
        "protocol",
        "testing",
        "transfer",
    }
)

__all__ = [
    "Corpus",
    "Curves",
    "Decision",
    "Forecast",
    "Forecaster",
    "Metric",
    "StopPolicy",
    "bench",
    "corpora",
    "curves",
    "decide",
    "encoders",
    "errors",
    "forecasters",
    "graphs",
    "histories",
    "hub",
    "load",
    "protocol",
    "testing",
    "transfer",
]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return importlib.import_module(f"metalcx.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'metalcx' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"metalcx.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
