from __future__ import annotations

import numpy as np
import pytest

from metalcx.errors import DataError
from metalcx.protocol import LEVELS
from metalcx.reports import plot_calibration


def test_each_forecaster_has_its_line_beside_the_diagonal() -> None:
    ax = plot_calibration({"right": LEVELS, "narrow": 0.5 + 0.5 * (LEVELS - 0.5)})
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert list(drawn) == ["calibrated", "right", "narrow"]
    np.testing.assert_allclose(drawn["right"], np.column_stack([LEVELS, LEVELS]))
    np.testing.assert_allclose(drawn["narrow"][0], [LEVELS[0], 0.2525])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(drawn)
    again = plot_calibration({"right": LEVELS}, ax=ax)
    assert again is ax


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(DataError, match="no forecaster"):
        plot_calibration({})
    with pytest.raises(DataError, match=r"odd: \(3,\) shares for 25 levels"):
        plot_calibration({"odd": [0.1, 0.2, 0.3]})
