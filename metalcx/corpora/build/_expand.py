"""From the `[[data]]` tables of a recipe to tasks.

A table whose `source` is a process describes families, datasets and tasks:

- Settings of its structure (`PROCESSES[source].structure`) may be lists, which are crossed: each combination is a
  family, and each family has `draws` datasets.
- Settings of size and difficulty (`PROCESSES[source].sizes`), and `n_train`, `n_val` and `n_test`, may be lists too,
  which are dealt to the draws in turn: draw i takes value i, and after the last the first again. A list that is
  longer than `draws` is refused.
- Each dataset is asked for all of `tasks` in all of `variants`; `tasks` is classification alone where nothing is said.

A table whose `source` is ``sklearn`` has `dataset` (a list is a table for each), `kind`, and the options of
`BUNDLED`; its `variants` may also be ``classes-3``, which keeps three of the classes, and of the rows their part.

A variant is ``whole``, ``few`` (a quarter of the training rows), ``label-noise``, ``input-noise``, ``masked`` or
``rotated``, or several of them joined by ``+``. `label_noise`, `input_noise` and `masked` in a table say how strong
(see `_disturb.STRENGTHS`). The seed of a dataset follows from the recipe's seed and the dataset's name.
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metalcx.corpora.build._data import DataSpec
from metalcx.corpora.build._disturb import STRENGTHS
from metalcx.corpora.build._processes import POOL, PROCESSES, family_of
from metalcx.corpora.build._raw import Choice, Range, Sizes, checked
from metalcx.corpora.build._sklearn import BUNDLED, classes_of
from metalcx.errors import DataError, name_some

__all__ = ["expand"]

Section = Mapping[str, Any]

DOMAINS = {"vector": "tabular", "image": "img", "sequence": "seq"}
SIZE_KEYS = ("n_train", "n_val", "n_test")
DEFAULT_SIZES = Sizes(400, 300, 300)
LEAST = 8  # rows of a part
PIXELS = ("order", "channels")


def expand(sections: Sequence[Section], seed: int) -> tuple[DataSpec, ...]:
    """The tasks that the `[[data]]` tables of a recipe describe, in their order.

    Args:
        sections: Tables, as TOML gives them; the module says what they may hold.
        seed: The recipe's, from 0.

    Raises:
        DataError: Names the table, the key and the mend; also where two tables make a task of one name.
    """
    specs: list[DataSpec] = []
    draws: Counter[str] = Counter()
    for number, section in enumerate(sections, 1):
        source = section.get("source")
        where = f"data table {number} (source {source!r:.60})"
        if source == "sklearn":
            specs += _of_sklearn(where, section, seed)
        elif str(source) in PROCESSES:
            specs += _of_process(where, section, seed, draws)
        else:
            raise DataError(f"{where}: unknown source; give 'sklearn' or one of {', '.join(sorted(PROCESSES))}")
    twice = [task for task, count in Counter(spec.task for spec in specs).items() if count > 1]
    if twice:
        raise DataError(f"data tables make {name_some(twice)} more than once; take the repeated variant or table out")
    return tuple(specs)


def _of_process(where: str, section: Section, seed: int, draws: Counter[str]) -> Iterator[DataSpec]:
    source, process = section["source"], PROCESSES[section["source"]]
    schema = {**process.structure, **process.sizes}
    _refuse_unknown(where, section, {"source", "draws", "tasks", "variants", *SIZE_KEYS, *STRENGTHS, *schema})
    tasks = _words(where, "tasks", section.get("tasks", process.tasks[:1]), process.tasks)
    values = {key: _values(where, section, key, allowed) for key, allowed in schema.items()}
    n_draws = checked(where, "draws", Range(1, 1, 1000), section.get("draws", 1))
    _refuse_undealt(where, section, [*process.sizes, *SIZE_KEYS], n_draws)
    for structure, i in itertools.product(
        itertools.product(*(values[key] for key in process.structure)), range(n_draws)
    ):
        settings = dict(zip(process.structure, structure, strict=True))
        settings |= {key: values[key][i % len(values[key])] for key in process.sizes}
        family = family_of(source, settings)
        draws[family] += 1
        dataset = f"{family}-{draws[family]}"
        base = Base(where, section, dataset, family, source, process.kind, _seed(seed, dataset))
        for task in tasks:
            yield from base.specs(f"{dataset}-{task}", {**settings, "task": task}, DEFAULT_SIZES, POOL, i)


def _of_sklearn(where: str, section: Section, seed: int) -> Iterator[DataSpec]:
    _refuse_undealt(where, section, SIZE_KEYS, 1)
    for name in _words(where, "dataset", section.get("dataset", ()), tuple(BUNDLED)):
        found = BUNDLED[name]
        kind = checked(where, f"kind of {name}", Choice(found.kinds), section.get("kind", found.kinds[0]))
        # The order of pixels is a matter of sequences alone.
        known = {key: found.options[key] for key in found.options if kind == "sequence" or key not in PIXELS}
        _refuse_unknown(where, section, {"source", "dataset", "kind", "variants", *SIZE_KEYS, *STRENGTHS, *known})
        options = {key: checked(where, key, known[key], section[key]) for key in known if key in section}
        settings = {"dataset": name, **options}
        settings["task"] = "classification" if classes_of(settings) else "regression"
        label = "-".join(
            [name, *([kind] if len(found.kinds) > 1 else []), *(f"{key}-{value}" for key, value in options.items())]
        )
        base = Base(where, section, f"sklearn-{name}", found.family, "sklearn", kind, _seed(seed, label))
        yield from base.specs(label, settings, found.sizes, found.sizes, 0)


@dataclass(frozen=True)
class Base:
    """What the tasks of one dataset share."""

    where: str
    section: Section
    dataset: str
    family: str
    source: str
    kind: str
    seed: int

    def specs(self, label: str, settings: dict[str, Any], default: Sizes, most: Sizes, i: int) -> Iterator[DataSpec]:
        """One task a variant; `i` says which of listed sizes is taken."""
        for variant in _words(self.where, "variants", self.section.get("variants", ("whole",)), None):
            chosen, sizes = dict(settings), self._sizes(default, most, i)
            words = [word for word in variant.split("+") if word != "whole"]
            for word in words:
                chosen |= self._effect(word, chosen)
            if "classes" in chosen:
                # Of as many rows a part is of these classes: a fifth less than their share is there in any case.
                share = 0.8 * len(chosen["classes"]) / classes_of(settings)
                sizes = Sizes(*(int(share * rows) for rows in sizes))
            if "few" in words:
                sizes = sizes._replace(train=max(LEAST, sizes.train // 4))
            yield DataSpec(
                "-".join([label, *words]),
                self.dataset,
                self.family,
                f"{DOMAINS[self.kind]}-{chosen['task']}",
                self.source,
                self.kind,
                *sizes,
                self.seed,
                tuple(sorted(chosen.items())),
            )

    def _effect(self, word: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that a word of a variant adds."""
        key = word.replace("-", "_")
        if word == "few":
            return {}
        if key in STRENGTHS:
            value = self.section.get(key, STRENGTHS[key].default)
            return {key: checked(self.where, key, STRENGTHS[key], value)}
        kept = word.removeprefix("classes-")
        if self.source != "sklearn" or not (word.startswith("classes-") and kept.isdigit()):
            known = ["whole", "few", *(name.replace("_", "-") for name in STRENGTHS), "classes-3 (of sklearn)"]
            raise DataError(f"{self.where}: unknown variant {word!r}; give {', '.join(known)}, or some joined by '+'")
        n_classes = classes_of(settings)
        if n_classes < 3 or {"classes", "column", "pairs", "ask"} & set(settings):
            raise DataError(f"{self.where}: {word} needs three classes of the dataset itself; take it out")
        number = checked(self.where, word, Range(2, 2, n_classes - 1), int(kept))
        chosen = np.random.default_rng([self.seed, number]).permutation(n_classes)[:number]
        return {"classes": tuple(sorted(int(label) for label in chosen))}

    def _sizes(self, usual: Sizes, most: Sizes, i: int) -> Sizes:
        rows = []
        for key, default, limit in zip(SIZE_KEYS, usual, most, strict=True):
            allowed = Range(default, LEAST, limit)
            rows.append((values := _values(self.where, self.section, key, allowed))[i % len(values)])
        return Sizes(*rows)


