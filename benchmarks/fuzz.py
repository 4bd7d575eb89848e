"""Millions of damaged files for everything that metalcx reads: `results/fuzz.csv`.

Each reader of `tests/fuzz/readers.py` gets a process of its own with a limit on memory. Where atheris is installed
(``pip install atheris``), it finds its way by the branches of metalcx that an input takes; elsewhere good files are
damaged at random. A reader may read an input or refuse it with a `MetalcxError`; anything else, a crash, more than ten
seconds of the processor or more than the memory is a fault, and its input is kept in ``--found``.

    python benchmarks/fuzz.py --seconds 60 [--reader csv --reader parquet] [--out FILE] [--found DIR]
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]
COLUMNS = ["reader", "engine", "inputs", "read", "refused", "faults", "seconds", "per_second", "slowest_s", "peak_mb"]
SLOW, MEMORY = 10.0, 8 << 30


class Trial:
    """Reads inputs, counts what came of them, and keeps those at fault."""

    def __init__(self, name: str, folder: Path, report: Path, found: Path) -> None:
        from readers import READERS

        self.reader, self.name, self.folder, self.report, self.found = READERS[name], name, folder, report, found
        self.seeds = self.reader.seeds(folder)
        self.known: dict[str, int] = {}
        self.count = {"inputs": 0, "read": 0, "refused": 0}
        self.slowest, self.start, self.told = 0.0, time.monotonic(), 0.0

    def __call__(self, data: bytes) -> None:
        from metalcx.errors import MetalcxError

        # Processor time: on a machine that other work shares, the clock says what the others do.
        start = time.process_time()
        self.count["inputs"] += 1
        try:
            self.reader.read(data, self.folder)
            self.count["read"] += 1
        except MetalcxError:
            self.count["refused"] += 1
        except (Exception, RecursionError) as error:
            places = [f for f in traceback.extract_tb(error.__traceback__) if "/metalcx/" in f.filename]
            place = f"{places[-1].filename.rpartition('/metalcx/')[2]}:{places[-1].lineno}" if places else "?"
            self.keep(f"{type(error).__name__} at {place}", data)
        took = time.process_time() - start
        if took > SLOW:
            self.keep("slow", data)
        self.slowest = max(self.slowest, took)
        if time.monotonic() - self.told > 0.5:
            self.tell()

    def keep(self, what: str, data: bytes) -> None:
        if what not in self.known:
            self.found.mkdir(parents=True, exist_ok=True)
            stem = f"{self.name}-{what}".translate(str.maketrans("/: ", "---"))
            (self.found / stem).write_bytes(data)
        self.known[what] = self.known.get(what, 0) + 1

    def tell(self) -> None:
        self.told = time.monotonic()
        seconds = self.told - self.start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = self.count | {"faults": len(self.known), "seconds": seconds, "slowest_s": self.slowest, "peak_mb": peak}
        self.report.write_text(json.dumps(told | {"known": self.known}))


def child(name: str, seconds: float, report: Path, found: Path) -> None:
    """All inputs of one reader; never returns with atheris."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        import atheris
    except ImportError:
        atheris = None
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a million small files are written
    with tempfile.TemporaryDirectory(prefix="metalcx-fuzz-", dir=memory) as text:
        folder = Path(text)
        if atheris is None:
            by_chance(Trial(name, folder, report, found), seconds)
        else:
            with atheris.instrument_imports(include=["metalcx"]):
                trial = Trial(name, folder, report, found)
            guided(atheris, trial, folder, seconds, found)


def by_chance(trial: Trial, seconds: float) -> None:
    from damage import damaged

    chance = random.Random(0)
    while time.monotonic() - trial.start < seconds:
        trial(damaged(trial.seeds, trial.reader.tokens, chance))
    trial.tell()


def guided(atheris: Any, trial: Trial, folder: Path, seconds: float, found: Path) -> None:
    from damage import damaged

    good = folder / "good"
    good.mkdir()
    for i, seed in enumerate(trial.seeds):
        (good / str(i)).write_bytes(seed)
    found.mkdir(parents=True, exist_ok=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        # Half of the inputs are damaged as the format's words suggest, half as libFuzzer does.
        if seed % 2:
            return damaged([data, *trial.seeds], trial.reader.tokens, random.Random(seed))[:most]
        return atheris.Mutate(data, most)

    prefix = f"-artifact_prefix={found}/{trial.name.replace('/', '-')}-"
    limits = [f"-max_total_time={seconds:.0f}", f"-timeout={10 * SLOW:.0f}", "-rss_limit_mb=6000", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *limits, prefix, "-verbosity=0", str(good)], trial, custom_mutator=mutate)
    trial.start = time.monotonic()
    atheris.Fuzz()


def engine() -> str:
    try:
        import atheris  # noqa: F401
    except ImportError:
        return "chance"
    return "atheris"


def measured(name: str, seconds: float, found: Path) -> dict[str, Any]:
    """One reader in its own process; what ended that process is one more fault."""
    with tempfile.TemporaryDirectory() as text:
        report = Path(text) / "report.json"
        command = [sys.executable, __file__, "--child", name, "--seconds", str(seconds), "--found", str(found)]
        try:
            done = subprocess.run([*command, "--report", str(report)], timeout=seconds + 120, capture_output=True)
            ended = done.returncode
        except subprocess.TimeoutExpired:
            ended, done = -1, None
        told = json.loads(report.read_text()) if report.exists() else dict.fromkeys(COLUMNS, 0)
    if ended:
        print(f"{name}: the process ended with {ended}: {done.stderr[-2000:] if done else 'time'!r}", file=sys.stderr)
        told["faults"] += 1
    for what, times in told.pop("known", {}).items():
        print(f"{name}: {what} ({times} times)", file=sys.stderr)
    told |= {"reader": name, "engine": engine(), "per_second": told["inputs"] / max(told["seconds"], 1e-9)}
    return {key: round(told[key], 2) if isinstance(told[key], float) else told[key] for key in COLUMNS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--reader", action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "fuzz.csv")
    parser.add_argument("--found", type=Path, default=ROOT / ".work" / "fuzz")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.seconds, given.report, given.found.resolve())
        return
    from readers import READERS

    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for name in given.reader or READERS:
            row = measured(name, given.seconds, given.found.resolve())
            table.writerow(row)
            file.flush()
            print(row, flush=True)


if __name__ == "__main__":
    main()
