"""A recipe: a small file that says what a corpus is made of. The same recipe gives the same corpus."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from metalcx._resources import bundled
from metalcx.corpora.build._data import DataSpec
from metalcx.corpora.build._expand import expand
from metalcx.errors import DataError, name_some

#: A recipe stands beside its corpus in `datasets/` under this name.
RECIPE = "recipe.toml"


@dataclass(frozen=True)
class RunsOf:
    """How many networks are trained on a task of one kind of data.

    Args:
        stacks: Architectures drawn for a task.
        stack: Runs of each, which train side by side.
    """

    stacks: int
    stack: int

    def __post_init__(self) -> None:
        if min(self.stacks, self.stack) < 1:
            raise DataError(f"stacks and stack are 1 or more; got {self.stacks} and {self.stack}")


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, how often and how long.

    Args:
        name: Name of the corpus.
        licence: Licence of the curves.
        citation: What to cite.
        data: Tables that describe tasks; see `expand`.
        runs: Kind of data -> how many runs a task of it gets.
        epochs: Least and largest budget; each task draws its own, evenly on the logarithm.
        max_steps: Steps of a run at most; larger batches or fewer epochs make up for a larger training set.
        repeat: Every so many runs, one repeats an earlier configuration of its stack with another seed.
        patience: Share of tasks of which half the runs stop when their validation does not improve.
        target: Share of tasks whose runs stop at a score that four in ten of them reach.
        loss: Share of tasks whose primary metric is the validation loss; for the others it is accuracy or R2.
        searches: Share of tasks that look like an architecture search: all runs are trained nearly the same way, in
            twice as many stacks of half the size.
        redistributable: Whether what is learned from the corpus may ship.
        seed: Of everything that is drawn, from 0.
    """

    name: str
    licence: str
    citation: str
    data: tuple[Mapping[str, Any], ...]
    runs: Mapping[str, RunsOf]
    epochs: tuple[int, int] = (16, 64)
    max_steps: int = 800
    repeat: int = 8
    patience: float = 0.1
    target: float = 0.1
    loss: float = 0.4
    searches: float = 0.0
    redistributable: bool = True
    seed: int = 0
    specs: tuple[DataSpec, ...] = field(init=False)

    def __post_init__(self) -> None:
        low, high = self.epochs
        if not 2 <= low <= high or self.max_steps < high or self.repeat < 2:
            raise DataError(
                "epochs are two numbers from 2, the smaller first, max_steps is no less than they, repeat is 2 or "
                f"more; got epochs={list(self.epochs)}, max_steps={self.max_steps}, repeat={self.repeat}"
            )
        # Written so that NaN, which TOML has, is refused.
        shares = (self.patience, self.target, self.loss, self.searches, self.patience + self.target)
        if not all(0 <= share <= 1 for share in shares):
            raise DataError(
                "patience, target, loss and searches are shares of tasks; patience and target add up to 1 at most"
            )
        if self.seed < 0:
            raise DataError(f"seed is {self.seed}; give a whole number from 0")
        object.__setattr__(self, "specs", expand(self.data, self.seed))
        missing = sorted({spec.kind for spec in self.specs} - set(self.runs))
        if not self.specs or missing:
            what = f"runs.{missing[0]} = {{ stacks = ..., stack = ... }}" if missing else "a [[data]] table"
            raise DataError(f"{what} is missing; add it")


def read_recipe(path_or_name: str | Path) -> Recipe:
    """Read a recipe, given as a TOML file, or by the name of a corpus in `datasets/` that was built from one.

    Raises:
        DataError: Names the file, the key and the mend.
    """
    path = _file(path_or_name)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a recipe") from None
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of a number with thousands of digits
        raise DataError(f"{path}: is no TOML ({error!s:.120}); mend that line") from None
    try:
        return _parsed(found)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _file(path_or_name: str | Path) -> Path:
    path = Path(path_or_name).expanduser()
    folder = None if path.exists() else bundled("datasets", str(path_or_name))
    return path if folder is None else folder / RECIPE


def _parsed(found: dict[str, Any]) -> Recipe:
    known = {f.name: f for f in fields(Recipe) if f.init}
    unknown = sorted(set(found) - set(known))
    missing = [n for n, f in known.items() if f.default is MISSING and n not in found]
    if unknown or missing:
        wrong = f"unknown {name_some(unknown)}" if unknown else f"{name_some(missing)} missing"
        raise DataError(f"{wrong}; a recipe has {', '.join(known)}")
    for name, value in found.items():
        _check(name, value, known[name].default)
    runs = {kind: _runs_of(kind, given) for kind, given in found["runs"].items()}
    return Recipe(
        **{**found, "data": tuple(found["data"]), "runs": runs, "epochs": tuple(found.get("epochs", (16, 64)))}
    )


def _check(name: str, value: Any, default: Any) -> None:
    wanted: dict[str, tuple[type | tuple[type, ...], str]] = {
        "data": (list, "tables [[data]]"),
        "runs": (dict, "a table of kinds of data"),
        "epochs": (list, "two whole numbers, [16, 64]"),
    }
    kind, words = wanted.get(name, (str, "a text"))
    if isinstance(default, (bool, int, float)):
        kind, words = {bool: (bool, "true or false"), int: (int, "a whole number")}.get(
            type(default), ((int, float), "a number")
        )
    good = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
    if name == "epochs":
        good = good and len(value) == 2 and all(type(v) is int for v in value)
    if name == "data":
        good = good and all(isinstance(table, dict) for table in value)
    if not good or value == "":
        raise DataError(f"{name!r} is {value!r:.80}; give {words}")


def _runs_of(kind: str, given: Any) -> RunsOf:
    if (
        not isinstance(given, dict)
        or set(given) != {"stacks", "stack"}
        or not all(type(v) is int for v in given.values())
    ):
        raise DataError(f"'runs.{kind}' is {given!r:.80}; give {{ stacks = 6, stack = 24 }}")
    return RunsOf(**given)
