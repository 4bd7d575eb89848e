"""One task of a corpus: one dataset, one primary metric, and its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx._json import loads
from metalcx.corpora._format import CURVES, RUNS, SECONDS
from metalcx.corpora._table import strings
from metalcx.curves import Curves, Metric
from metalcx.errors import CorpusError, name_some

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from metalcx.corpora._corpus import Corpus


@dataclass(frozen=True, eq=False)
class Task:
    """One dataset with one primary metric: the unit over which meta-learning runs.

    Attributes:
        corpus: The corpus that it belongs to.
        name: Name within the corpus.
        dataset: The data that networks were trained on.
        family: Datasets that share examples; leakage and hold-out go by it.
        domain: Such as ``img-classification``.
        metric: The primary metric.
        meta: Meta-features, such as ``n_train``.
    """

    corpus: Corpus = field(repr=False)
    name: str
    dataset: str
    family: str
    domain: str
    metric: Metric
    meta: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _runs(self) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        with self.corpus.open_table(RUNS) as table:
            kept = [batch.filter(pc.equal(batch.column("task"), self.name)) for _, batch in table.batches()]
            return pa.Table.from_batches(kept, schema=table.schema)

    @property
    def runs(self) -> pd.DataFrame:
        """The rows of `runs.parquet` of this task; config as JSON text."""
        frame: pd.DataFrame = self._runs.to_pandas()
        return frame

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return int(self._runs.num_rows)

    def curves(self, metrics: Iterable[str] | None = None, runs: npt.ArrayLike | None = None) -> Curves:
        """The measured curves, one a run, in the order of `runs`; ids are the run names.

        Args:
            metrics: Further columns beside the primary metric: names of declared metrics, and ``seconds`` where
                measured (which is in `Curves.values` and not among its `metrics`). None by default.
            runs: Run numbers to read; all of the task by default.

        Returns:
            Curves with config (a DataFrame parsed from JSON), arch, group and status.

        Raises:
            CorpusError: If a name or run number is unknown, or the files are damaged or disagree.
        """
        names = list(dict.fromkeys([self.metric.name, *(metrics or ())]))
        table = self._rows(runs)
        order = np.asarray(table["run"].to_numpy(), dtype=np.int32)
        points = self.corpus.points(order, names)
        self._check_counts(order, np.asarray(table["n_points"].to_numpy()), points.run)
        declared = {m.name: m for m in self.corpus.metrics}
        curves = Curves(
            metric=self.metric,
            ids=_unique(strings(table["name"]), order),
            offsets=np.searchsorted(points.run, np.append(order, np.iinfo(np.int32).max)).astype(np.int64),
            t=points.t,
            values={name: points.values[name].astype(np.float64) for name in names},
            status=strings(table["status"]),
            metrics=tuple(declared[name] for name in names if name != SECONDS),
            config=self._config(table),
            arch=strings(table["arch"]),
            group=strings(table["group"]),
            time_unit=self.corpus.time_unit,
        )
        return curves if runs is None else curves.take(np.searchsorted(order, np.asarray(runs)))

    def _rows(self, runs: npt.ArrayLike | None) -> pa.Table:
        if runs is None:
            return self._runs
        wanted = np.asarray(runs)
        known = np.asarray(self._runs["run"].to_numpy())
        unknown = wanted[~np.isin(wanted, known)]
        if len(unknown):
            raise CorpusError(f"{self.corpus.name}: task {self.name!r} has no runs {name_some(unknown)}")
        return self._runs.filter(np.isin(known, wanted))

    def _check_counts(
        self, order: npt.NDArray[np.int32], n_points: npt.NDArray[np.integer[Any]], run: npt.NDArray[np.int32]
    ) -> None:
        if (np.diff(order) <= 0).any():
            raise CorpusError(f"{self.corpus.path / RUNS}: column 'run' is not ascending; it counts the rows from 0")
        found = np.searchsorted(run, order, "right") - np.searchsorted(run, order, "left")
        bad = np.flatnonzero(found != n_points)
        if len(bad):
            i = bad[0]
            raise CorpusError(
                f"{self.corpus.path / CURVES}: run {order[i]} has {found[i]} points, and {RUNS} says {n_points[i]} in "
                f"row {order[i]}, column 'n_points'; restore the files or write the corpus again"
            )

    def _config(self, table: pa.Table) -> pd.DataFrame:
        """One column a hyperparameter; NaN where a run has none of that name."""
        import pandas as pd

        codes, texts = pd.factorize(strings(table["config"]))
        parsed = []
        for code, text in enumerate(texts):
            try:
                config = loads(text)
            except ValueError as error:
                config = error
            if not isinstance(config, dict):
                row = table["run"][int(np.flatnonzero(codes == code)[0])]
                raise CorpusError(
                    f"{self.corpus.path / RUNS}: row {row}, column 'config' is no JSON object: {text!r:.80}; "
                    "write {} where nothing is known"
                )
            parsed.append(config)
        frame = pd.DataFrame(parsed, index=range(len(parsed)))
        return frame.iloc[codes].reset_index(drop=True)


def _unique(names: npt.NDArray[np.object_], runs: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
    """Names as they are; where runs of a task share a name, ``name#run`` tells them apart."""
    import pandas as pd

    repeated = pd.Series(names).duplicated(keep=False).to_numpy()
    names = names.copy()
    names[repeated] = [f"{name}#{run}" for name, run in zip(names[repeated], runs[repeated], strict=True)]
    return names
