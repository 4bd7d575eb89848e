"""Pictures of curves, forecasts and effects; the HTML report and the live page."""

from metalcx.reports._calibration import plot_calibration as plot_calibration
from metalcx.reports._fan import plot_fan as plot_fan
from metalcx.reports._forest import plot_forest as plot_forest
from metalcx.reports._left_out import LeftOut as LeftOut
from metalcx.reports._left_out import floor_of as floor_of
from metalcx.reports._left_out import leave_out as leave_out
from metalcx.reports._live import Bulletin as Bulletin
from metalcx.reports._live import LiveTask as LiveTask
from metalcx.reports._ranking import plot_ranking as plot_ranking
from metalcx.reports._report import Report as Report
from metalcx.reports._report import report as report
from metalcx.reports._saved import Saved as Saved
from metalcx.reports._saved import replay_finished as replay_finished
from metalcx.reports._server import PageServer as PageServer
from metalcx.reports._stops import plot_stops as plot_stops
from metalcx.reports._timeline import plot_decisions as plot_decisions
from metalcx.reports._timeline import plot_timeline as plot_timeline
from metalcx.reports._watch import Watch as Watch

__all__ = [
    "Bulletin",
    "LeftOut",
    "LiveTask",
    "PageServer",
    "Report",
    "Saved",
    "Watch",
    "floor_of",
    "leave_out",
    "plot_calibration",
    "plot_decisions",
    "plot_fan",
    "plot_forest",
    "plot_ranking",
    "plot_stops",
    "plot_timeline",
    "replay_finished",
    "report",
]
