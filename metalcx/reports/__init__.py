"""Pictures of curves and forecasts. Judges nothing."""

from metalcx.reports._fan import plot_fan as plot_fan

__all__ = ["plot_fan"]
