"""Runs the notebooks, each from its first cell to its last in an empty folder, or strips what a run left in them.

    python .ci/notebooks.py run [--out DIR] [NAME ...]    executed copies go to DIR, if it is given
    python .ci/notebooks.py strip [NAME ...]              before a commit

A notebook fails if a cell raises or takes longer than `LIMIT` seconds, or if it leaves a file behind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

#: All that the metadata of a notebook says in the repository.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

#: Seconds for one cell; a whole notebook takes a fifth of that on one ordinary processor core.
LIMIT = 300

#: Notebooks that run side by side, one thread each.
SIDE_BY_SIDE = min(2, os.cpu_count() or 1)


def stripped(text: str) -> str:
    """The text of a notebook without outputs, counts and other people's metadata."""
    book: dict[str, Any] = json.loads(text)
    book["metadata"] = METADATA
    for cell in book["cells"]:
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def run(path: Path, out: Path | None) -> str | None:
    """Execute one notebook; what went wrong, or None."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError
    from traitlets.config import Config

    # A kernel's sockets are open to others on the machine, of which it warns in each notebook.
    encrypted = Config({"KernelManager": {"transport_encryption": "auto"}})
    book = nbformat.read(path, as_version=4)
    started, trouble = time.perf_counter(), None
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        client = NotebookClient(book, timeout=LIMIT, kernel_name="python3", resources=where, config=encrypted)
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            trouble = re.sub("\x1b\\[[0-9;]*m", "", str(error))  # colours
        left = sorted(str(file.relative_to(folder)) for file in Path(folder).rglob("*"))
    seconds = time.perf_counter() - started
    if trouble is None and left:
        trouble = f"it left files behind: {', '.join(left)}; write them into a temporary folder"
    if out is not None:
        nbformat.write(book, out / path.name)
    print(f"{path.name}: {'FAILED' if trouble else 'ran'} in {seconds:.0f} s", flush=True)
    return trouble


def run_all(paths: list[Path], out: Path | None = None) -> int:
    """Execute notebooks side by side; the exit code."""
    # Kernels inherit this; two processes of as many threads as there are cores would be in each other's way.
    os.environ["OMP_NUM_THREADS"] = "1"
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        # What IPython and matplotlib keep between sessions.
        os.environ |= dict.fromkeys(("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"), home)
        troubles = list(pool.map(lambda path: run(path, out), paths))
    for path, trouble in zip(paths, troubles, strict=True):
        if trouble:
            print(f"\n{path.name}:\n{trouble}", file=sys.stderr)
    return int(any(troubles))


def main() -> int:
    """What the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "strip"])
    parser.add_argument("names", nargs="*", help="such as 01_first_forecast; all by default")
    parser.add_argument("--out", type=Path, help="folder for executed copies")
    asked = parser.parse_intermixed_args()
    paths = [FOLDER / f"{name.removesuffix('.ipynb')}.ipynb" for name in asked.names] or sorted(FOLDER.glob("*.ipynb"))
    if asked.what == "run":
        return run_all(paths, asked.out)
    for path in paths:
        path.write_text(stripped(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
