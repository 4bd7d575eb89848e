"""Pictures of curves, forecasts and effects; the HTML report and the live page."""

from metalcx.reports._calibration import plot_calibration as plot_calibration
from metalcx.reports._fan import plot_fan as plot_fan
from metalcx.reports._forest import plot_forest as plot_forest
from metalcx.reports._report import Report as Report
from metalcx.reports._report import report as report
from metalcx.reports._stops import plot_stops as plot_stops

__all__ = ["Report", "plot_calibration", "plot_fan", "plot_forest", "plot_stops", "report"]
