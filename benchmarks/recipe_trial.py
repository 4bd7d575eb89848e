"""Whether tasks that look like architecture searches make smallnets a better source: a trial of its recipe.

    python benchmarks/recipe_trial.py PATH/TO/CORPORA --out .work/recipe-trial --workers 2

Builds smallnets with `searches = 0` (an hour of one core; the tasks that are no searches come out as in the shipped
corpus), and trains on three sets of sources, everything else equal, on folds 0 and 1 of five over families: the
targets' corpora and lcdb11 with the shipped smallnets, with the other one, and the targets' corpora alone. Writes
`results/recipe_trial.csv` and prints gains with standard errors; what is in the file is not trained again. Prints as
well how much of the last value's error one shift for all runs removes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from training_budget import HeldOut

from metalcx.bench._study import OURS, Study
from metalcx.corpora.build import build_corpus, read_recipe
from metalcx.transfer._tasks import PreparedTask, n_seen

OUT = Path(__file__).parent / "results" / "recipe_trial.csv"
WITHOUT = "smallnets-without-searches"
SETTING = "6000x2x96x2"
FOLDS = (0, 1)
CUT = 0.1


def build(data: Path, out: Path, workers: int) -> Path:
    """A folder of corpora in which smallnets has no searches in it."""
    folder = out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for corpus in data.iterdir():
        if corpus.name != OURS and not (folder / corpus.name).exists():
            (folder / corpus.name).symlink_to(corpus.resolve())
    if not (folder / OURS).exists():
        recipe = replace(read_recipe(OURS), searches=0.0)
        engine = {"engine": "ray", "workers": workers} if workers > 1 else {}
        build_corpus(recipe, folder / OURS, work=out / f"{OURS}.work", **engine)
    return folder


def removed_by_shift(tasks: Iterable[PreparedTask]) -> float:
    """Median over tasks of the share of the last value's error that the median gain of all runs removes."""
    shares = []
    for task in tasks:
        gain = task.final - task.curves.y[task.curves.offsets[:-1] + n_seen(task.curves, CUT) - 1]
        shares.append(1 - np.abs(gain - np.median(gain)).mean() / np.abs(gain).mean())
    return float(np.median(shares))


def gains(table: pd.DataFrame, over: str, of: str) -> pd.DataFrame:
    """Gain in error with some sources over others, in percent, and its standard error over tasks."""
    wide = np.log(table.pivot(index=["target", "K", "fold", "task"], columns="sources", values="error"))
    each = (wide[of] - wide[over]).dropna().groupby(["target", "K"])
    return pd.DataFrame({"gain": 100 * (1 - np.exp(each.mean())), "se": 100 * each.sem(), "n": each.size()}).round(1)


def main() -> None:
    """Build, train what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=Path(".work/recipe-trial"))
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    other = build(given.data, given.out, given.workers)
    folders = {OURS: given.data, WITHOUT: other, "neither": given.data}
    table = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(columns=["sources", "fold"])
    for fold in FOLDS:
        for sources, folder in folders.items():
            if ((table.sources == sources) & (table.fold == fold)).any():
                continue
            study = Study(folder, given.out, extra=False, folds=None)
            setting = f"{SETTING}:fewer" if sources == "neither" else SETTING
            found = HeldOut(study, fold, given.workers).measure(setting).drop(columns=["setting", "seconds"])
            table = pd.concat([table, found[~found.task.str.startswith(OURS)].assign(sources=sources)])
            table.to_csv(OUT, index=False, float_format="%.5g")
    for of, over in ((OURS, WITHOUT), (WITHOUT, "neither"), (OURS, "neither")):
        print(f"{of} over {over}:\n{gains(table, over, of).to_string()}")
    study = Study(other, given.out, extra=False, folds=None)
    tasks = study.tasks()
    shipped = Study(given.data, given.out, extra=False, folds=None).tasks()
    for name, some in (
        ("targets", [t for t in tasks if study.is_target(t)]),
        (OURS, [t for t in shipped if t.corpus == OURS]),
        (WITHOUT, [t for t in tasks if t.corpus == OURS]),
    ):
        print(f"one shift removes of the last value's error, {name}: {removed_by_shift(some):.0%}")


if __name__ == "__main__":
    main()
