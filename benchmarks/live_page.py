"""The live page over a thousand trainings that are really running: `results/live_page.csv`.

    python benchmarks/live_page.py [--runs 1000] [--out FILE]

Three processes train small networks on digits, ten at a time each, and write event files of TensorBoard. Beside them
`metalcx watch` looks every two seconds, with `metalcx-base`, and Chromium shows its page. A row at each tenth of the
runs, one when all have ended, and one twenty seconds later. Checks and trainings are those of `tests/living_page.py`.
Needs playwright, Chromium and tensorboard.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main() -> None:
    from living_page import survey

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "live_page.csv")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="metalcx-live-") as folder:
        rows = survey(Path(folder), given.runs)
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({key: f"{value:.4g}" for key, value in row.items()} for row in rows)


if __name__ == "__main__":
    main()
