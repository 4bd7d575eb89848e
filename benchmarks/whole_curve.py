"""How far five points of the remaining curve stand for all of them, in CRPS and in gain over med5.

    python benchmarks/whole_curve.py PATH/TO/CORPORA

The transfer benchmark scores the way to the final at five evenly spaced points. This takes the first draw of each of
its tasks at one cut, and scores both. The shipped model learned from most of these tasks: what is compared is five
points with all, and its gain is no result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import metalcx as mx
from metalcx.bench.transfer._run import Study
from metalcx.bench.transfer._score import CURVE_POINTS, SUPPORT_SIZES, _remaining_times, crps
from metalcx.forecasters import Baseline
from metalcx.protocol import Forecaster
from metalcx.transfer._tasks import PreparedTask, cut_times, draw

OUT = Path(__file__).parent / "results" / "whole_curve.csv"
CUT, SIZES = 0.2, (5, 20)


def scores(model: Forecaster, task: PreparedTask, queries: mx.Curves) -> dict[str, float]:
    """CRPS at five points and at all, in the task's unit of error; each run counts once."""
    longest = int((queries.length * (1 - CUT)).max()) + 1
    times = {
        "five": _remaining_times(queries, CUT, CURVE_POINTS),
        "all": _remaining_times(queries, CUT, longest),
    }
    found = {}
    for name, at in times.items():
        each = crps(model.forecast(queries.truncate(cut_times(queries, CUT)), at), queries.padded().at(at))
        # Shorter runs have points that are asked for more than once.
        once = np.diff(at, axis=1, prepend=-np.inf) > 0
        found[name] = float(np.mean((each * once).sum(1) / once.sum(1)) / task.scale)
    return found


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the corpora")
    study = Study(parser.parse_args().data, OUT.parent, extra=False, folds=None)
    models = {"last": Baseline("last"), "med5": Baseline("med5"), "metalcx": mx.load("metalcx-base")}
    rows = []
    for number, task in enumerate(study.tasks()):
        if not study.is_target(task):
            continue
        drawn = draw(task, max(SUPPORT_SIZES), (number, 0))
        for k in SIZES:
            for name, base in models.items():
                model = base.adapt(task.curves.take(drawn.support[:k]))
                found = scores(model, task, task.curves.take(drawn.queries))
                rows.append({"task": task.name, "K": k, "cut": CUT, "forecaster": name} | found)
    table = pd.DataFrame(rows)
    table.to_csv(OUT, index=False, float_format="%.5g")
    logs = np.log(table.set_index(["forecaster", "K", "task"])[["five", "all"]])
    print((100 * (np.exp(logs["five"] - logs["all"]).groupby(["forecaster", "K"]).mean() - 1)).round(1).to_string())
    for name in ("last", "metalcx"):
        ratio = logs.loc[name] - logs.loc["med5"]
        print(name, "gain over med5, %:", (100 * (1 - np.exp(ratio.groupby("K").mean()))).round(1).to_dict("index"))


if __name__ == "__main__":
    main()
