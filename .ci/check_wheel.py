"""Builds the wheel, installs it where no checkout is in reach, and forecasts with the checkpoint inside it.

The clean environment borrows third-party packages from .venv; metalcx itself can only come from the wheel.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PROBE = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
import metalcx as mx
from metalcx._resources import bundled_names

home = Path(mx.__file__).resolve()
assert Path(sys.prefix).resolve() in home.parents, f"metalcx comes from {home}, not from the wheel"
names = {kind: bundled_names(kind) for kind in ("pretrained", "datasets")}
assert "metalcx-base" in names["pretrained"] and "smallnets" in names["datasets"], f"the wheel holds {names}"

t = np.arange(1, 31)
rows = [(run, s, 1 - np.exp(-s / (3 + run)) * 0.8) for run in range(8) for s in t if run < 6 or s <= 9]
curves = mx.Curves.from_frame(pd.DataFrame(rows, columns=["run", "t", "value"]), mx.Metric("accuracy", "max", 0.0, 1.0))
forecast = mx.load("metalcx-base").adapt(curves.completed()).forecast(curves.running(), at=30)
assert len(forecast) == 2 and np.isfinite(forecast.to_frame().drop(columns="run").to_numpy()).all()
print(f"metalcx {mx.__version__} from the wheel carries {names} and forecast {forecast.mean.round(3).tolist()}")
"""


def build(out: Path) -> Path:
    """Build the sdist, and the wheel, into `out`; the wheel's path."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=ROOT, check=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def install(wheel: Path, home: Path) -> Path:
    """A new environment at `home` that holds the wheel and can see .venv's packages; its Python."""
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # Borrowed folders come after the environment's own, and .pth files inside them (such as the
    # checkout's editable install) are not followed.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def main() -> None:
    """Build, install, probe; any failure ends with a non-zero exit code."""
    with tempfile.TemporaryDirectory() as folder:
        python = install(build(Path(folder) / "dist"), Path(folder) / "env")
        probe = [[str(python), "-I", "-c", PROBE], [str(python.parent / "metalcx"), "models", "list"]]
        for command in probe:
            if subprocess.run(command, cwd=folder, check=False).returncode:
                sys.exit(f"the wheel does not work on its own: {command[0]}")


if __name__ == "__main__":
    main()
