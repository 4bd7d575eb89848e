from __future__ import annotations

import pandas as pd
import pytest

from metalcx.curves._records import records


@pytest.mark.parametrize("n", [0, 3])
def test_a_table_without_columns_has_its_rows(n: int) -> None:
    assert records(pd.DataFrame(index=range(n))) == [{}] * n


def test_one_dict_a_row() -> None:
    assert records(pd.DataFrame({"lr": [0.1, 0.2], "opt": ["sgd", "adam"]})) == [
        {"lr": 0.1, "opt": "sgd"},
        {"lr": 0.2, "opt": "adam"},
    ]
