"""Whether forecasts order runs better than their last values do, by Kendall's tau with the finals."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from metalcx.bench._bootstrap import mean
from metalcx.bench._markdown import table

#: What order is compared with.
LAST = "last"

#: Cuts that are told together: order is what stopping and search live on, and they ask early.
EARLY = (0.1, 0.2)

COLUMNS = ["K", "cut", "forecaster", "tasks", "tau_over_last", "low", "high", "family_low", "family_high"]


def ordered(parts: pd.DataFrame, described: Collection[str] | None = None) -> pd.DataFrame:
    """Mean paired difference of tau to that of the last values, with 95 % intervals over tasks and over families.

    Args:
        parts: Rows of the benchmark, of the last values among others.
        described: Tasks whose runs come with configurations or architectures; all by default.

    Returns:
        A row a K, cut and forecaster.
    """
    own = parts[(parts.end == "own") & (True if described is None else parts.task.isin(set(described)))]
    keys = ["K", "task", "family", "forecaster", "cut", "seed"]
    tau = own.groupby(keys).tau.mean().groupby(keys[:-1]).mean().unstack("forecaster")
    if LAST not in tau:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for name in tau.columns.drop(LAST):
        beyond = (tau[name] - tau[LAST]).dropna().unstack("cut")
        for k, by_task in beyond.groupby("K"):
            cuts = {f"{cut:g}": by_task[cut] for cut in by_task}
            if set(EARLY) <= set(by_task):
                cuts |= {" and ".join(map(str, EARLY)): by_task[list(EARLY)].mean(axis=1)}
            rows += [{"K": k, "cut": cut, "forecaster": name} | _mean(values.dropna()) for cut, values in cuts.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _mean(values: pd.Series) -> dict[str, float]:
    found = mean(values.to_numpy(), values.index.get_level_values("family").tolist())
    low, high = ({"low": e[0], "high": e[1]} for e in (found.tasks, found.families))
    return {"tasks": len(values), "tau_over_last": found.value} | low | {f"family_{k}": v for k, v in high.items()}


def order_page(order: pd.DataFrame) -> Sequence[str]:
    """Lines of a page: the early cuts together."""
    early = order[order.cut.str.contains("and")]
    rows = [
        [r.K, r.forecaster, r.tasks, f"{r.tau_over_last:+.3f}"]
        + [f"[{a:+.3f}, {b:+.3f}]" for a, b in ((r.low, r.high), (r.family_low, r.family_high))]
        for r in early.sort_values(["K", "tau_over_last"], ascending=[True, False]).itertuples()
    ]
    about = (
        "Kendall's tau with the finals, less that of the last values, on tasks whose runs come with configurations or"
    )
    cuts = f"architectures; cuts {' and '.join(map(str, EARLY))} together."
    head = ["## Order of runs", "", f"{about} {cuts}", ""]
    return [*head, *table(("K", "forecaster", "tasks", "tau - last's", "over tasks", "over families"), rows), ""]
