"""What tests of several rooms share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from metalcx import hub

# pytest's importlib mode puts no test folder on the path; `strategies` stands here.
sys.path.insert(0, str(Path(__file__).parent))

# Machines under load are slow, not wrong: no deadline for an example, and the same examples every time.
settings.register_profile(
    "metalcx", deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("metalcx")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `tiny.py`; the hub knows its class `Tiny` while the test runs."""
    name = "metalcx_test_tiny"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("tiny.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    monkeypatch.setitem(hub.CLASSES, "Tiny", f"{name}:Tiny")
    return sys.modules[name]


@pytest.fixture
def shelf(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of what ships with metalcx: models go into ``pretrained``, corpora into ``datasets``."""
    root = tmp_path_factory.mktemp("shelf")
    for kind in ("pretrained", "datasets"):
        (root / kind).mkdir()
    monkeypatch.setattr("metalcx._resources._root", lambda kind: root / kind)
    return root
