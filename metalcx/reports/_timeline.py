"""What happened when: runs that were started, stopped and finished; and how decisions came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from metalcx.decide import Decision, Replay
from metalcx.errors import DataError
from metalcx.reports._axes import COLOURS, axes
from metalcx.reports._fan import MEDIAN, TRUTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Names of runs beside the lines, up to so many runs.
NAMED = 40

#: Below this, probabilities are drawn alike.
FLOOR = 1e-3


def plot_timeline(replay: Replay, *, ax: Axes | None = None) -> Axes:
    """Draw a replay: a line a run, from when it was started to when it was stopped (orange, crossed) or finished.

    Args:
        replay: What `metalcx.decide.replay` gives for one order.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on. Runs stand in the order in which they were started, the first uppermost.
    """
    begun = {e.run: e for e in replay.events if e.what == "started"}
    ended = {e.run: e for e in replay.events if e.what != "started"}
    ax = axes(ax, 6.4, min(1.4 + 0.16 * len(begun), 9.0))
    for what, colour in (("finished", MEDIAN), ("stopped", TRUTH)):
        runs = [(place, run) for place, run in enumerate(begun) if ended[run].what == what]
        place = np.array([p for p, _ in runs], dtype=np.int64)
        start = np.array([begun[run].clock for _, run in runs], dtype=np.int64)
        end = np.array([ended[run].clock for _, run in runs], dtype=np.int64)
        ax.hlines(place, start, end, color=colour, linewidth=2.5, label=f"{what}: {len(runs)}")
        if what == "stopped":
            ax.plot(end, place, "x", color=colour, markersize=5, markeredgewidth=1.4)
    if len(begun) <= NAMED:
        ax.set_yticks(range(len(begun)), [str(replay.recording.curves.ids[run]) for run in begun], fontsize="x-small")
    else:
        ax.set_yticks([])
    ax.set_ylim(len(begun) - 0.5, -0.5)
    workers = "" if replay.workers == 1 else f", {replay.workers} runs side by side"
    ax.set_xlabel(f"points trained{workers}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_decisions(decisions: Sequence[Decision], *, ax: Axes | None = None) -> Axes:
    """Draw decisions about runs: the probability of beating the incumbent over time, a line a run, stops crossed.

    Args:
        decisions: In the order in which they were taken, such as `metalcx.decide.DecisionLog.read` gives them; those
            without a probability or a time are left out.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes drawn on; probabilities below .001 are drawn there.

    Raises:
        DataError: If none has a probability.
    """
    judged = [d for d in decisions if np.isfinite(d.probability) and np.isfinite(d.t)]
    if not judged:
        raise DataError("no decision has a probability to draw; give decisions about runs that were forecast")
    ax = axes(ax)
    trails: dict[object, list[Decision]] = {}
    for d in judged:
        trails.setdefault(d.run, []).append(d)
    for run, trail in trails.items():
        stopped = any(d.stop for d in trail)
        t, p = [d.t for d in trail], [max(d.probability, FLOOR) for d in trail]
        colour, dashes = (TRUTH, "--") if stopped else (MEDIAN, "-")
        ax.plot(t, p, color=colour, linestyle=dashes, linewidth=1, alpha=0.7, label=f"_{run}")
    for stop, kind, colour, name in ((False, "o", MEDIAN, "goes on"), (True, "x", TRUTH, "stop")):
        told = [d for d in judged if d.stop == stop]
        ax.plot(
            [d.t for d in told], [max(d.probability, FLOOR) for d in told], kind, color=colour, markersize=4, label=name
        )
    for threshold in sorted({d.threshold for d in judged}):
        ax.axhline(threshold, color=COLOURS[0], linestyle=":", linewidth=1, label=f"threshold {threshold:g}")
    ax.set_yscale("log")
    ax.set_ylim(FLOOR * 0.8, 1.2)
    ax.set_xlabel("t")
    ax.set_ylabel("P(beats the incumbent)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")
    return ax
