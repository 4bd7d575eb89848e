"""Rooms and floors: who may import whom, what `import metalcx` may load, and that what is imported is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import metalcx

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "metalcx"

# A module imports from its own room and from lower floors only, never from a neighbour; forecasters and
# histories stand above encoders.
FLOORS: dict[str, float] = {
    "errors": 0,
    "_json": 0,
    "_resources": 0,
    "_checkpoint": 1,
    "_device": 1,
    "_lines": 1,
    "_parallel": 1,
    "_schedule": 1,
    "_swap": 1,
    "_weights": 1,
    "_whole": 0,
    "_zip": 0,
    "curves": 1,
    "graphs": 1,
    "protocol": 2,
    "corpora": 2,
    "encoders": 2,
    "forecasters": 3,
    "histories": 3,
    "transfer": 4,
    "hub": 4,
    "testing": 4,
    "decide": 5,
    "integrations": 6,
    "reports": 6,
    "bench": 6,
    "cli": 7,
    "__main__": 8,
    "__init__": 9,
}

# What a room must not know of, beside the rooms above it.
FORBIDDEN = {
    "curves": {"torch", "networkx"},
    "protocol": {"torch"},
    "decide": {"torch", "gpytorch"},
    "errors": {"numpy", "pandas", "torch"},
}

# Imported where present, named in an error where not.
OPTIONAL = {
    "learn2learn",
    "optuna",
    "ray",
    "lightning",
    "pytorch_lightning",
    "transformers",
    "keras",
    "tensorboard",
    "google",  # protobuf, which tensorboard brings
    "wandb",
    "mlflow",
    "yaml",
}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "linear_operator": "gpytorch", "dateutil": "pandas", "click": "typer"}


def room_of(path: Path, package: Path) -> str:
    return path.relative_to(package).with_suffix("").parts[0]


def imported(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every module that a file imports, in functions and for types as well."""
    inside = ("metalcx", *path.relative_to(package).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*inside[: len(inside) + 1 - node.level], *filter(None, [node.module])])
            base = base if node.level else str(node.module)
            # `from metalcx import curves` names a room, not a value.
            names = [f"metalcx.{alias.name}" for alias in node.names] if base == "metalcx" else [base]
            yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            constants = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            yield from ((node.lineno, str(name)) for name in constants)


