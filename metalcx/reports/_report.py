"""Everything that can be said of a task's runs, in one HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from metalcx import __version__
from metalcx.curves import Curves
from metalcx.decide import MOST_SUPPORT, Decision, Ranking, StopPolicy, support_of
from metalcx.decide._known import check_at
from metalcx.decide._support import usual_end
from metalcx.errors import DataError
from metalcx.protocol import Forecast, Forecaster
from metalcx.reports import _facts
from metalcx.reports._left_out import LeftOut, leave_out
from metalcx.reports._origin import Origin
from metalcx.reports._page import document, table
from metalcx.reports._saved import Saved, replay_finished
from metalcx.reports._standing import Standing, comparable, past_from, stand

#: Rows of the table for readers in which no script runs.
PLAIN_ROWS = 50


@dataclass(frozen=True)
class Report:
    """What `report` found.

    Attributes:
        title: What it is called.
        origin: What was adapted from which base.
        base: The base itself, not adapted.
        standing: Forecasts, order and decisions.
        left_out: Forecasts of finished runs by models that did not know them; None if there are too few.
        saved: Replays of the finished runs; None if there are too few.
        threshold: Below which probability a run is stopped.
        log: Decisions that were taken, oldest first.
        made: When, in words; empty if that is not to be said.
    """

    title: str
    origin: Origin
    base: Forecaster = field(repr=False)
    standing: Standing = field(repr=False)
    left_out: LeftOut | None = field(repr=False)
    saved: Saved | None = field(repr=False)
    threshold: float
    log: tuple[Decision, ...] = field(default=(), repr=False)
    made: str = ""

    @property
    def ranking(self) -> Ranking:
        """All runs, compared."""
        return self.standing.ranking

    @property
    def forecast(self) -> Forecast:
        """Of the running runs, at several times."""
        return self.standing.fan

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What is advised now about each running run."""
        return self.standing.decisions

    def to_dict(self) -> dict[str, Any]:
        """Everything that the page shows, as JSON values; what is not known is None."""
        s = self.standing
        return {
            "title": self.title,
            "metalcx": __version__,
            "made": self.made,
            "head": _facts.head_facts(s.curves, s.at, s.incumbent, self.threshold),
            "runs": _facts.run_facts(s),
            "curves": _facts.curve_facts(s.curves, s.fan, s.past),
            "log": _facts.decision_facts(self.log),
            "origin": self.origin.to_dict(),
            "calibration": None if self.left_out is None else _facts.calibration_facts(self.left_out),
            "baselines": None if self.left_out is None else _facts.baseline_facts(self.left_out),
            "saved": None if self.saved is None else _facts.saved_facts(self.saved),
        }

    def to_html(self) -> str:
        """One page that needs nothing beside itself."""
        facts = self.to_dict()
        return document(facts, self._plain(facts))

    def write(self, file: Any) -> None:
        """Write the page into a binary file."""
        file.write(self.to_html().encode("utf-8"))

    def _plain(self, facts: dict[str, Any]) -> str:
        """The ranking, for readers in which no script runs."""
        columns = ["rank", "run", "status", "mean", "low", "high", "best", "why"]
        names = ["rank", "run", "status", "forecast", "5 %", "95 %", "P(best)", "decision"]
        rows = [[row.get(c) for c in columns] for row in facts["runs"][:PLAIN_ROWS]]
        at, name = facts["head"]["at"], facts["head"]["metric"]["name"]
        title = html.escape(self.title)
        return f"<h1>{title}</h1><p>{html.escape(name)} at {at:g}, the best runs first.</p>{table(names, rows)}"


def report(
    curves: Curves,
    model: str | Path | Forecaster,
    *,
    at: float | None = None,
    title: str | None = None,
    threshold: float = 0.05,
    startup: int = 5,
    orders: int = 5,
    most_support: int = MOST_SUPPORT,
    log: Sequence[Decision] = (),
    made: str | None = None,
    seed: int = 0,
) -> Report:
    """Forecast, rank and judge the runs of a task, and say how far that can be trusted.

    Calibration and the comparison with simple methods leave out what they are about: each finished run is forecast by
    the base adapted to other runs. The replay adapts the base anew to the runs that finish in it.

    Args:
        curves: Runs of one task, finished and running.
        model: A name of `metalcx.hub.list_models`, a folder, or a forecaster that is not adapted yet. A base is adapted
            to the finished runs; a folder that holds an adapted one is used as it is.
        at: Time at which runs are compared; by default the median of the complete runs' last times, or of those that
            were cut short where none is complete.
        title: What the report is called.
        threshold: Runs are stopped below this probability of beating the best finished run.
        startup: No run is stopped before so many have finished.
        orders: Random orders in which finished runs are replayed; none for 0.
        most_support: Finished runs to adapt to, at most, spread over the order of their ends.
        log: Decisions that were taken while the runs went on, as `metalcx.decide.DecisionLog` keeps them.
        made: When the report was made, in words; by default now.
        seed: Of adaptation, the ranking's draws, orders and the parts that are left out.

    Raises:
        DataError: If there is no run with a value, or no finite time at which to compare.
        ValueError: If an argument is out of range.
    """
    if at is not None:
        check_at(at)
    known = comparable(curves)
    when = _time(known) if at is None else at
    origin, forecaster, base = Origin.open(model)
    support = support_of(known.finished(), most_support)
    if origin.base is None:
        forecaster, origin = base.adapt(support, seed=seed), origin.adapted_to(support)
    policy = StopPolicy(base, threshold=threshold, startup=startup)
    standing = stand(known, forecaster, policy, when, seed)
    if log:
        standing.past.update(past_from(log))
    return Report(
        title=title or f"{known.metric.name} of {len(known)} runs",
        origin=origin,
        base=base,
        standing=standing,
        left_out=leave_out(known, base, origin.name, most=most_support, seed=seed),
        saved=replay_finished(known, policy, orders=orders, seed=seed) if orders else None,
        threshold=threshold,
        log=tuple(log),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC") if made is None else made,
    )


def _time(curves: Curves) -> float:
    end = usual_end(curves)
    if np.isnan(end):
        raise DataError("no run is complete, so that nothing says when runs are compared; give that time (--at)")
    return end
