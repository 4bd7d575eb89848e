"""The transfer protocol: adapt to a held-out family, forecast, compare."""
