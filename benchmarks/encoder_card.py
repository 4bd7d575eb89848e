"""Write the held-out results in the card of `pretrained/metalcx-encoder` from the committed tables.

    python benchmarks/encoder_card.py

The weights are those of

    metalcx pretrain-encoder --corpus lemur --corpus nas-bench-nlp-wt2 --corpus baker2018 --corpus taskset-rnn \
        --corpus smallnets --cells nasbench201 --cells nasbench-macro --cells nasbench-graph --out metalcx-encoder

with METALCX_DATA naming the folder of the corpora. `benchmarks/README.md` has the commands of the tables.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
CARD = ROOT / "pretrained" / "metalcx-encoder" / "README.md"
TABLES = ROOT / "benchmarks" / "results" / "encoder"

#: What is said of the weights themselves, before anything was measured.
START = "## Limits"

#: The encoder, the same network without pre-training, and each as an ensemble.
SHIPPED, FRESH = "metalcx-encoder", "gated-gcn/none"


def read(name: str) -> pd.DataFrame:
    """One file of all spaces."""
    return pd.concat([pd.read_csv(path) for path in sorted(TABLES.glob(f"*/{name}.csv"))], ignore_index=True)


def points(row: pd.Series, name: str) -> str:
    """A paired difference with its interval, in points of percent."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{100 * row[name]:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def lines(encoder: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """The table: what it reaches, and what its pre-training is worth."""
    shown = ["| space | table | labels | tau | P@1% | P@5% | tau over none | P@5% over none |", "|" + "---|" * 8]
    own = encoder[(encoder.row == SHIPPED) & (encoder.split == "group") & (encoder.table != "mean")]
    for row in own.itertuples():
        match = gains[(gains.space == row.space) & (gains.table == row.table) & (gains.row == SHIPPED)]
        gain = match[match.over == FRESH].iloc[0]
        cells = [row.space, row.table, f"{row.labels:.0f}", f"{100 * row.tau:.1f} ± {100 * row.tau_sd:.1f}"]
        cells += [f"{100 * value:.1f}" for value in (encoder.loc[row.Index, "p@1%"], encoder.loc[row.Index, "p@5%"])]
        shown.append("| " + " | ".join([*cells, points(gain, "tau"), points(gain, "p@5%")]) + " |")
    return shown


def main() -> None:
    """Write the card."""
    held_out = """
        A ranker of it (`metalcx.encoders.finetune`) and one of the same network without pre-training, each from the
        same labels, rank all other architectures of a space: Kendall's tau and the share of the predicted best that is
        among the best, in percent; nine runs (three seeds, three permutations; of NAS-Bench-Graph three seeds),
        isomorphic architectures on one side of a split, 40 more labels choose the epoch. Paired differences have 95 %
        intervals over runs. SpikeNAS-Bench was not seen in pre-training, but the rate of fine-tuning was chosen on it;
        of the other spaces the graphs were seen, never a label.
    """
    limits = """
        - What pre-training is worth depends on the space: see the last two columns, and `benchmarks/README.md` for
          encoders of one space each.
        - It reads operations as `metalcx.graphs.describe` tells them; of an operation that it does not know, the
          attributes.
        - Proxies are compared within a space only: across spaces nothing but the flow surrogate orders embeddings.
    """
    before = CARD.read_text(encoding="utf-8").split("## Held-out results")[0].split(START)[0].rstrip()
    parts = [
        before,
        "## Held-out results\n\n" + textwrap.dedent(held_out).strip(),
        "\n".join(lines(read("encoder"), read("gains"))),
        f"{START}\n\n" + textwrap.dedent(limits).strip(),
    ]
    CARD.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
