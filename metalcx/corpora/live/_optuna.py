"""An Optuna study in a storage that other processes write to."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metalcx.corpora.importers._settings import flat
from metalcx.corpora.live._run import LiveOptions, LiveRun
from metalcx.errors import DataError, MissingDependencyError, name_some

_STATUS = {"COMPLETE": "completed", "PRUNED": "censored", "FAIL": "censored"}

#: How a file of Optuna's journal is called, and one of SQLite.
JOURNALS, DATABASES = (".journal", ".log", ".jsonl"), (".db", ".sqlite", ".sqlite3")


class OptunaStudy:
    """Trials and what they report.

    Args:
        storage: A URL such as ``sqlite:///study.db``, a file of SQLite, or a journal file.
        options: What is followed; `LiveOptions.task` names the study where there are several.

    Raises:
        MissingDependencyError: Without Optuna.
    """

    time_unit = "step"

    def __init__(self, storage: str, options: LiveOptions) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingDependencyError('a study needs Optuna; run pip install "metalcx[optuna]"') from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.storage, self.options = storage, options
        self.runs: dict[str, LiveRun] = {}
        self.notes: list[str] = []
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._study: Any = None
        self._opened: Any = None

    def poll(self) -> bool:
        """Read the trials; finished ones are known already.

        Raises:
            DataError: If there are several studies and none is named, or the study goes the other way than the metric.
        """
        before = list(self.notes)
        try:
            study = self._study or self._open()
            trials = [] if study is None else study.get_trials(deepcopy=False)
        except DataError:
            raise
        except Exception as error:  # databases raise what they like: locked, gone, half-made
            self._study = self._opened = None
            self.notes = [f"{self.storage}: cannot be read now ({' '.join(str(error).split())[:160]})"]
            return self.notes != before
        if study is None:
            return self.notes != before
        self.notes = []
        changed = [self._take(trial) for trial in trials]
        gone = self.runs.keys() - {str(trial.number) for trial in trials}
        for name in gone:
            del self.runs[name], self._seen[name]
        return any(changed) or bool(gone) or before != self.notes

    def _open(self) -> Any:
        import optuna

        path = _file(self.storage)
        if path is not None and not path.exists():
            # Opening it would make it.
            self.notes = [f"{path}: there is no such file yet"]
            self.runs, self._seen = {}, {}
            return None
        if self._opened is None:
            self._opened = _storage(self.storage, path)
        names = optuna.study.get_all_study_names(self._opened)
        wanted = self.options.task
        if not names or (wanted is not None and wanted not in names):
            there = f"; there is {name_some(names)}" if names else ""
            self.notes = [
                f"{self.storage}: holds no study {wanted!r} yet{there}"
                if wanted
                else f"{self.storage}: holds no study yet"
            ]
            return None
        if wanted is None and len(names) > 1:
            raise DataError(f"{self.storage}: holds the studies {name_some(names)}; choose one with --task")
        study = optuna.load_study(study_name=wanted or names[0], storage=self._opened)
        goal = {"MAXIMIZE": "max", "MINIMIZE": "min"}.get(study.directions[0].name)
        if len(study.directions) > 1 or goal not in (None, self.options.metric.goal):
            goals = ", ".join(d.name.lower() for d in study.directions)
            raise DataError(
                f"{self.storage}: study {study.study_name!r} goes for {goals}, "
                f"the metric for {self.options.metric.goal}; declare the goal that the study has"
            )
        self._study = study
        return study

    def _take(self, trial: Any) -> bool:
        name, values = str(trial.number), trial.intermediate_values
        last = max(values, default=None)
        state = (trial.datetime_start, trial.state, len(values), last, None if last is None else values[last])
        # NaN differs from itself; as text it does not.
        if self._seen.get(name) == (key := tuple(map(str, state))):
            return False
        self._seen[name] = key
        run = LiveRun(flat(trial.params), _STATUS.get(trial.state.name))
        for step, value in sorted(values.items()):
            run.add(float(step), float(value))
        self.runs[name] = run
        return True


def _file(storage: str) -> Path | None:
    """The file behind a storage, or None for a server's."""
    if "://" not in storage:
        return Path(storage)
    url = urlsplit(storage)
    return Path(url.path.removeprefix("/")) if url.scheme.startswith("sqlite") and url.path.strip("/") else None


def _storage(storage: str, path: Path | None) -> Any:
    import optuna

    if "://" in storage:
        return optuna.storages.get_storage(storage)
    if Path(storage).suffix in DATABASES:
        return optuna.storages.get_storage(f"sqlite:///{storage}")
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(storage))
