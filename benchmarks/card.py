"""Write the figures in the cards of `metalcx-base` and `metalcx-mini` and in README.md from the committed tables.

    python benchmarks/card.py

The weights are those of

    metalcx meta-train --corpus lemur --corpus taskset-rnn --corpus baker2018 --corpus nmtlc \
        --corpus nas-bench-nlp-wt2 --corpus algoperf --corpus lcdb11 --corpus smallnets \
        --model ensemble --encoder metalcx-encoder --holdout sklearn-digits --workers 2 --out metalcx-base

with METALCX_DATA naming the folder of the corpora. The tables judge models that were trained in the same way, each
without the families on which it was judged: five folds, three seeds. What needs no sources, and the boosted trees, are
those of the long tables (each family held out alone, three seeds). metalcx-mini is

    metalcx meta-train --corpus smallnets --model graph-ode --size mini --episodes 40 --steps 2000 \\
        --holdout sklearn-digits --out metalcx-mini
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
MODEL, MINI = (ROOT / "pretrained" / name for name in ("metalcx-base", "metalcx-mini"))
OURS, SMALL, OTHERS = (ROOT / "benchmarks" / "results" / name for name in ("base", "ode", "transfer"))

#: What ships, in the tables.
ROW = "metalcx-ensemble"

#: Between these lines of README.md stands the table.
MARKS = ("<!-- transfer table, by benchmarks/card.py -->", "<!-- end -->")

#: Sources of the weights, with licence and citation as their `corpus.json` states them.
SOURCES = {
    "lemur": ("MIT", "arXiv:2504.10552"),
    "taskset-rnn": ("Apache-2.0", "arXiv:2002.11887"),
    "baker2018": ("MIT", "arXiv:1705.10823"),
    "nmtlc": ("MIT", "Zhang and Duh, AMTA 2024"),
    "nas-bench-nlp-wt2": ("Apache-2.0", "arXiv:2006.07116"),
    "algoperf": ("Apache-2.0", "arXiv:2306.07179"),
    "lcdb11": ("CC BY 4.0", "arXiv:2505.15657"),
    "smallnets": (
        "Apache-2.0",
        "The metalcx authors: smallnets, learning curves of small networks on many datasets. Data: Pedregosa et al., "
        "Scikit-learn, JMLR 12, 2011, the sources that its loaders name, and processes of our own",
    ),
}


def percent(value: float) -> str:
    """A signed share in percent."""
    return f"{round(100 * value, 1) + 0.0:+.1f} %"  # + 0.0: no minus before a zero


def results(summary: pd.DataFrame, row: str = ROW) -> list[str]:
    """Lines of the table of held-out results."""
    own = summary[(summary.forecaster == row) & (summary.end == "own")]
    lines = ["| K | fixed-length tasks | ragged tasks | pooled | over tasks | over families | coverage of 80 % |"]
    lines.append("|---|---|---|---|---|---|---|")
    for k in sorted(own.K.unique()):
        part = own[k == own.K].set_index("group")
        pooled = part.loc["pooled"]
        cells = [str(k), *(percent(part.loc[g, "gain"]) for g in ("fixed", "ragged", "pooled"))]
        cells += [
            f"{percent(pooled[a])} to {percent(pooled[b])}" for a, b in (("low", "high"), ("family_low", "family_high"))
        ]
        lines.append("| " + " | ".join([*cells, f"{pooled['cov80']:.3f}"]) + " |")
    return lines


def card(summary: pd.DataFrame, loses: pd.DataFrame, about: dict[str, object]) -> str:
    """The text of README.md."""
    sources = [f"- {name}: {licence}. {citation}" for name, (licence, citation) in SOURCES.items()]
    intro = f"""
        # metalcx-base

        Forecasts partial learning curves on a dataset it has never seen, from a few complete ones: the mean of an
        expert gate and a latent graph ODE (`metalcx.forecasters.Ensemble`), each meta-trained ({about["algorithm"]},
        {about["steps"]} steps, seed {about["seed"]}) over {len(about["source_tasks"])} tasks of
        {len(about["source_families"])} families of datasets, mixtures of them, and made-up tasks. Architectures are
        read by `metalcx-encoder`, which is part of it. Apache-2.0.
    """  # type: ignore[arg-type]
    held_out = """
        Gain over med5 (1 less the geometric mean over tasks of the ratio of errors; med5 is the median of five simple
        methods fitted to the same support; at K = 0 it is the last value), on the 47 tasks of the transfer protocol,
        their families held out in five folds, three training seeds, 95 % intervals by bootstrap.
    """
    after = f"""
        {len(loses)} of {47 * 5 * 3} combinations of task, K and cut have an error above 1.5 times that of the best
        simple method (which is known only afterwards). All tables, and where it loses, are in
        `benchmarks/results/base`; `benchmarks/README.md` has the command. Shares and experts were compared on folds
        over these same families, a handful of times, so that the figures are a little too good by an amount not known.
        That the ODE reads no configurations, and that both are averaged, was chosen on smallnets by models that had not
        learned from it.
    """
    limits = """
        - The digits family was held out of training, for the demo.
        - The order of runs is little better than that of their last values.
        - Without support the intervals are too narrow, boosted trees on the same inputs are as good or better, and on
          ragged tasks the last value is better.
        - What hyperparameters do is learned from the support alone. Architectures are read where they come along,
          further metrics by the ODE; on these tasks neither made forecasts better by what could be told.
        - A forecast beyond the longest support run is that at its end.
        - Times must mean the same in support and queries; where runs are ragged, they are compared by progress.
    """
    parts = [
        textwrap.dedent(intro).strip(),
        "## Sources\n\n" + "\n".join(sources),
        "## Held-out results\n\n" + textwrap.dedent(held_out).strip() + "\n\n" + "\n".join(results(summary)),
        textwrap.dedent(after).strip(),
        "## Limits\n\n" + textwrap.dedent(limits).strip(),
    ]
    return "\n\n".join(parts) + "\n"


def mini_card(summary: pd.DataFrame, about: dict[str, object]) -> str:
    """The card of the small one."""
    licence, citation = SOURCES["smallnets"]
    return (
        textwrap.dedent(
            f"""
            # metalcx-mini

            A small latent graph ODE (`metalcx.forecasters.LatentGraphODE`) for tests and notebooks: it loads and adapts
            in no time, reads no architectures, and learned from smallnets alone ({about["steps"]} steps, seed
            {about["seed"]}, {len(about["source_tasks"])} tasks of {len(about["source_families"])} families of
            datasets). For work of your own take `metalcx-base`. Apache-2.0.

            ## Sources

            - smallnets: {licence}. {citation}

            ## Held-out results

            Gain over med5 on the 47 tasks of the transfer protocol, of which it has seen no family; one training seed,
            95 % intervals by bootstrap. All tables: `benchmarks/results/ode`.
            """  # type: ignore[arg-type]
        ).strip()
        + "\n\n"
        + "\n".join(results(summary, MINI.name))
        + "\n\n## Limits\n\nThe digits family was held out of training. It has the limits of `metalcx-base`, too.\n"
    )


def front_page(summary: pd.DataFrame, beside: pd.DataFrame) -> str:
    """The table of README.md: gains over med5, of us and of the others, on all tasks."""
    ours, pooled = (
        frame[(frame.end == "own") & (frame.group == "pooled")].set_index(["K", "forecaster"])
        for frame in (summary, beside)
    )
    others = [n for n in ("trees", "lkgp", "gp", "affine", "last") if (5, n) in pooled.index]
    lines = ["| K | metalcx | over families | CRPS | coverage of 80 % | " + " | ".join(others) + " |"]
    lines.append("|---" * (5 + len(others)) + "|")
    for k in (2, 5, 10, 20):
        own = ours.loc[(k, ROW)]
        cells = [
            str(k),
            f"**{percent(own['gain'])}**",
            f"{percent(own['family_low'])} to {percent(own['family_high'])}",
        ]
        cells += [percent(own["crps_curve_gain"]), f"{own['cov80']:.3f}"]
        lines.append("| " + " | ".join([*cells, *(percent(pooled.loc[(k, n), "gain"]) for n in others)]) + " |")
    return "\n".join(lines)


def between_marks(text: str, new: str) -> str:
    """`text` with what stands between the two marks replaced."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + "\n" + new + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


