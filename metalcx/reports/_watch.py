"""Follow logs, and serve what is known of them, until told to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from metalcx.reports._live import Bulletin, LiveTask
from metalcx.reports._server import PageServer

if TYPE_CHECKING:
    from metalcx.corpora.live import LiveSource
    from metalcx.curves import Metric


class Watch:
    """Reads logs again and again, and tells a `Bulletin`.

    Args:
        source: The logs.
        metric: What they measure.
        task: Forecasts and judges.
        bulletin: Is told.
        idle: Seconds without a point after which a run counts as ended; never by default.
    """

    def __init__(
        self, source: LiveSource, metric: Metric, task: LiveTask, bulletin: Bulletin, idle: float | None = None
    ) -> None:
        self.source, self.metric, self.task, self.bulletin, self.idle = source, metric, task, bulletin, idle
        self._told: tuple[list[str], tuple[str, ...]] | None = None
        self._complained = ""

    def update(self) -> bool:
        """Read what is new and tell it; whether there was something.

        Raises:
            DataError: On what only a person can mend, such as a study that goes the other way than the metric.
        """
        from metalcx.corpora.live import live_curves

        changed = self.source.poll()
        runs = dict(self.source.runs)
        curves, left_out = live_curves(
            runs, self.metric, horizon=self.task.horizon, idle=self.idle, time_unit=self.source.time_unit
        )
        notes = self.source.notes + left_out
        # Runs end by growing idle, too.
        now = notes, tuple(curves.status)
        if not changed and now == self._told:
            return False
        self._told, self._complained = now, ""
        standing = self.task.stand(curves)
        if standing is None and len(curves):
            notes = [*notes, "no run is complete yet, so that nothing says when runs are compared; give --horizon"]
        self.bulletin.publish(standing, self.task, time.strftime("%H:%M:%S"), notes)
        return True

    def _complain(self, error: Exception, problem: Callable[[str], None]) -> None:
        if not self.bulletin.version:
            raise error
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}; trying again"
        if said != self._complained:
            problem(said)
            self.bulletin.tell([said])
        # Whatever was read by then is told the next time.
        self._told, self._complained = None, said

    def serve(self, server: PageServer, every: float, stop: threading.Event, problem: Callable[[str], None]) -> None:
        """Serve the page, and update it every so many seconds, until `stop` is set.

        Args:
            server: Serves the page; closed at the end.
            every: Seconds between two looks at the logs.
            stop: Ends it.
            problem: Is told what went wrong while reading.

        An error ends it as long as nothing was shown; later ones are told, and the logs are looked at again.
        """
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        thread.start()
        try:
            while not stop.is_set():
                begun = time.monotonic()
                try:
                    self.update()
                except Exception as error:  # logs are other people's, and may hold what nobody foresaw
                    self._complain(error, problem)
                # Looking takes at most half of the time, however many runs there are.
                took = time.monotonic() - begun
                stop.wait(max(every, took))
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
