"""Draws docs/assets/forecast.png: `python .ci/picture.py`.

What `metalcx demo` forecasts, its first three runs (their order is random), as one strip.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from metalcx.cli._study import run_study
from metalcx.corpora import open_corpus
from metalcx.reports import plot_fan

OUT = Path(__file__).resolve().parent.parent / "docs" / "assets" / "forecast.png"


def main() -> None:
    """Forecast, draw, and keep 64 colours."""
    study = run_study(open_corpus("smallnets").task("digits-image"), "metalcx-base", k=5, cut=0.2, seed=0)
    figure = Figure(figsize=(10, 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for ax, run in zip(axes, study.truth.ids[:3], strict=True):
        plot_fan(study.forecast, run, observed=study.seen, truth=study.truth, ax=ax)
        ax.set_ylabel(ax.get_ylabel() if ax is axes[0] else "")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(64).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