def complaints(package: Path) -> list[str]:
    """Every import that breaks a rule of the house: ``file:line: what``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        where, room = path.relative_to(package).as_posix(), room_of(path, package)
        if room not in FLOORS:
            found.append(f"{where}: room {room!r} stands on no floor; give it one in FLOORS")
            continue
        for line, name in imported(path, package):
            top, *rest = name.split(".")
            if top == "metalcx" and rest and not allowed_room(room, rest[0]):
                found.append(f"{where}:{line}: {room} (floor {FLOORS[room]}) imports {name}")
            # The names at the top lead everywhere, so only the commands, above everything, may use them.
            if name == "metalcx" and room not in ("cli", "__main__"):
                found.append(f"{where}:{line}: {room} imports metalcx itself")
            if room == "integrations" and crosses(path, package, name):
                found.append(f"{where}:{line}: one integration imports another, {name}")
            if top in FORBIDDEN.get(room, ()):
                found.append(f"{where}:{line}: {room} must know nothing of {top}")
            if top == "learn2learn" and where != "transfer/_learn2learn.py":
                found.append(f"{where}:{line}: only transfer/_learn2learn.py loads learn2learn")
    return found


def allowed_room(room: str, other: str) -> bool:
    return other == room or other == "__version__" or FLOORS.get(other, 99) < FLOORS[room]


def crosses(path: Path, package: Path, name: str) -> bool:
    own = path.relative_to(package / "integrations").with_suffix("").parts[0]
    parts = name.split(".")
    other = parts[2] if parts[:2] == ["metalcx", "integrations"] and len(parts) > 2 else own
    return own != "__init__" and not other.startswith("_") and other != own


def test_every_import_keeps_to_its_room_and_lower_floors() -> None:
    assert complaints(PACKAGE) == []


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the table under a heading of ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_on_architecture_says_what_the_floors_are() -> None:
    rows = rows_of("Rooms and floors")
    told = {room.strip("`"): float(floor) for floor, room, _, _ in rows}
    assert told == {room: floor for room, floor in FLOORS.items() if floor < 8}
    ignorant = {room.strip("`"): set(others.split(", ")) for _, room, _, others in rows if others}
    assert ignorant == FORBIDDEN


def test_files_that_the_page_names_are_there_and_long_ones_have_a_reason() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([\w/]+(?:\.py|/))`", text) if "/" in name]
    assert [name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()] == []
    long = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 250
    }
    assert long == {file.strip("`") for file, _ in rows_of("Long files")}


@pytest.mark.parametrize(
    ("where", "code", "complaint"),
    [
        (
            "curves/_a.py",
            "def f():\n    from metalcx.forecasters import X",
            r"curves/_a.py:2: curves .* metalcx.forecasters",
        ),
        ("curves/_a.py", "from ..hub import load", "imports metalcx.hub"),
        ("curves/_a.py", "from metalcx import hub", "imports metalcx.hub"),
        ("curves/_a.py", "import importlib\nimportlib.import_module('metalcx.cli')", "imports metalcx.cli"),
        ("curves/_a.py", "import metalcx", "imports metalcx itself"),
        ("hub.py", "from metalcx.transfer import meta_train", "imports metalcx.transfer"),
        ("decide/_rank.py", "import torch.nn", "decide must know nothing of torch"),
        ("forecasters/_a.py", "import learn2learn", "only transfer/_learn2learn.py"),
        ("integrations/ray.py", "from metalcx.integrations.optuna import X", "one integration imports another"),
        ("attic/_a.py", "", "stands on no floor"),
    ],
)
def test_the_walk_sees_each_kind_of_breach(tmp_path: Path, where: str, code: str, complaint: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    found = complaints(tmp_path)
    assert len(found) == 1
    assert re.search(complaint, found[0])


def test_lawful_imports_pass_the_walk(tmp_path: Path) -> None:
    (tmp_path / "transfer").mkdir()
    (tmp_path / "transfer" / "_a.py").write_text(
        "from metalcx import __version__\nfrom metalcx.curves import Curves\nfrom ._b import c\nimport torch\n"
    )
    assert complaints(tmp_path) == []


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    tops = {name.split(".")[0]: path for path in PACKAGE.rglob("*.py") for _, name in imported(path, PACKAGE)}
    foreign = {t: p for t, p in tops.items() if t not in sys.stdlib_module_names and t not in OPTIONAL | {"metalcx"}}
    assert {t: str(p) for t, p in foreign.items() if DISTRIBUTIONS.get(t, t) not in declared} == {}
    assert declared == {DISTRIBUTIONS.get(t, t) for t in foreign}, "declared, but imported nowhere"


def python(code: str) -> str:
    """What a fresh interpreter prints, started away from the checkout."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_metalcx_is_light() -> None:
    heavy = {"torch", "sklearn", "scipy", "pandas", "numpy", "matplotlib", "pyarrow", "gpytorch", "typer", "rich"}
    code = f"import sys, metalcx; dir(metalcx); print(sorted({heavy!r} & set(sys.modules)))"
    assert python(code) == "[]"


def test_curves_corpora_graphs_and_protocol_load_no_torch() -> None:
    names = "mx.Curves, mx.Corpus, mx.Forecast, mx.Forecaster, mx.graphs"
    code = f"import sys, metalcx as mx; {names}; print('torch' in sys.modules)"
    assert python(code) == "False"


def test_a_forecast_of_what_ships_loads_no_more_than_it_takes() -> None:
    """Each of these is a good part of a second from a cold start."""
    slow = {"sklearn", "gpytorch", "torchvision", "matplotlib"}
    code = f"""
import sys, metalcx as mx
from metalcx.testing import synthetic_curves
curves = synthetic_curves(8, 20, seed=0)
assert curves.config is not None
model = mx.load("metalcx-base")
adapted = model.adapt(curves.take(range(2)))
for one in (model, adapted):
    one.forecast(curves.take([5]).truncate(5.0), at=20.0)
print(sorted({slow!r} & set(sys.modules)))
"""
    assert python(code) == "[]"


def test_import_takes_less_than_half_a_second() -> None:
    code = "import time; s = time.perf_counter(); import metalcx; print(time.perf_counter() - s)"
    # The least of three, since another process may have had the core.
    assert min(float(python(code)) for _ in range(3)) < 0.5


def test_public_names_are_listed_and_reachable() -> None:
    wanted = {"Corpus", "Curves", "Forecast", "Forecaster", "Metric", "load"}
    assert wanted | {"errors", "forecasters", "corpora", "graphs"} <= set(metalcx.__all__) <= set(dir(metalcx))
    for name in metalcx.__all__:
        assert getattr(metalcx, name) is not None
    assert metalcx.Curves.__name__ == "Curves"
    assert list(metalcx.__all__) == sorted(metalcx.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'metalcx' has no attribute 'nonsense'"):
        _ = metalcx.nonsense


def test_names_for_type_checkers_are_those_at_run_time() -> None:
    """The `TYPE_CHECKING` imports of the top level and its lazy table say the same."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        a.asname for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module != "typing" for a in n.names
    }
    assert typed == set(metalcx.__all__)
