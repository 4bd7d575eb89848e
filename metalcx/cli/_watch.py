"""`metalcx watch`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from metalcx.cli._options import (
    JsonOption,
    MetricOption,
    MostSupportOption,
    SeedOption,
    StartupOption,
    ThresholdOption,
    check_policy,
)
from metalcx.cli._output import note, print_json, working
from metalcx.errors import DataError

#: Where the page is unless told otherwise.
PORT = 8642


def watch(
    logdir: Annotated[
        str,
        typer.Argument(
            metavar="LOGDIR", help="Folder or file of logs, or an Optuna storage: sqlite:///study.db, a journal file."
        ),
    ],
    metric: MetricOption,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="A name of `metalcx models list`, or a folder.")
    ] = "metalcx-base",
    horizon: Annotated[
        float | None,
        typer.Option(
            "--horizon", metavar="H", help="t at which a run is complete; needed for logs, a study says it by itself."
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="tensorboard, lightning-csv, keras-csv, csv (run, t, value), or optuna."
        ),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="NAME", help="What t is, where a log has several.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Which task of a table, or study, with several.")
    ] = None,
    threshold: ThresholdOption = 0.05,
    startup: StartupOption = 5,
    most_support: MostSupportOption = 20,
    idle: Annotated[
        float | None,
        typer.Option("--idle", metavar="S", min=1, help="Seconds without a point after which a run counts as ended."),
    ] = None,
    every: Annotated[
        float, typer.Option("--every", metavar="S", min=0.2, help="Seconds between two looks at the logs.")
    ] = 2.0,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 for any free one.")
    ] = PORT,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Serve a page that forecasts runs while they are trained, ranks them and says which to stop.

    Reads the logs of TensorBoard, Lightning and Keras, a table `run, t, value`, or an Optuna study, as they grow. Runs
    are compared at --horizon, where a run is complete; a study says itself which trials are. Nothing is stopped:
    the page advises. It is served to this machine only, until Ctrl-C. What is adapted is --model, to the finished runs.
    """
    from metalcx.corpora.live import LiveOptions, open_live
    from metalcx.corpora.live._optuna import OptunaStudy
    from metalcx.curves import Metric
    from metalcx.reports import Bulletin, LiveTask, PageServer, Watch

    check_policy(threshold=threshold, startup=startup)
    declared = Metric.parse(metric)
    source = open_live(logdir, LiveOptions(declared, time, task), format)
    if horizon is None and not isinstance(source, OptunaStudy):
        raise DataError(f"{logdir}: logs do not say how long a run is; give --horizon, the t at which it is complete")
    with _until_told() as stop:
        with working(f"loading {model}"):
            live = LiveTask(model, threshold, startup, horizon, most_support, seed)
        bulletin = Bulletin(f"{declared.name} in {logdir}", logdir, every)
        server = PageServer(host, port, bulletin)
        _tell(server, host, as_json)
        Watch(source, declared, live, bulletin, idle).serve(server, every, stop, lambda text: note(f"metalcx: {text}"))


def _tell(server: Any, host: str, as_json: bool) -> None:
    if host not in ("127.0.0.1", "localhost", "::1"):
        note(f"metalcx: whoever reaches {host} can read these runs; 127.0.0.1 shows them to this machine only")
    if as_json:
        print_json({"url": server.url})
    else:
        typer.echo(f"{server.url} shows the runs until Ctrl-C")
    # Whoever reads us through a pipe wants to know the address now.
    sys.stdout.flush()


class _ToldError(BaseException):
    """Ctrl-C or SIGTERM, wherever it comes; nothing on the way takes it for an error of its own."""


@contextlib.contextmanager
def _until_told() -> Iterator[threading.Event]:
    """Whatever is done inside ends at Ctrl-C or SIGTERM, and the event is set; further ones do not disturb the end."""
    stop = threading.Event()

    def told(number: int, frame: object) -> None:
        if not stop.is_set():
            stop.set()
            # A forecast may take seconds: it is left where it is.
            raise _ToldError

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except _ToldError:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
