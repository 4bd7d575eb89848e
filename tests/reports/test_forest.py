"""A forest plot shows every family and the pooled effect, the strongest on top."""

from __future__ import annotations

import io

import numpy as np
import pytest

from metalcx.errors import DataError
from metalcx.reports import plot_forest
from metalcx.transfer._effects import combined


@pytest.fixture
def effects():
    each = np.array([[0.1, -0.6, np.nan], [0.2, -0.4, 0.3]])
    return combined(["weak", "strong", "once"], ["a", "b"], each, np.full((2, 3), 0.05))


def test_the_strongest_is_on_top_and_every_family_is_there(effects):
    ax = plot_forest(effects)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["strong (100%)", "once (100%)", "weak (100%)"]
    assert ax.yaxis_inverted()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [-0.6, -0.4])
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [effects.low[1], effects.high[1]])
    ax.figure.savefig(io.BytesIO())


def test_names_choose_and_an_axes_is_drawn_on(effects):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert plot_forest(effects, ["weak"], ax=ax) is ax
    assert len(ax.get_yticklabels()) == 1


def test_what_cannot_be_drawn(effects):
    with pytest.raises(DataError, match="no characteristic 'tall'"):
        plot_forest(effects, ["tall"])
    with pytest.raises(DataError, match="no characteristic to draw"):
        plot_forest(effects, [])