def write_metrics(model: Path, metrics: dict[str, object], summary: pd.DataFrame, row: str) -> None:
    """Held-out results beside what a model learned from."""
    own = summary[(summary.forecaster == row) & (summary.end == "own")]
    columns = ["K", "group", "gain", "low", "high", "family_low", "family_high", "cov50", "cov80", "cov95"]
    metrics["held_out"] = json.loads(own[columns].to_json(orient="records"))
    (model / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Write the files."""
    readme = ROOT / "README.md"
    summary, loses = (pd.read_csv(OURS / f"{name}.csv") for name in ("summary", "loses"))
    beside = pd.read_csv(OTHERS / "summary.csv")
    metrics = json.loads((MODEL / "metrics.json").read_text(encoding="utf-8"))
    write_metrics(MODEL, metrics, summary, ROW)
    small = json.loads((MINI / "metrics.json").read_text(encoding="utf-8"))
    of_small = pd.read_csv(SMALL / "summary.csv")
    write_metrics(MINI, small, of_small, MINI.name)
    (MINI / "README.md").write_text(mini_card(of_small, small), encoding="utf-8")
    text = between_marks(readme.read_text(encoding="utf-8"), front_page(summary, beside))
    readme.write_text(text, encoding="utf-8")
    (MODEL / "README.md").write_text(card(summary, loses, metrics), encoding="utf-8")


if __name__ == "__main__":
    main()
