"""The example of each module runs as it is written there."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import metalcx

ROOM = Path(metalcx.__file__).parent / "integrations"

# In a checkout, the folder `datasets` looks like the library of that name, which transformers asks for.
AHEAD = """import sys, metalcx
from pathlib import Path
sys.path = [p for p in sys.path if not (Path(p) / "datasets").is_dir() or "site-packages" in p]
"""

#: Module, the host it needs, and what its example has to print.
EXAMPLES = [
    ("loop", "numpy", "4 of 10 were stopped"),
    ("sklearn", "sklearn", "0."),
    pytest.param("optuna", "optuna", "of 12 were pruned; best 0.9", marks=pytest.mark.slow),
    pytest.param("lightning", "lightning", "stopped: P(val_loss at 12 <", marks=pytest.mark.slow),
    pytest.param("huggingface", "transformers", "stopped: P(eval_loss at 12 <", marks=pytest.mark.slow),
    pytest.param("keras", "keras", "stopped: P(val_loss at 12 <", marks=pytest.mark.slow),
    pytest.param("ray", "ray.tune", "[12, 12, 12, 12, 12, ", marks=pytest.mark.slow),
]


def example(module: str) -> str:
    """The code of a module's docstring."""
    doc = ast.get_docstring(ast.parse((ROOM / f"{module}.py").read_text(encoding="utf-8"))) or ""
    _, _, text = doc.partition("Example:\n")
    _, _, code = text.partition("::\n")
    return textwrap.dedent(code)


@pytest.mark.parametrize(("module", "host", "said"), EXAMPLES)
def test_the_example_runs_as_written(module: str, host: str, said: str) -> None:
    pytest.importorskip(host)
    done = subprocess.run([sys.executable, "-c", AHEAD + example(module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_each_public_module_has_an_example() -> None:
    public = {path.stem for path in ROOM.glob("*.py") if not path.stem.startswith("_")}
    assert public == {getattr(e, "values", e)[0] for e in EXAMPLES}
    for module in public:
        compile(example(module), module, "exec")
        assert f"metalcx.integrations.{module}" in example(module)
