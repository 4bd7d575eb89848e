"""Make the corpus `datasets/sklearn-mini`: ``python -m metalcx.corpora.build_mini DST``.

Trains several hundred small networks on data that scikit-learn carries; one core, minutes, no network.
"""

from __future__ import annotations

import argparse
import sys

from metalcx.errors import MetalcxError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status, 2 where what was asked cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m metalcx.corpora.build_mini", description=__doc__)
    parser.add_argument("dst", help="folder of the corpus; an older corpus there is replaced")
    parser.add_argument("--task", action="append", help="train this task only; may be given several times")
    parser.add_argument("--runs", type=int, default=64, help="runs a task (default 64)")
    parser.add_argument("--epochs", type=int, help="budget of every run (default: each task's own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", help="folder that keeps finished tasks, so that an interrupted build goes on")
    given = parser.parse_args(arguments)
    from metalcx.corpora._mini_write import build_mini

    try:
        path = build_mini(
            given.dst,
            tasks=given.task,
            n_runs=given.runs,
            epochs=given.epochs,
            seed=given.seed,
            cache=given.cache,
            progress=_say,
        )
    except MetalcxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


def _say(line: str) -> None:
    # On a terminal one line that changes; in a log nothing but the end of each line would be noise.
    print(line, file=sys.stderr, end="\x1b[K\r" if sys.stderr.isatty() else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
