"""Which candidates the runs of a table are, and what they reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from metalcx.curves import Curves
    from metalcx.transfer import Candidates


class Tried(NamedTuple):
    """Runs as candidates.

    Attributes:
        candidates: Those of the table, and behind them what was tried beside them.
        values: Rows of these and what they reached, higher is better; NaN, last, for those that are running.
    """

    candidates: Candidates
    values: list[tuple[int, float]]


def tried_in(data: Curves, known: Candidates, frame: pd.DataFrame, source: str, table: str) -> Tried:
    """Match runs to candidates: by id, or else by architecture and hyperparameters.

    Args:
        data: All runs.
        known: The candidates.
        frame: Their table; ids are in its column ``run``, if there is one.
        source: What the table of curves is called in complaints.
        table: What that of the candidates is called.

    Raises:
        DataError: If of a run neither is known, or two candidates have the same id.
    """
    import numpy as np

    from metalcx.transfer import concat_candidates

    place = _places(frame, table)
    rows = np.array([place.get(str(name), -1) for name in data.ids], dtype=np.int64)
    others = np.flatnonzero(rows < 0)
    whole = known
    if len(others):
        beside = _described(data, others, source)
        whole = concat_candidates([known, beside])
        first = {key: row for row, key in reversed(list(enumerate(whole.key)))}
        rows[others] = [first[key] for key in beside.key]
    running = data.status == "running"
    reached = np.where(running, np.nan, data.metric.sign * data.final)
    done, waiting = ~running & ~np.isnan(reached), rows[running]
    found = [(int(row), float(reached[done & (rows == row)].mean())) for row in dict.fromkeys(rows[done])]
    told = {row for row, _ in found}
    return Tried(whole, found + [(int(row), float("nan")) for row in dict.fromkeys(waiting) if row not in told])


def _places(frame: pd.DataFrame, table: str) -> dict[str, int]:
    """The row of each candidate that has an id."""
    import numpy as np

    if "run" not in frame.columns:
        return {}
    names = frame["run"].dropna().astype(str)
    twice = names[names.duplicated()].unique()
    if len(twice):
        raise DataError(
            f"{table}: column 'run' holds {name_some(twice)} more than once; give each candidate its own id"
        )
    return dict(zip(names, np.flatnonzero(frame["run"].notna()).tolist(), strict=True))


def _described(data: Curves, others: npt.NDArray[np.int64], source: str) -> Candidates:
    """What runs are that no candidate's id names."""
    import numpy as np
    import pandas as pd

    from metalcx.transfer import Candidates

    frame = pd.DataFrame(index=range(len(others)))
    if data.config is not None:
        frame = data.config.iloc[others].reset_index(drop=True)
    if data.arch is not None:
        frame = frame.assign(arch=data.arch[others])
    silent = frame.isna().all(axis=1).to_numpy() if frame.shape[1] else np.ones(len(others), dtype=bool)
    if silent.any():
        raise DataError(
            f"{source}: runs {name_some(data.ids[others[silent]])} are no candidate by their id, and nothing says what "
            "they are; give --runs with their arch or hyperparameters, or a column run of the candidates"
        )
    return Candidates.from_frame(frame, f"{source}, by --runs")
