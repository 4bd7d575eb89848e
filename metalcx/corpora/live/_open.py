"""From a place to its reader."""

from __future__ import annotations

from pathlib import Path

from metalcx.corpora.live._folder import CsvFolder, TensorBoardFolder, format_of
from metalcx.corpora.live._optuna import DATABASES, JOURNALS, OptunaStudy
from metalcx.corpora.live._run import LiveOptions, LiveRun, LiveSource
from metalcx.errors import DataError, name_some

#: What can be followed.
FORMATS = ("tensorboard", "lightning-csv", "csv", "keras-csv", "optuna")


def open_live(src: str, options: LiveOptions, format: str | None = None) -> LiveSource:
    """Follow the logs at `src`, which may still be empty or missing.

    Args:
        src: A folder or file of logs, or an Optuna storage: a URL, an SQLite file, a journal file.
        options: What is followed.
        format: One of `FORMATS`; by default what is found there, once there is something.

    Raises:
        DataError: On an unknown format, or a time that it has not.
        MissingDependencyError: If what reads the format is not installed.
    """
    if format is not None and format not in FORMATS:
        raise DataError(f"no live logs of format {format!r}; there are {name_some(FORMATS, len(FORMATS))}")
    is_study = "://" in src or Path(src).suffix in (*DATABASES, ".journal") or _is_journal(Path(src))
    if format == "optuna" or (format is None and is_study):
        return OptunaStudy(src, options)
    if format is None:
        return Undecided(Path(src), options)
    return _folder(Path(src), options, format)


def _folder(src: Path, options: LiveOptions, format: str) -> LiveSource:
    return TensorBoardFolder(src, options) if format == "tensorboard" else CsvFolder(src, options, format)


def _is_journal(path: Path) -> bool:
    """Whether a file begins as Optuna's journal does."""
    try:
        with path.open("rb") as file:
            return path.suffix in JOURNALS and file.read(11).startswith(b'{"op_code"')
    except OSError:
        return False


class Undecided:
    """Logs of which the kind is not known until there are some."""

    def __init__(self, src: Path, options: LiveOptions) -> None:
        self._src, self._options = src, options
        self._source: LiveSource | None = None

    @property
    def time_unit(self) -> str:
        """What t counts."""
        return "step" if self._source is None else self._source.time_unit

    @property
    def runs(self) -> dict[str, LiveRun]:
        """All runs by name."""
        return {} if self._source is None else dict(self._source.runs)

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        if self._source is None:
            return [f"{self._src}: no logs of TensorBoard, Lightning, Keras and no table run, t, value yet"]
        return self._source.notes

    def poll(self) -> bool:
        """Read what was written since."""
        if self._source is None:
            format = format_of(self._src)
            if format is None:
                return False
            self._source = _folder(self._src, self._options, format)
        return self._source.poll()
