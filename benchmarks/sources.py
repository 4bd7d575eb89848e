"""What sources are worth: metalcx with and without them, in points of gain over med5, and by target family.

    python benchmarks/sources.py [FOLDER]

reads `errors.csv` of a transfer benchmark in FOLDER (by default `results/transfer`); writes `sources.csv` (points, with
95 % bootstrap intervals over tasks and over families) and `sources_by_family.csv` (which targets they help) beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

RESULTS = Path(__file__).parent / "results" / "transfer"
DRAWS = 10_000
#: What learned without some of the sources is called so.
FEWER = ("metalcx-without", "metalcx-less")

Array = npt.NDArray[np.float64]


def logs(errors: pd.DataFrame, fewer: str, k: int) -> pd.DataFrame:
    """Logarithms of each task's error over med5's, with all sources and with fewer."""
    own = errors[(errors.end == "own") & (k == errors.K)]
    wide = own.pivot(index=["task", "family"], columns="forecaster", values="error")
    frame = pd.DataFrame({"all": np.log(wide["metalcx"] / wide["med5"]), "fewer": np.log(wide[fewer] / wide["med5"])})
    return frame.dropna().reset_index()


def points(frame: pd.DataFrame, count: npt.NDArray[np.int64]) -> Array:
    """Gain with all sources less gain with fewer, in points, where each task counts `count` times; (draws,)."""
    total = count.sum(1)
    with_all, with_fewer = (100 * (1 - np.exp(count @ frame[c].to_numpy() / total)) for c in ("all", "fewer"))
    return np.asarray(with_all - with_fewer)


def intervals(frame: pd.DataFrame) -> dict[str, float]:
    """Points, and their intervals with tasks and with families redrawn."""
    rng, n = np.random.default_rng(0), len(frame)
    code = np.unique(frame.family, return_inverse=True)[1]
    by_task = rng.multinomial(n, np.full(n, 1 / n), DRAWS)
    families = code.max() + 1
    by_family = rng.multinomial(families, np.full(families, 1 / families), DRAWS)[:, code]
    row = {"points": float(points(frame, np.ones((1, n), dtype=np.int64))[0])}
    for name, count in (("", by_task), ("family_", by_family)):
        row[f"{name}low"], row[f"{name}high"] = np.quantile(points(frame, count), [0.025, 0.975])
    return row


def main() -> None:
    """Write the two tables."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    errors = pd.read_csv(folder / "errors.csv")
    rows, parts = [], []
    for fewer in sorted(name for name in errors.forecaster.unique() if name.startswith(FEWER)):
        for k in sorted(errors.K.unique()):
            frame = logs(errors, fewer, k)
            gains = {c: float(100 * (1 - np.exp(frame[c].mean()))) for c in ("all", "fewer")}
            head = {"compared_with": fewer, "K": k, "tasks": len(frame)}
            rows.append(head | {f"gain_{c}": g for c, g in gains.items()} | intervals(frame))
            ratio = (frame["all"] - frame["fewer"]).groupby(frame.family)
            help_ = pd.DataFrame({"tasks": ratio.size(), "gain_over_fewer": 100 * (1 - np.exp(ratio.mean()))})
            parts.append(help_.reset_index().assign(compared_with=fewer, K=k))
    pd.DataFrame(rows).to_csv(folder / "sources.csv", index=False, float_format="%.4g")
    pd.concat(parts).to_csv(folder / "sources_by_family.csv", index=False, float_format="%.4g")
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