def _values(where: str, section: Section, key: str, allowed: Range | Choice) -> list[Any]:
    """The values of a setting, one where it is no list."""
    value = section.get(key, allowed.default)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise DataError(f"{where}: {key} is an empty list; give a value or take it out")
    return [checked(where, key, allowed, each) for each in values]


def _words(where: str, key: str, value: Any, allowed: Sequence[str] | None) -> list[str]:
    words = list(value) if isinstance(value, list | tuple) else [value]
    wrong = [word for word in words if not isinstance(word, str) or (allowed is not None and word not in allowed)]
    if wrong or not words:
        raise DataError(f"{where}: {key} is {value!r}; give {'some of ' + ', '.join(allowed) if allowed else 'words'}")
    return words


def _refuse_unknown(where: str, section: Section, known: set[str]) -> None:
    unknown = sorted(set(section) - known)
    if unknown:
        raise DataError(f"{where}: unknown {name_some(unknown)}; known are {', '.join(sorted(known))}")


def _refuse_undealt(where: str, section: Section, keys: Sequence[str], n_draws: int) -> None:
    """Refuses a list with values that no draw would take."""
    for key in keys:
        if isinstance(section.get(key), list) and len(section[key]) > n_draws:
            raise DataError(
                f"{where}: {key} lists {len(section[key])} values for {n_draws} draws; raise draws or cut it"
            )


def _seed(seed: int, name: str) -> int:
    return zlib.crc32(f"{seed}/{name}".encode())
