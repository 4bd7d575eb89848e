"""The command as a process of its own."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Starts the command with the forecaster of `tests/tiny.py` registered.
WITH_TINY = f"""
import importlib.util, sys
sys.path.insert(0, {str(ROOT)!r})
spec = importlib.util.spec_from_file_location("metalcx_test_tiny", {str(ROOT / "tests" / "tiny.py")!r})
sys.modules["metalcx_test_tiny"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from metalcx import hub
hub.CLASSES["Tiny"] = "metalcx_test_tiny:Tiny"
"""
