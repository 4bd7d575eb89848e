"""Runs that are being trained, read as their logs grow: only what was written since is read again."""

from metalcx.corpora.live._curves import live_curves as live_curves
from metalcx.corpora.live._open import FORMATS as FORMATS
from metalcx.corpora.live._open import open_live as open_live
from metalcx.corpora.live._run import LiveOptions as LiveOptions
from metalcx.corpora.live._run import LiveRun as LiveRun
from metalcx.corpora.live._run import LiveSource as LiveSource

__all__ = ["FORMATS", "LiveOptions", "LiveRun", "LiveSource", "live_curves", "open_live"]
