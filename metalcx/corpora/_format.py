"""The corpus format, version 1: its files, their columns, and `corpus.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metalcx._json import loads
from metalcx.curves import Metric
from metalcx.errors import CorpusError, DataError, name_some

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "metalcx-corpus/1"
MANIFEST, TASKS, RUNS, CURVES, ARCHITECTURES = (
    "corpus.json",
    "tasks.parquet",
    "runs.parquet",
    "curves.parquet",
    "architectures.parquet",
)
FILES = (MANIFEST, TASKS, RUNS, CURVES, ARCHITECTURES)
#: Bytes of a `corpus.json` at most; it holds a few lines.
MAX_MANIFEST = 16 << 20
RUN_STATUSES = ("completed", "diverged", "censored")
SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the contract: its name, what it holds, whether a row may leave it empty."""

    name: str
    kind: str
    nullable: bool = False


TASK_COLUMNS = tuple(Column(name, "string") for name in ("task", "dataset", "family", "domain", "metric"))
RUN_COLUMNS = (
    Column("run", "int32"),
    Column("name", "string"),
    Column("task", "string"),
    Column("arch", "string", nullable=True),
    Column("group", "string"),
    Column("seed", "string", nullable=True),
    Column("status", "string"),
    Column("config", "string"),
    Column("n_points", "integer"),
)
ARCHITECTURE_COLUMNS = (
    Column("arch", "string"),
    Column("format", "string"),
    Column("spec", "string", nullable=True),
    Column("features", "string", nullable=True),
    Column("graph", "string", nullable=True),
)


def curve_columns(metrics: tuple[Metric, ...]) -> tuple[Column, ...]:
    """Columns that `curves.parquet` must have; `seconds` may join them."""
    return Column("run", "int32"), Column("t", "float64"), *(Column(m.name, "float32", nullable=True) for m in metrics)


def schema_problems(
    schema: pa.Schema, columns: tuple[Column, ...], optional: tuple[Column, ...] = (), others: bool = False
) -> list[tuple[str, str]]:
    """What is wrong with the columns of a file, as (column, message); order of columns does not matter.

    Args:
        schema: The schema found.
        columns: Columns that must be there.
        optional: Columns that may be there.
        others: Whether any further column is allowed.
    """
    found: list[tuple[str, str]] = []
    names = schema.names
    known = {c.name for c in columns + optional}
    for column in columns + optional:
        if names.count(column.name) != 1:
            if column in columns or column.name in names:
                found.append((column.name, "is missing" if column.name not in names else "stands there more than once"))
        elif not _holds(schema.field(column.name).type, column):
            kind = schema.field(column.name).type
            found.append((column.name, f"holds {kind}, and the format wants {column.kind}"))
    if not others:
        found += [(name, "is no column of the format") for name in names if name not in known]
    return found


def _holds(kind: pa.DataType, column: Column) -> bool:
    import pyarrow.types as is_

    if is_.is_null(kind):
        return column.nullable and column.kind == "string"
    if column.kind == "string":
        return bool(is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind))
    if column.kind == "integer":
        return bool(is_.is_integer(kind))
    return {"int32": "int32", "float32": "float", "float64": "double"}[column.kind] == str(kind)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `corpus.json` says.

    Attributes:
        name: Name of the corpus.
        time_unit: What t counts, such as ``epoch``.
        metrics: The declared metrics, one float32 column of `curves.parquet` each.
        licence: Licence of the data, or a word that none is stated.
        citation: What to cite.
        redistributable: False if nothing learned from the corpus may ship.
        n_tasks: Rows of `tasks.parquet`.
        n_runs: Rows of `runs.parquet`.
        n_points: Rows of `curves.parquet`.
        extra: Further keys, kept as they are.
    """

    name: str
    time_unit: str
    metrics: tuple[Metric, ...]
    licence: str
    citation: str
    redistributable: bool
    n_tasks: int = 0
    n_runs: int = 0
    n_points: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("name", "time_unit", "licence", "citation"):
            if not isinstance(getattr(self, key), str) or not getattr(self, key):
                raise CorpusError(f"{key!r} is {getattr(self, key)!r}; write a text that is not empty")
        if not isinstance(self.redistributable, bool):
            raise CorpusError(f"'redistributable' is {self.redistributable!r}; write true or false")
        for key in ("n_tasks", "n_runs", "n_points"):
            count = getattr(self, key)
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise CorpusError(f"{key!r} is {count!r}; write a count")
        names = [m.name for m in self.metrics]
        bad = [name for name in names if names.count(name) > 1 or name in ("run", "t", SECONDS)]
        if bad or not names:
            raise CorpusError(
                f"'metrics' declares {name_some(bad) if bad else 'nothing'}; give each metric one name of its own"
            )

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Read the text of `corpus.json`.

        Raises:
            CorpusError: Without a path, which the caller knows; names the key and the mend.
        """
        try:
            found = loads(text)
        except ValueError as error:
            raise CorpusError(f"is not JSON ({error!s:.120}); it may be half-written") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            said = found.get("format") if isinstance(found, dict) else found
            raise CorpusError(f"'format' is {said!r:.80}; this version of metalcx reads {FORMAT!r}")
        keys = (
            "name",
            "time_unit",
            "metrics",
            "licence",
            "citation",
            "redistributable",
            "n_tasks",
            "n_runs",
            "n_points",
        )
        missing = [key for key in keys if key not in found]
        if missing:
            raise CorpusError(f"lacks {name_some(missing, 9)}; write them, as the format has them")
        known = {key: found[key] for key in keys}
        known["metrics"] = _metrics(found["metrics"])
        return cls(**known, extra={k: v for k, v in found.items() if k not in keys and k != "format"})

    def to_json(self) -> str:
        """The text of `corpus.json`."""
        keys = ("name", "time_unit", "licence", "citation", "redistributable", "n_tasks", "n_runs", "n_points")
        known = {key: getattr(self, key) for key in keys}
        metrics = [m.to_dict() for m in self.metrics]
        return (
            json.dumps({"format": FORMAT, **known, "metrics": metrics, **self.extra}, indent=1, allow_nan=False) + "\n"
        )


def _metrics(found: Any) -> tuple[Metric, ...]:
    if not isinstance(found, list) or not all(isinstance(m, dict) for m in found):
        raise CorpusError("'metrics' is no list of objects {name, goal, lower, upper, unit}")
    known = ("name", "goal", "lower", "upper", "unit")
    for declared in found:
        if not isinstance(declared.get("name"), str) or set(declared) - set(known):
            raise CorpusError(f"'metrics' holds {declared!r:.120}; a metric is {{name, goal, lower, upper, unit}}")
        bounds = (declared.get("lower"), declared.get("upper"))
        if any(b is not None and (isinstance(b, bool) or not isinstance(b, (int, float))) for b in bounds):
            raise CorpusError(f"'metrics': a bound of {declared['name']!r} is no number; write a number or null")
    try:
        return tuple(Metric(**{"goal": None, **declared}) for declared in found)
    except DataError as error:
        raise CorpusError(f"'metrics': {error}") from None
