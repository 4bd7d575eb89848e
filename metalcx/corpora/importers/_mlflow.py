"""MLflow stores, by MLflow's own client: folders and SQLite databases. The store itself is never written to."""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora._environment import environment
from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._logs import LoggedRun, Series, chosen_time, declared, from_runs
from metalcx.corpora.importers._settings import from_text
from metalcx.errors import DataError, MissingDependencyError

_TIMES = ("step", "seconds")
_RUNNING = ("RUNNING", "SCHEDULED")
#: MLflow refuses folders unless asked, and reports its use to its makers unless told not to.
_ENVIRONMENT = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_SQLITE = b"SQLite format 3\0"


def read_mlflow(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """An MLflow store: a folder (`mlruns`), a database file, or either as a ``file:`` or ``sqlite:`` URI.

    Whole metric histories are read. Parameters are the configuration. Experiments that logged the metric are a task
    each unless `options.task` names one for all. Deleted runs are not there for the client, hence not here. Times are
    ``step`` (the default) or ``seconds`` since the run's start.

    Raises:
        DataError: If it is no store, or the metric was not logged.
        MissingDependencyError: Without mlflow (`mlflow-skinny` is enough; databases need SQLAlchemy and Alembic too).
    """
    metrics = [m.name for m in declared(options, "mlflow")]
    time = chosen_time(options, _TIMES, src)
    with environment(**_ENVIRONMENT), _reading(_place(src)) as uri:
        runs = list(_runs(_client(uri, src), metrics, time, src, options.task is None))
    return from_runs(src, runs, options, tally, "mlflow", "second" if time == "seconds" else "step")


def _place(src: Path) -> Path:
    """The folder or file of a path or URI; a `Path` made of a URI has lost its doubled slashes."""
    scheme, _, rest = str(src).partition(":")
    if not rest or len(scheme) < 2 or src.exists():
        place = src
    elif scheme in ("sqlite", "file"):
        place = Path(rest.lstrip("/"))
        place = place if scheme == "sqlite" and place.exists() else Path("/" + rest.lstrip("/"))
    else:
        raise DataError(f"{src}: tracking servers are not read; give the store's folder or SQLite file")
    if not place.exists():
        raise DataError(f"{src}: there is no such store; give the folder mlruns or the SQLite file")
    inside = [place / name for name in ("mlflow.db", "mlruns") if (place / name).exists()]
    return inside[0] if inside else place


@contextlib.contextmanager
def _reading(place: Path) -> Iterator[str]:
    """The URI of a stand-in for the store: MLflow makes folders and rows in what it opens, and needs the right to."""
    with tempfile.TemporaryDirectory() as held:
        if place.is_dir():
            experiments = [p for p in place.iterdir() if (p / "meta.yaml").is_file()]
            if not experiments:
                raise DataError(f"{place}: holds no experiment (a folder with meta.yaml); give mlruns or a SQLite file")
            for path in experiments:
                (Path(held) / path.name).symlink_to(path.resolve(), target_is_directory=True)
            yield Path(held).as_uri()
        else:
            yield f"sqlite:///{_copy(place, Path(held) / 'store.db').as_posix()}"


def _copy(place: Path, copy: Path) -> Path:
    with place.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            raise DataError(f"{place}: is no SQLite database; give the folder mlruns or the SQLite file")
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            tables = {name for (name,) in source.execute("select name from sqlite_master where type = 'table'")}
            if not {"experiments", "runs", "metrics"} <= tables:
                raise DataError(f"{place}: is a database, but not of MLflow: it lacks experiments, runs or metrics")
            source.backup(target)
    except sqlite3.Error as error:
        raise DataError(f"{place}: is no whole SQLite database ({error}); give one that MLflow can open") from None
    return copy


def _client(uri: str, src: Path) -> Any:
    # MLflow does without SQLAlchemy until it meets a database, and then speaks of something else.
    needed = ["mlflow", *["alembic", "sqlalchemy"] * uri.startswith("sqlite")]
    if any(importlib.util.find_spec(name) is None for name in needed):
        raise MissingDependencyError('reading MLflow stores needs mlflow; run pip install "metalcx[mlflow]"')
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except MlflowException as error:
        raise DataError(f"{src}: MLflow cannot open it ({_line(error)}); mend it with MLflow's own tools") from None
    return client


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _runs(client: Any, metrics: list[str], time: str, src: Path, tasks: bool) -> Iterator[LoggedRun]:
    from mlflow.exceptions import MlflowException

    taken: set[str] = set()
    try:
        for experiment in _pages(client.search_experiments):
            for run in _pages(client.search_runs, [experiment.experiment_id]):
                names = [name for name in metrics if name in run.data.metrics]
                series = {n: _series(client.get_metric_history(run.info.run_id, n), run.info, time) for n in names}
                config = {name: from_text(value) for name, value in run.data.params.items()}
                name = run.info.run_name or run.info.run_id
                name = f"{name} ({run.info.run_id[:8]})" if name in taken else name
                taken.add(name)
                running, task = run.info.status in _RUNNING, experiment.name if tasks else None
                yield LoggedRun(name, series, list(run.data.metrics), config, running, task)
    except MlflowException as error:
        raise DataError(f"{src}: MLflow cannot read it ({_line(error)}); mend it with MLflow's own tools") from None


def _pages(search: Any, *args: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(*args, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _series(history: list[Any], info: Any, time: str) -> Series:
    # A restart may log a step again; MLflow does not promise the order of writing, its clock gives it.
    history = sorted(history, key=lambda m: m.timestamp)
    seconds = np.array([(m.timestamp - info.start_time) / 1000 for m in history], dtype=np.float64)
    step = np.array([m.step for m in history], dtype=np.float64)
    y = np.array([m.value for m in history], dtype=np.float64)
    return Series(step if time == "step" else seconds, y, seconds)
