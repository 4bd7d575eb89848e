"""Fifty kills of every long work of metalcx, each held against unbroken work: `results/soak.csv`.

    python benchmarks/soak.py [--kills 50] [--job NAME ...] [--out FILE]

The jobs, and what is checked after each kill, are those of `tests/fault_jobs.py`.
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def main() -> None:
    from fault_jobs import JOBS, survive

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--job", action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "soak.csv")
    given = parser.parse_args()
    with given.out.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["job", "kills", "done", "faults", "seconds"])
        for name in given.job or JOBS:
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                try:
                    told, fault = survive(name, Path(folder), given.kills, seed=1), ""
                    row = [name, told.kills, told.done, 0, round(told.seconds, 1)]
                except AssertionError as error:
                    fault = str(error)
                    row = [name, "", "", 1, round(time.monotonic() - start, 1)]
            table.writerow(row)
            file.flush()
            print(*row, fault, flush=True)
    print(f"children used {resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
