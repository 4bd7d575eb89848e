"""The command `metalcx`."""

from metalcx.cli._app import app as app
from metalcx.cli._app import main as main

__all__ = ["app", "main"]
