"""What each part of the latent graph ODE is worth: the whole over the same without it, on tasks of a transfer study.

    python benchmarks/ablations.py [FOLDER]

Reads `errors.csv` of a transfer benchmark in FOLDER (by default `results/ode`) with the rows `graph-ode-...` and writes
`ablations.csv` and `ablations.md` beside it: 1 less the geometric mean over tasks of the ratio of errors (of the final,
and of the whole curve by CRPS), with 95 % bootstrap intervals over tasks and over families. Above 0 the part helps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from metalcx.bench.transfer._tables import paired

RESULTS = Path(__file__).parent / "results" / "ode"
WHOLE = "graph-ode"
SIZES = (2, 5, 10, 20)
ABOUT = (
    "Gain of the whole over the same without the part, trained and judged alike: 1 less the geometric mean over the 47",
    "tasks of the ratio of errors, with 95 % intervals by bootstrap over families. Above 0 the part helps. Made by",
    "`python benchmarks/ablations.py`; intervals over tasks are in `ablations.csv`.",
)
MEASURES = {"error": "final", "crps_curve": "whole curve"}


def page(found: pd.DataFrame) -> list[str]:
    """A table for each measure."""
    lines = ["# What each part of the latent graph ODE is worth", "", *ABOUT, ""]
    for measure, about in MEASURES.items():
        lines += [f"## Error of the {about}, intervals over families", ""]
        lines += ["| without, or otherwise | " + " | ".join(f"K = {k}" for k in SIZES) + " |", "|---" * 5 + "|"]
        for name, rows in found[found.measure == measure].groupby("over", sort=False):
            cells = [f"{r.gain:+.1%} [{r.family_low:+.1%}, {r.family_high:+.1%}]" for r in rows.itertuples()]
            lines.append(f"| {str(name).removeprefix(WHOLE + '-')} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def main() -> None:
    """Write both."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    errors = pd.read_csv(folder / "errors.csv")
    rows = errors[errors.K.isin(SIZES) & errors.forecaster.str.startswith(WHOLE)]
    found = pd.concat([paired(rows, WHOLE, measure).assign(measure=measure) for measure in MEASURES])
    found.to_csv(folder / "ablations.csv", index=False, float_format="%.4g")
    (folder / "ablations.md").write_text("\n".join(page(found)), encoding="utf-8")
    print("\n".join(page(found)))


if __name__ == "__main__":
    main()
