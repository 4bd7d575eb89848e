"""Write the tables in the card of a corpus that `metalcx corpus build` made.

    python benchmarks/corpus_card.py datasets/smallnets

They are counted from the corpus, and stand in its README.md between two marks.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from metalcx.corpora import Corpus, disk_size

MARKS = ("<!-- tables, by benchmarks/corpus_card.py -->", "<!-- end -->")

#: A run of more skill than this has learned something.
LEARNED = 0.05
#: A run overfits if its validation loss ends this much above its least.
WORSE = 1.1
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: A task that fewer learn is named.
FEW = 0.3
NOTE = (
    f"Of scores (accuracy or R2) and losses the quantiles {', '.join(map(str, QUANTILES))}, of all else the quartiles; "
    "of parameters the quantiles 0.05, 0.5 and 0.95, of budgets the least, the quartiles and the largest."
)


def table(columns: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [list(columns), ["---"] * len(columns), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def share(part: pd.Series) -> str:
    """Per cent."""
    return f"{100 * part.mean():.1f} %" if len(part) else "-"


def spread(values: pd.Series, quantiles: Sequence[float] = QUANTILES) -> str:
    """Quantiles, one after another."""
    found = np.nanquantile(values, quantiles) if values.notna().any() else []
    return " / ".join(f"{value:.2f}" for value in found) or "-"


def filled(text: str) -> str:
    """Prose in lines."""
    return textwrap.fill(text, 120, break_on_hyphens=False)


# --- one row a run --------------------------------------------------------------------------------------------------


def described(corpus: Corpus) -> pd.DataFrame:
    """Runs with their task, the settings most looked at, and what became of their curves.

    `score` is accuracy or R2 at the last point that was measured; `skill` how far it is from that of a constant
    forecast, 0, to 1; `to_come` the share of the whole gain in score that comes after a quarter of the run.
    """
    runs = corpus.runs.merge(corpus.tasks, on="task", suffixes=("", "_task"))
    config = runs["config"].map(json.loads)
    for name in ("network", "optimiser"):
        runs[name] = config.map(lambda c, name=name: c[name])
    params = corpus.architectures.set_index("arch")["features"].map(lambda text: json.loads(text)["n_params"])
    runs["n_params"] = runs["arch"].map(params)
    classes = runs["domain"].str.endswith("classification")
    chance = runs["landmark_mean"].where(classes, 0.0)
    points = corpus.points(runs["run"].to_numpy(), ["val_accuracy", "val_r2", "val_loss", "seconds"])
    score = np.where(np.isnan(points.values["val_accuracy"]), points.values["val_r2"], points.values["val_accuracy"])
    start, stop = points.offsets[:-1], points.offsets[1:] - 1
    runs["hours"] = points.values["seconds"][stop] / 3600
    last = stop - (runs["status"] == "diverged").to_numpy()
    runs["score"], runs["first"], runs["loss"] = score[last], score[start], points.values["val_loss"][last]
    runs["least"] = np.fmin.reduceat(points.values["val_loss"], start)
    runs["early"] = score[start + (last - start) // 4]
    runs["skill"] = (runs["score"] - chance) / (1 - chance)
    runs["learned"] = runs["skill"] > LEARNED
    runs["overfit"] = runs["loss"] > WORSE * runs["least"]
    gain = runs["score"] - runs["first"]
    runs["to_come"] = ((runs["score"] - runs["early"]) / gain).where(runs["learned"] & (gain > 0))
    return runs


# --- tables ---------------------------------------------------------------------------------------------------------


def totals(corpus: Corpus, runs: pd.DataFrame) -> str:
    """What there is of everything, in a sentence."""
    tasks, status = corpus.tasks, runs["status"].value_counts()
    words = ", ".join(f"{n:,} {word}" for word, n in status.items())
    return filled(
        f"{corpus.n_runs:,} trainings ({words}) of {len(corpus.architectures):,} architectures on {len(tasks)} tasks, "
        f"{tasks['dataset'].nunique()} datasets and {tasks['family'].nunique()} families; {corpus.n_points:,} points, "
        f"{disk_size(corpus.path) / 2**20:.1f} MiB. Seed {corpus.manifest.extra['seed']}; "
        f"{runs['hours'].sum():.2f} hours of one processor core went into training and measuring."
    )


def by_domain(runs: pd.DataFrame) -> str:
    """Counts of each domain."""
    columns = ("domain", "tasks", "datasets", "families", "runs", "points", "completed", "diverged", "censored")
    found = (
        (
            *(domain, part["task"].nunique(), part["dataset"].nunique(), part["family"].nunique(), len(part)),
            part["n_points"].sum(),
            *((part["status"] == word).sum() for word in columns[-3:]),
        )
        for domain, part in runs.groupby("domain")
    )
    return table(columns, found)


def finals(runs: pd.DataFrame) -> str:
    """How completed runs end, by domain."""
    columns = ("domain", "score", "loss", "learned", "overfit", "gain still to come after a quarter")
    done = runs[runs["status"] == "completed"]
    found = (
        (
            *(domain, spread(part["score"]), spread(part["loss"]), share(part["learned"]), share(part["overfit"])),
            spread(part["to_come"], (0.25, 0.5, 0.75)),
        )
        for domain, part in done.groupby("domain")
    )
    return table(columns, found)


def extremes(runs: pd.DataFrame) -> str:
    """What is odd among the runs that did not diverge."""
    kept = runs[runs["status"] != "diverged"]
    numbers = kept[kept["domain"].str.endswith("regression")]
    learned = kept.groupby("task")["learned"].mean()
    few = ", ".join(f"`{task}` ({100 * part:.0f} %)" for task, part in learned[learned < FEW].items())
    return filled(
        f"Of the runs that did not diverge, {share(kept['loss'] > 100)} end at a loss above 100, of those of "
        f"regressions {share(numbers['score'] < -1)} with an R2 below -1. Tasks in which fewer "
        f"than {100 * FEW:.0f} % learn: {few or 'none'}."
    )


def by(runs: pd.DataFrame, what: str) -> str:
    """How runs end, by a setting."""
    columns = (what, "runs", "architectures", "parameters", "diverged", "learned", "overfit", "skill")
    found = (
        (
            *(
                word,
                len(part),
                part["arch"].nunique(),
                " / ".join(f"{q:,.0f}" for q in part["n_params"].quantile([0.05, 0.5, 0.95])),
            ),
            share(part["status"] == "diverged"),
            *(share(part.loc[part["status"] != "diverged", name]) for name in ("learned", "overfit")),
            spread(part.loc[part["status"] != "diverged", "skill"], (0.25, 0.5, 0.75)),
        )
        for word, part in runs.groupby(what)
    )
    return table(columns, found)


def by_stopping(corpus: Corpus, runs: pd.DataFrame) -> str:
    """Tasks and runs of each rule, and primary metrics."""
    metrics = sorted(corpus.tasks["metric"].unique())
    columns = ("stopping", "tasks", *(f"by {name}" for name in metrics), "runs", "censored", "budget, epochs")
    found = (
        (
            *(
                rule,
                len(part),
                *((part["metric"] == name).sum() for name in metrics),
                runs["task"].isin(part["task"]).sum(),
            ),
            share(runs.loc[runs["task"].isin(part["task"]), "status"] == "censored"),
            " / ".join(f"{q:.0f}" for q in part["epochs"].quantile([0, 0.25, 0.5, 0.75, 1])),
        )
        for rule, part in corpus.tasks.groupby("stopping")
    )
    return table(columns, found)


def by_family(runs: pd.DataFrame) -> str:
    """What each family holds."""
    columns = ("family", "domains", "datasets", "tasks", "runs", "training examples", "skill of completed runs")
    found = (
        (
            f"`{family}`",
            ", ".join(sorted(part["domain"].unique())),
            *(part["dataset"].nunique(), part["task"].nunique(), len(part)),
            " to ".join(str(n) for n in sorted({part["n_train"].min(), part["n_train"].max()})),
            spread(part.loc[part["status"] == "completed", "skill"], (0.25, 0.5, 0.75)),
        )
        for family, part in runs.groupby("family", sort=False)
    )
    return table(columns, found)


def tables(corpus: Corpus) -> str:
    """All that stands between the marks."""
    runs = described(corpus)
    parts = {
        "Domains": by_domain(runs),
        "Ends of completed runs": f"{filled(NOTE)}\n\n{finals(runs)}\n\n{extremes(runs)}",
        "Networks": by(runs, "network"),
        "Optimisers": by(runs, "optimiser"),
        "Stopping rules and primary metrics": by_stopping(corpus, runs),
        "Families": by_family(runs),
    }
    return "\n\n".join([totals(corpus, runs), *(f"### {title}\n\n{text}" for title, text in parts.items())])


def between_marks(text: str, new: str) -> str:
    """`text` with what stands between the two marks replaced."""
    before, rest = text.split(MARKS[0])
    return f"{before}{MARKS[0]}\n{new}\n{MARKS[1]}{rest.split(MARKS[1], 1)[1]}"


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="Folder of the corpus; its README.md has the two marks.")
    folder = parser.parse_args().corpus
    card = folder / "README.md"
    text = between_marks(card.read_text(encoding="utf-8"), tables(Corpus.open(folder)))
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
