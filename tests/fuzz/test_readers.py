"""Damaged files of every kind end in an error of ours or a result; `benchmarks/fuzz.py` tries millions more."""

from __future__ import annotations

import csv
import io
import math
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metalcx import hub
from metalcx.errors import DataError, MetalcxError

from .damage import damaged
from .readers import READERS, Reader, read_tables

SEEDS: dict[str, list[bytes]] = {}
FIXTURE = [HealthCheck.function_scoped_fixture]


@contextmanager
def refused_or_read() -> Iterator[None]:
    """Whatever is refused is refused in one line that a terminal can show."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MetalcxError as error:
        text = str(error)
        assert "\n" not in text.partition("no valid corpus\n")[0]
        assert len(text) < 2000


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(hub.CLASSES, "FuzzTiny", "tiny:FuzzTiny")  # gone with the test
    monkeypatch.setattr("metalcx._swap.flush", lambda path: None)  # thousands of small corpora
    return tmp_path


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_damaged_is_read(name: str, work: Path) -> None:
    for seed in READERS[name].seeds(work):
        READERS[name].read(seed, work)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=10, suppress_health_check=FIXTURE)
@given(seed=st.integers(0, 2**32))
def test_damage_is_refused_or_read(name: str, work: Path, seed: int) -> None:
    reader: Reader = READERS[name]
    if name not in SEEDS:
        SEEDS[name] = reader.seeds(work)
    data = damaged(SEEDS[name], reader.tokens, random.Random(seed))
    with refused_or_read():
        reader.read(data, work)


CELLS = st.one_of(
    st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**20).map(str),
    st.sampled_from(
        ["nan", "inf", "1e3", "+2", " 3", "4 ", ".5", "6.", "1_0", "0x1F", "1,5", "True", "١", "1e400", "--1"]
    ),
)


@settings(max_examples=40, suppress_health_check=FIXTURE)
@given(cells=st.lists(CELLS, min_size=1, max_size=6))
def test_numbers_of_a_csv_are_what_python_reads_or_are_refused(work: Path, cells: list[str]) -> None:
    """An independent reading: no cell becomes another number on its way."""
    rows = [{"run": "007", "t": str(t), "value": cell} for t, cell in enumerate(cells)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["run", "t", "value"])
    writer.writeheader()
    writer.writerows(rows)
    try:
        curves = read_tables(text.getvalue().encode(), work)
    except DataError:
        return
    assert curves.ids.tolist() == ["007"]
    expected = np.array([float(cell) for cell in cells])
    stop = next((i + 1 for i, value in enumerate(expected) if not math.isfinite(value)), len(expected))
    np.testing.assert_array_equal(curves.t, np.arange(stop))
    # Adding in double precision aside, the last bit included.
    np.testing.assert_array_max_ulp(curves.y[: stop - 1], expected[: stop - 1], maxulp=1)
