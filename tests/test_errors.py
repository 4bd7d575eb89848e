from __future__ import annotations

import numpy as np
import pytest

from metalcx import errors
from metalcx.errors import MetalcxError, name_some


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - {"name_some"}))
def test_all_errors_have_one_root(name: str) -> None:
    assert issubclass(getattr(errors, name), MetalcxError)


@pytest.mark.parametrize("name", ["CorpusError", "DataError", "LeakError", "ModelError"])
def test_what_a_person_handed_in_is_a_value_error(name: str) -> None:
    assert issubclass(getattr(errors, name), ValueError)


def test_missing_package_is_an_import_error() -> None:
    assert issubclass(errors.MissingDependencyError, ImportError)


@pytest.mark.parametrize(
    ("items", "limit", "told"),
    [
        ([], 5, ""),
        (["a"], 5, "'a'"),
        ("abcde", 5, "'a', 'b', 'c', 'd', 'e'"),
        ("abcdefg", 5, "'a', 'b', 'c', 'd', 'e' and 2 more"),
        (iter([3, "x", 4]), 2, "3, 'x' and 1 more"),
        (np.array([1.5, 2.0]), 5, "1.5, 2.0"),
        (np.array(["r"]), 5, "'r'"),
    ],
)
def test_name_some(items: object, limit: int, told: str) -> None:
    assert name_some(items, limit) == told  # type: ignore[arg-type]
