"""Pictures of curves, forecasts and effects. Judges nothing."""

from metalcx.reports._fan import plot_fan as plot_fan
from metalcx.reports._forest import plot_forest as plot_forest

__all__ = ["plot_fan", "plot_forest"]
