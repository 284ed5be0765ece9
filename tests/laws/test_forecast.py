"""A forecast's own methods."""

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.laws.forecast import Forecast


@pytest.fixture
def forecast():
    draws = np.linspace(0, 1, 10001)[:, None]
    return Forecast(points=pl.DataFrame({"params": [1.0]}), draws=draws, y="loss", law="power")


def test_further_levels_get_columns_of_their_bounds(forecast):
    frame = forecast.to_frame(levels=[0.5, 0.99])
    assert frame["q005"][0] == pytest.approx(0.005)
    assert frame["q995"][0] == pytest.approx(0.995)
    assert frame.columns.index("q005") < frame.columns.index("q025")
    assert frame.drop("q005", "q995").columns == forecast.to_frame().columns


@pytest.mark.parametrize("level", [95, 0, 1, -0.5])
def test_a_level_that_is_none_is_refused(forecast, level):
    with pytest.raises(InputError, match=r"as 0\.95 does"):
        forecast.interval(level)


def test_a_quantile_that_is_none_is_refused(forecast):
    with pytest.raises(InputError, match="between 0 and 1"):
        forecast.quantile(50)
