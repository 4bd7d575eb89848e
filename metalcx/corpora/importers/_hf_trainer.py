"""`trainer_state.json` of the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalcx._json import loads
from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._log_cells import files_below, relative_name
from metalcx.corpora.importers._logs import LoggedRun, Series, chosen_time, declared, from_runs
from metalcx.corpora.importers._settings import flat
from metalcx.errors import DataError

_STATE = "trainer_state.json"
_TIMES = ("step", "epoch")


@dataclass(frozen=True)
class _State:
    path: Path
    held: dict[str, Any]

    @property
    def step(self) -> float:
        said = self.held.get("global_step")
        return float(said) if isinstance(said, int | float) and said < 1e300 else 0.0

    @property
    def folder(self) -> Path:
        """The run's folder: a checkpoint's is the one above it."""
        folder = self.path.resolve().parent
        return folder.parent if folder.name.startswith("checkpoint-") else folder

    @property
    def history(self) -> list[dict[str, Any]]:
        return [entry for entry in self.held["log_history"] if isinstance(entry, dict)]


def read_hf_trainer(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """States of the Trainer below `src`: a run is a folder that holds one, or has it in its `checkpoint-*` folders.

    A state holds the whole history so far, so that of the largest step is read and the others are noted. Evaluation
    metrics begin with ``eval_``. Numbers may be texts. The configuration is the trial of a hyperparameter search and
    the batch size, as far as the state has them. Times are ``step`` (the default) or ``epoch``.

    Raises:
        DataError: If there is no state, or the metric was not logged.
    """
    time = chosen_time(options, _TIMES, src)
    newest: dict[Path, _State] = {}
    for state in _states(src, tally):
        last = newest.setdefault(state.folder, state)
        if last is not state:
            newest[state.folder], older = (state, last) if state.step >= last.step else (last, state)
            tally.skip(older.path.relative_to(src), "a state of a run that has a newer one")
    if not newest:
        raise DataError(f"{src}: holds no {_STATE} that can be read; give the Trainer's output folder")
    return from_runs(src, _runs(src, newest, options, time), options, tally, "hf-trainer", time)


def _states(src: Path, tally: Tally) -> Iterator[_State]:
    for path in files_below(src, _STATE):
        try:
            held = loads(path.read_text(encoding="utf-8"), constants=True)
        except (ValueError, OSError):
            tally.skip(path.relative_to(src) if src.is_dir() else path, "no whole JSON file")
            continue
        if isinstance(held, dict) and isinstance(held.get("log_history"), list):
            yield _State(path, held)
        else:
            tally.skip(path.relative_to(src) if src.is_dir() else path, "no state of the Trainer: no log_history")


def _runs(src: Path, newest: dict[Path, _State], options: ImportOptions, time: str) -> Iterator[LoggedRun]:
    names = [m.name for m in declared(options, "hf-trainer")]
    top = src.resolve()
    for folder, state in newest.items():
        inside = top in folder.parents
        tags = {tag: None for entry in state.history for tag in entry if tag not in _TIMES}
        series = {name: _series(state, name, time) for name in names if name in tags}
        yield LoggedRun(relative_name(top, folder) if inside else folder.name, series, tags, _config(state.held))


def _series(state: _State, name: str, time: str) -> Series:
    logged = [entry for entry in state.history if name in entry]
    return Series(_numbers((e.get(time) for e in logged), state), _numbers((e[name] for e in logged), state))


def _numbers(values: Iterable[object], state: _State) -> np.ndarray:
    try:
        return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{state.path}: log_history holds what is no number ({error!s:.120}); correct it") from None


def _config(held: dict[str, Any]) -> dict[str, object]:
    trial = held.get("trial_params") if isinstance(held.get("trial_params"), dict) else {}
    return flat({"train_batch_size": held.get("train_batch_size")} | (trial or {}))
