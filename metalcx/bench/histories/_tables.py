"""The tables of `metalcx bench histories` as a page to read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metalcx.bench._markdown import table
from metalcx.bench.histories._scores import OURS, PLAIN, RAW

#: What ours has to be ahead of; its own variants and its own proxies are shown beside.
OWN = (*OURS, *RAW)


def histories_page(scores: pd.DataFrame, versus: pd.DataFrame, cost: pd.DataFrame, head: str) -> str:
    """Summary by cut, differences task by task, cost."""
    lines = ["# Peak accuracy from the history of features", "", head, *_legend(), ""]
    for cut, part in scores.groupby("cut"):
        lines += [
            f"## After {100 * float(str(cut)):g} % of the epochs",
            "",
            *_methods(part, versus[versus.cut == cut]),
            "",
        ]
        lines += [ahead_line(part), ""]
    lines += ["## Cost", "", *_cost(cost), ""]
    return "\n".join(lines) + "\n"


def _legend() -> list[str]:
    return [
        "Tau is Kendall's with the peak validation accuracy, by task; error, regret and coverage are means over",
        "tasks, in accuracy. `history` is the calibrated forecaster with its support; `history, K=0` the same without;",
        "`history and curve` is blended with med5. `probe` to `consensus` are proxies as they are. `vote` is the",
        "majority of the network's own checkpoints, `ema` the average of weights, `one more epoch` the accuracy one",
        "epoch later (about what recording and proxies cost here, see below), `best of one more` the best until then.",
        "A name with `accuracy` forecasts the accuracy instead of its peak so far. Differences are ours less theirs,",
        "with 95 % intervals by redrawing queries.",
    ]


def _methods(part: pd.DataFrame, versus: pd.DataFrame) -> list[str]:
    """A line a method, the best mean tau first; means are over the tasks on which it was judged."""
    taus = part.pivot(index="method", columns="task", values="tau")
    means = part.groupby("method")[["error", "regret@1", "regret@3", "cov80"]].mean()
    rows = []
    for name in taus.mean(axis=1).sort_values(ascending=False).index:
        own = versus[versus.over == name]
        clear = f"{int((own.low > 0).sum())} / {int((own.high < 0).sum())} of {len(own)}" if len(own) else ""
        ahead = f"{own.tau.mean():+.3f}" if len(own) else ""
        cells = ["" if np.isnan(v) else f"{v:.2f}" for v in taus.loc[name]]
        numbers = ["" if np.isnan(v) else f"{v:.3f}" for v in means.loc[name]]
        rows.append([name, f"{taus.loc[name].mean():.3f}", *cells, ahead, clear, *numbers])
    header = ("method", "tau", *taus.columns, "ours less its", "clearly ahead / behind")
    return table((*header, "error", "regret", "regret of 3", "coverage of 80 %"), rows)


def ahead_line(part: pd.DataFrame) -> str:
    """On how many tasks ours has the highest tau of all that is not its own."""
    taus = part.pivot(index="method", columns="task", values="tau")
    rest = taus.drop(index=[name for name in OWN if name in taus.index])
    lead = taus.loc[OURS[0]] - rest.max()
    behind = [f"{task} by {-gap:.3f} ({rest[task].idxmax()})" for task, gap in lead.items() if gap <= 0]
    told = f"; behind on {', '.join(behind)}" if behind else ""
    plain = [name for name in PLAIN[:4] if name in taus.index]
    more = np.count_nonzero(taus.loc[OURS[0]] > taus.loc[plain].max())
    return (
        f"`{OURS[0]}` is ahead of every other method on {np.count_nonzero(lead > 0)} of {len(lead)} tasks{told}. "
        f"Of last, best, ema and vote it is ahead on {more}."
    )


def _cost(cost: pd.DataFrame) -> list[str]:
    rows = (
        [r.task, f"{r.cut:g}", r.runs, f"{r.seconds:.2f}", f"{r.recording_epochs:.2f}", f"{r.proxies_epochs:.2f}",
         f"{r.recording_share:.2%}", f"{r.proxies_share:.2%}"]
        for _, r in cost.iterrows()
    )  # fmt: skip
    header = ("task", "cut", "runs", "seconds of a training", "recording, epochs", "proxies, epochs")
    return table((*header, "recording, of a training", "proxies, of a training"), rows)
