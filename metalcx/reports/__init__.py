"""Pictures of curves, forecasts and effects. Judges nothing."""

from metalcx.reports._calibration import plot_calibration as plot_calibration
from metalcx.reports._fan import plot_fan as plot_fan
from metalcx.reports._forest import plot_forest as plot_forest
from metalcx.reports._stops import plot_stops as plot_stops

__all__ = ["plot_calibration", "plot_fan", "plot_forest", "plot_stops"]
